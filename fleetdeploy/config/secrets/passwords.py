"""Vault passwords: from files, from programs, from a person. Each is asked for once, when something needs it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fleetdeploy.config.secrets.readable import refuse_readable
from fleetdeploy.config.secrets.vault import Envelope
from fleetdeploy.config.syntax.text_file import exists, home_path, read_text
from fleetdeploy.errors import InputError

RunCommand = Callable[[Sequence[str]], str]
"""Runs a program without a shell, with a deadline, and gives what it prints. Raises InputError."""
Ask = Callable[[], str]
"""Asks a person for the vault password. Raises InputError where nobody can be asked."""

_LIMIT_BYTES = 64 * 1024
NEXT_STEP = "name a file with --vault-password-file, or use --ask-vault-pass"


@dataclass(frozen=True)
class PasswordFile:
    """A file that holds a password, or an executable that prints one. ``vault_id`` is empty where none was named."""

    path: Path
    vault_id: str = ""

    @classmethod
    def named(cls, text: str) -> PasswordFile:
        """``FILE`` or ``ID@FILE``, as after ``--vault-password-file``."""
        vault_id, at, rest = text.partition("@")
        if not at or not vault_id or exists(home_path(text)):
            return cls(home_path(text))
        return cls(home_path(rest), vault_id)

    def read(self, run: RunCommand | None) -> str:
        """The password, without blanks around it, as Ansible takes it. Raises InputError.

        An executable file is run; one called ``NAME-client`` is told the id, as Ansible's client scripts are.
        """
        if exists(self.path) and self.path.is_file() and os.access(self.path, os.X_OK):
            if run is None:
                raise InputError("vault password programs are not run here", where=str(self.path), hint=NEXT_STEP)
            asks_for_id = self.path.stem.endswith("-client")
            arguments = ("--vault-id", self.vault_id or "default") if asks_for_id else ()
            try:
                text = run((str(self.path.absolute()), *arguments))
            except InputError as error:
                hint = f"{error.hint}; if the file holds the password itself, chmod -x {self.path}"
                raise InputError(
                    f"the vault password program {error.message}", where=str(self.path), hint=hint
                ) from None
        else:
            text = read_text(self.path, what="vault password file", limit_bytes=_LIMIT_BYTES)
            try:
                refuse_readable(self.path)
            except InputError as error:
                raise InputError(f"the vault password {error.message}", where=error.where, hint=error.hint) from None
        password = text.strip()
        if not password:
            raise InputError("the vault password is empty", where=str(self.path), hint="write the password into it")
        return password


class Passwords:
    """The vault passwords of a command, the ones of a payload's id first, as Ansible tries them."""

    def __init__(
        self, files: Sequence[PasswordFile] = (), *, run: RunCommand | None = None, ask: Ask | None = None
    ) -> None:
        self._files = tuple(files)
        self._run = run
        self._ask = ask
        self._read: dict[PasswordFile, str] = {}
        self._asked: str | None = None

    def open(self, envelope: Envelope, *, where: str, note: Callable[[str], None]) -> str:
        """The plain text of a payload. ``note`` is told every password. Raises InputError with ``where``."""
        if not self._files and self._ask is None:
            wanted = f" (id {envelope.vault_id})" if envelope.vault_id else ""
            raise InputError(
                f"encrypted with Ansible Vault{wanted}, and no password is given", where=where, hint=NEXT_STEP
            )
        for password in self._candidates(envelope.vault_id):
            if len(password) >= 4:
                note(password)
            content = envelope.opened(password.encode())
            if content is None:
                continue
            try:
                return content.decode("utf-8")
            except UnicodeDecodeError:
                raise InputError("the decrypted vault content is not UTF-8", where=where, hint="encrypt text") from None
        raise InputError(
            f"no vault password fits ({self._described()})",
            where=where,
            hint="is it the password it was encrypted with? a changed payload looks the same",
        )

    def _candidates(self, vault_id: str) -> Iterator[str]:
        for file in sorted(self._files, key=lambda file: file.vault_id != vault_id):
            if file not in self._read:
                self._read[file] = file.read(self._run)
            yield self._read[file]
        if self._ask is not None:
            if self._asked is None:
                self._asked = self._ask()
            yield self._asked

    def _described(self) -> str:
        tried = [f"{file.vault_id}@{file.path}" if file.vault_id else str(file.path) for file in self._files]
        return "tried: " + ", ".join([*tried, *(["the one that was typed"] if self._ask else [])])
