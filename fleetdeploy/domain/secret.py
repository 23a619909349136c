"""A value that is shown to nobody, opened when it is needed."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Mapping
from typing import NoReturn

from fleetdeploy.domain.redaction import SHORTEST, SHOWN
from fleetdeploy.errors import InputError

_FINGERPRINT = re.compile(r"secret:(?P<salt>[0-9a-f]{32}):(?P<digest>[0-9a-f]{64})")


class Secret:
    """A secret from the inventory. Its text, its repr and its JSON are ``<secret>``; it cannot be pickled.

    ``open_it`` finds the value out (decrypts, reads, runs) and is called once, by the first :meth:`reveal`; ``note``
    tells the value to whoever keeps it out of outputs. ``where`` is its place in the inventory.
    """

    __slots__ = ("_note", "_open", "_salt", "_value", "where")

    def __init__(self, open_it: Callable[[], str], *, note: Callable[[str], None], where: str) -> None:
        self._open = open_it
        self._note = note
        self._value: str | None = None
        self._salt = secrets.token_hex(16)
        self.where = where

    def reveal(self) -> str:
        """The value. Raises InputError when it cannot be found out, or is too short to be kept out of outputs."""
        if self._value is None:
            value = self._open()
            if len(value) < SHORTEST:
                raise InputError(
                    f"a secret of less than {SHORTEST} characters cannot be kept out of outputs",
                    where=self.where,
                    hint="use a longer one, or write it as an ordinary value if it is none",
                )
            try:
                self._note(value)
            except ValueError as error:
                raise InputError(
                    f"a secret {error}, and cannot be kept out of outputs without it",
                    where=self.where,
                    hint="use another value, or write it as an ordinary one if it is no secret",
                ) from None
            self._value = value
        return self._value

    def derived(self, open_it: Callable[[], str], *, where: str) -> Secret:
        """A secret that is computed from this one."""
        return Secret(open_it, note=self._note, where=where)

    def fingerprint(self, recorded: object = "") -> str:
        """What stands for the value in a release record and in a container's hash: a hash keyed with a random salt.

        Without the salt, which is kept in the record on the host only, a hash says nothing about the value, however
        easy that is to guess. ``recorded`` is the fingerprint of an earlier run; it stays when the value is the same.
        """
        found = _FINGERPRINT.fullmatch(recorded) if isinstance(recorded, str) else None
        if found is not None and hmac.compare_digest(self._keyed(found["salt"]), found["digest"]):
            return found[0]
        return f"secret:{self._salt}:{self._keyed(self._salt)}"

    def _keyed(self, salt: str) -> str:
        value = self.reveal().encode("utf-8", "surrogateescape")
        return hmac.new(bytes.fromhex(salt), value, hashlib.sha256).hexdigest()

    def __str__(self) -> str:
        return SHOWN

    def __repr__(self) -> str:
        return SHOWN

    def __deepcopy__(self, memo: object) -> Secret:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not written to disk")


def is_fingerprint(text: str) -> bool:
    """Whether this stands for a secret's value."""
    return _FINGERPRINT.fullmatch(text) is not None


def holds_secret(value: object) -> bool:
    """Whether a secret stands anywhere in a plain value."""
    if isinstance(value, Mapping):
        return any(map(holds_secret, value.values()))
    return any(map(holds_secret, value)) if isinstance(value, (list, tuple)) else isinstance(value, Secret)


def opened(values: Mapping[str, str | Secret]) -> dict[str, str]:
    """The values with their secrets opened, in place of which a process gets them. Raises InputError."""
    return {name: value.reveal() if isinstance(value, Secret) else value for name, value in values.items()}


def without_secrets(value: object, show: Callable[[Secret], object] = str) -> object:
    """A plain value in which each secret is what ``show`` makes of it, ``<secret>`` by default."""
    if isinstance(value, Secret):
        return show(value)
    if isinstance(value, Mapping):
        return {key: without_secrets(item, show) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_secrets(item, show) for item in value]
    return str(value) if isinstance(value, str) else value
