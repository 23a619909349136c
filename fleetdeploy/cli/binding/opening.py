"""From arguments to the store that opens the inventory's secrets."""

from __future__ import annotations

import argparse
import getpass
import os
import sys

from fleetdeploy.config.secrets.passwords import PasswordFile, Passwords
from fleetdeploy.config.secrets.store import SecretStore
from fleetdeploy.domain.redaction import SHOWN
from fleetdeploy.errors import InputError
from fleetdeploy.remote.secret_command import SecretCommands

PASSWORD_FILE = "ANSIBLE_VAULT_PASSWORD_FILE"  # noqa: S105  the name of a variable


def store_of(arguments: argparse.Namespace) -> SecretStore:
    """The store of a command, one for all it reads: passwords are asked for once.

    Commands that only check (``reveal_secrets`` is false) find out no secret.
    """
    if not hasattr(arguments, "secret_store"):
        arguments.secret_store = _made(arguments)
    store = arguments.secret_store
    assert isinstance(store, SecretStore)
    return store


def _made(arguments: argparse.Namespace) -> SecretStore:
    # As in Ansible, the variable counts where the option is not given.
    named = arguments.vault_password_file or [name for name in (os.environ.get(PASSWORD_FILE),) if name]
    run = SecretCommands()
    passwords = Passwords(
        [PasswordFile.named(text) for text in named], run=run, ask=_ask if arguments.ask_vault_pass else None
    )
    return SecretStore(
        passwords=passwords,
        redactor=arguments.redactor,
        environ=os.environ,
        run=run,
        reveals=getattr(arguments, "reveal_secrets", True),
    )


def environment_for_commands(arguments: argparse.Namespace) -> dict[str, str]:
    """What a playbook's commands on the controller inherit: everything but what holds a known secret.

    That is every variable that a ``!secret`` names, that of the vault password file, and any whose value is a secret
    that was opened. Only ``environment`` hands one of them on.
    """
    named = {PASSWORD_FILE, *store_of(arguments).variables}
    secret = arguments.redactor.text
    return {name: value for name, value in os.environ.items() if name not in named and secret(value) != SHOWN}


def _ask() -> str:
    if not sys.stdin.isatty():
        raise InputError(
            "--ask-vault-pass, and nobody is here to ask", hint="without a terminal, use --vault-password-file FILE"
        )
    try:
        password = getpass.getpass("Vault password: ")
    except EOFError:
        password = ""
    if not password:
        raise InputError("no vault password was typed", hint="type it, or use --vault-password-file FILE")
    return password
