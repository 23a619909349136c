"""Root through sudo, for hosts whose inventory says ``ansible_become``: how a command is asked for, and why it is not.

No password is ever typed: ``-n`` makes sudo end where it would ask for one. See sudo(8), and Ansible's guide
"Understanding privilege escalation: become", whose sudo method also passes ``-H`` and ``-n``.
"""

from __future__ import annotations

from collections.abc import Sequence

from fleetdeploy.errors import RemoteCommandFailed

# sudo's words are recognised, so they must come in English whatever language the host speaks.
_SUDO = ("env", "LC_ALL=C", "sudo", "-n", "-H", "-u", "root", "--")

SUSPECT = frozenset({1, 126, 127})
"""The statuses with which sudo, or the shell that does not find it, ends; commands use them too."""

_SETUID = "reinstall sudo; is its file system mounted nosuid?"
_TTY = "add with visudo on the host: Defaults:{user} !requiretty"
_REASONS = (
    ("you must have a tty to run sudo", "sudo wants a terminal (requiretty)", _TTY),
    ("a password is required", "sudo asks {user} for a password, and none is ever given", ""),
    ("is not in the sudoers file", "sudo does not know {user}", ""),
    ("is not allowed to execute", "sudo does not let {user} run a shell as root", ""),
    ("may not run sudo", "sudo does not let {user} run anything", ""),
    ("no new privileges", "sshd runs without new privileges", "remove NoNewPrivileges from its unit"),
    ("effective uid is not 0", "sudo is not installed setuid root", _SETUID),
    ("must be owned by uid 0", "sudo is not installed setuid root", _SETUID),
    ("unknown user", "sudo does not know the user root", "look at /etc/passwd on the host"),
    ("account validation failure", "the account {user} is locked or expired", "look at `chage -l {user}` on the host"),
    ("Account expired", "the account {user} is locked or expired", "look at `chage -l {user}` on the host"),
)  # fmt: skip
"""(what sudo says, what it means, what to do); without the last, the sudoers line."""


def as_root(argv: Sequence[str]) -> list[str]:
    """The command, run as root by sudo."""
    return [*_SUDO, *argv]


def sudoers_hint(user: str) -> str:
    """The line that a host lacks."""
    return (
        f"add with visudo on the host: {_sudoers_word(user)} ALL=(root) NOPASSWD: ALL "
        "(sh is run as root: a narrower rule protects nothing)"
    )


def refusal(host: str, said: str, *, user: str, status: int) -> RemoteCommandFailed:
    """Why sudo did not run a command, from what it or the shell wrote to standard error."""
    detail = "\n".join(said.strip().splitlines()[-6:])
    if status == 127 or "command not found" in said:
        hint = "install sudo there"
        if user == "root":
            hint += ", or remove ansible_become: ansible_user is root already"
        return RemoteCommandFailed(
            "ansible_become is set, but the host has no sudo", where=host, hint=hint, detail=detail
        )
    for words, meaning, todo in _REASONS:
        if words in said:
            hint = todo.format(user=user) if todo else sudoers_hint(user)
            return RemoteCommandFailed(f"no root: {meaning.format(user=user)}", where=host, hint=hint, detail=detail)
    last = detail.splitlines()[-1] if detail else f"it ended with status {status} and no word"
    return RemoteCommandFailed(f"no root: sudo failed: {last}", where=host, hint=sudoers_hint(user), detail=detail)


def _sudoers_word(user: str) -> str:
    r"""The name as sudoers(5) takes it: special characters, such as the ``\`` of a domain, want a backslash."""
    return "".join(char if char.isalnum() or char in "_.-" else f"\\{char}" for char in user)
