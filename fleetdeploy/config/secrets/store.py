"""How secrets of inventories are opened: what a `!vault` block, a vault file and `!secret` stand for.

Nothing is decrypted, read or run before a value is used: by an environment variable of a service that is planned, or by
a template that is rendered. Encrypted files are the exception: they must be opened to be read at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from fleetdeploy.config.reserved.names import BALANCER, GPUS, SERVICES
from fleetdeploy.config.secrets import vault
from fleetdeploy.config.secrets.passwords import Passwords, RunCommand
from fleetdeploy.config.secrets.readable import refuse_readable
from fleetdeploy.config.syntax.nodes import Entry, ListNode, MapNode, Node, Scalar
from fleetdeploy.config.syntax.refusal import Refused
from fleetdeploy.config.syntax.suggest import hint_for
from fleetdeploy.config.syntax.text_file import home_path, read_text
from fleetdeploy.domain.origin import Origin
from fleetdeploy.domain.redaction import SHOWN, Redactor
from fleetdeploy.domain.secret import Secret
from fleetdeploy.errors import InputError, Problem

KINDS = ("env", "file", "command")
FORMS = "!secret {env: NAME}, {file: PATH} or {command: [PROGRAM, ARGUMENT]}"
_LIMIT_BYTES = 64 * 1024
_ORDINARY = re.compile(
    rf"{GPUS}|{SERVICES}|{BALANCER}|fleetdeploy_\w+|ansible_connection|ansible_become(_user|_method|_exe|_flags)?"
    r"|ansible_(ssh_)?(host|port|user|private_key_file|args|common_args|extra_args|executable|host_key_checking)"
)
"""Only names that mean something: any other that begins like them, such as ``ansible_api_token``, may be secret."""
_VARIABLE_FOLDERS = frozenset({"group_vars", "host_vars"})


class SecretStore:
    """Makes :class:`Secret` values of what inventories say, and opens them.

    ``environ`` is the environment that ``env`` reads, ``run`` runs programs. With ``reveals`` false a secret's value is
    the text ``<secret>``: for commands that only check.
    """

    def __init__(
        self,
        *,
        passwords: Passwords | None = None,
        redactor: Redactor | None = None,
        environ: Mapping[str, str] | None = None,
        run: RunCommand | None = None,
        reveals: bool = True,
    ) -> None:
        self._passwords = passwords or Passwords()
        self._redactor = redactor or Redactor()
        self._environ = environ or {}
        self._run = run
        self._reveals = reveals
        self._variables: set[str] = set()
        self._sources: dict[str, Callable[[], object]] = {}

    @property
    def variables(self) -> frozenset[str]:
        """The environment variables that hold secrets, by what was read so far."""
        return frozenset(self._variables)

    def lacking(self, file: str) -> Iterator[Problem]:
        """Variables that are not set and files that are not there, of secrets that were read from this file. Nothing is
        kept of what is there, and no program is run.
        """
        for where, look in self._sources.items():
            try:
                if where.startswith(f"{file}:"):
                    look()
            except InputError as error:
                yield from error.problems

    def vaulted(self, text: str, origin: Origin) -> Secret:
        """The secret in an inline ``!vault`` block. Raises Refused for a damaged one."""
        envelope = vault.parse(text)
        where = str(origin)
        return self._secret(lambda: self._passwords.open(envelope, where=where, note=self._note_password), origin)

    def referred(self, node: Node, origin: Origin) -> Secret:
        """The secret that ``!secret`` with this mapping stands for. Raises Refused."""
        if not isinstance(node, MapNode) or len(node.entries) != 1:
            raise Refused("`!secret` has exactly one key", f"write {FORMS}")
        ((kind, entry),) = node.entries.items()
        if kind not in KINDS:
            raise Refused(
                f"unknown key {entry.key.raw[:80]!r} in `!secret`", hint_for(str(kind), KINDS, what="keys here")
            )
        value, where = entry.value, str(origin)
        if kind == "command":
            argv = _argv(value)
            return self._secret(lambda: self._printed(argv, where), origin)
        text = value.value if isinstance(value, Scalar) else None
        if not isinstance(text, str) or not text or "\0" in text:
            raise Refused(f"`{kind}` of `!secret` is a text", f"write {FORMS}")
        if kind == "env":
            self._variables.add(text)
            self._sources[where] = lambda: self._variable(text, where)
            return self._secret(lambda: self._variable(text, where), origin)
        path = _base_of(origin) / home_path(text)
        self._sources[where] = lambda: _check_file(path, where)
        return self._secret(lambda: self._content(path, where), origin)

    def decrypted(self, text: str, *, file: str) -> str:
        """The content of a file that is encrypted as a whole. Raises InputError."""
        try:
            envelope = vault.parse(text)
        except Refused as error:
            raise InputError(error.message, where=file, hint=error.hint) from None
        return self._passwords.open(envelope, where=file, note=self._note_password)

    def sealed(self, node: Node, *, ordinary: bool = False) -> Node:
        """What stood in an encrypted file: every text and number in it is a secret; keys are not.

        Nor are reserved and connection variables, which plans and messages have to name: a service's ``environment``
        is the part of them that may be secret.
        """
        if isinstance(node, MapNode):
            entries = {}
            for key, entry in node.entries.items():
                shown = key != "environment" if ordinary else isinstance(key, str) and bool(_ORDINARY.fullmatch(key))
                entries[key] = Entry(entry.key, self.sealed(entry.value, ordinary=shown))
            return MapNode(entries, node.origin)
        if isinstance(node, ListNode):
            return ListNode(tuple(self.sealed(item, ordinary=ordinary) for item in node.items), node.origin)
        if ordinary or node.value is None or isinstance(node.value, (bool, Secret)) or not node.raw:
            return node
        if isinstance(node.value, str) and "{{" in node.value:
            return node  # an expression that puts other variables together; what they hold keeps its own secrecy
        text = node.value if isinstance(node.value, str) else node.raw
        return secret_node(self._secret(lambda: text, node.origin), node.origin)

    def _secret(self, open_it: Callable[[], str], origin: Origin) -> Secret:
        if not self._reveals:
            return Secret(lambda: SHOWN, note=lambda _: None, where=str(origin))
        return Secret(open_it, note=self._redactor.add, where=str(origin))

    def keep(self, names: Mapping[str, str]) -> None:
        """Names of the inventory, each with its kind: no secret may stand in one. Raises InputError."""
        try:
            self._redactor.keep(names)
        except ValueError as error:
            raise _indispensable(error) from None

    def _note_password(self, value: str) -> None:
        try:
            self._redactor.add(value)
        except ValueError as error:
            raise _indispensable(error) from None

    def _variable(self, name: str, where: str) -> str:
        if name not in self._environ:
            raise InputError(
                f"the environment variable {name} of a secret is not set",
                where=where,
                hint=f"export {name}, then retry",
            )
        value = self._environ[name]
        try:
            value.encode()
        except UnicodeEncodeError:
            raise InputError(
                f"the environment variable {name} of a secret is not UTF-8", where=where, hint="export it as UTF-8"
            ) from None
        return value

    def _content(self, path: Path, where: str) -> str:
        _check_file(path, where)
        return _without_newline(read_text(path, what="file of a secret", limit_bytes=_LIMIT_BYTES))

    def _printed(self, argv: tuple[str, ...], where: str) -> str:
        if self._run is None:
            raise InputError("programs that print secrets are not run here", where=where, hint="use env or file")
        try:
            return _without_newline(self._run(argv))
        except InputError as error:
            raise InputError(f"the command of a secret {error.message}", where=where, hint=error.hint) from None


def _check_file(path: Path, where: str) -> None:
    try:
        refuse_readable(path)
    except InputError as error:
        raise InputError(f"the file of a secret {error.message}", where=where, hint=error.hint) from None
    except OSError as error:
        raise InputError(
            f"the file of a secret cannot be read: {path}: {error.strerror}",
            where=where,
            hint="a relative path begins where the inventory, playbook or settings file is that names it",
        ) from None


def _indispensable(error: ValueError) -> InputError:
    return InputError(
        f"the vault password {error}, and cannot be kept out of outputs without it", hint="use another password"
    )


def secret_node(secret: Secret, origin: Origin) -> Scalar:
    """A secret as a node; its text in the file is hidden as well."""
    return Scalar(secret, SHOWN, origin, quoted=True)


def _argv(node: Node) -> tuple[str, ...]:
    items = node.items if isinstance(node, ListNode) else ()
    words = tuple(item.value for item in items if isinstance(item, Scalar) and isinstance(item.value, str))
    if not words or len(words) != len(items) or not words[0] or any("\0" in word for word in words):
        raise Refused(
            "`command` of `!secret` is a list of texts", "write {command: [PROGRAM, ARGUMENT]}: no shell is used"
        )
    return words


def _base_of(origin: Origin) -> Path:
    """Where a relative path starts: beside the file that says it; for a variables file, beside its inventory."""
    path = Path(origin.file)
    for parent in path.parents:
        if parent.name in _VARIABLE_FOLDERS:
            return parent.parent
    return path.parent


def _without_newline(text: str) -> str:
    """As a shell's ``$(…)`` would, but for the one newline that every editor ends a file with."""
    return text.removesuffix("\n").removesuffix("\r")
