"""The only reader of YAML: UTF-8, one document, core tags, no duplicate keys, every node with its place.

Scalars are read as Ansible reads them (YAML 1.1, PyYAML's safe loader), and their text is kept beside the value, so
that a schema can refuse ``1.10`` or ``012`` where text or a version is meant.
"""

from __future__ import annotations

from pathlib import Path

import yaml

from fleetdeploy.config.syntax.composer import Composer, TooMuch
from fleetdeploy.config.syntax.nodes import Node
from fleetdeploy.config.syntax.secret_reader import Secrets
from fleetdeploy.config.syntax.text_file import read_text
from fleetdeploy.config.syntax.yaml_errors import (
    explain,
    explain_character,
    explain_surrogate,
)
from fleetdeploy.errors import InputError, Problem

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
VAULT_HEADER = "$ANSIBLE_VAULT;"


def load(path: Path, *, what: str = "file", secrets: Secrets | None = None) -> Node:
    """The one document of a YAML file; an empty file is a null. Raises InputError with every problem found.

    Secrets, and files that are encrypted with Ansible Vault, are read where ``secrets`` is given.
    """
    return loads(read_text(path, what=what), file=str(path), secrets=secrets)


def loads(text: str, *, file: str, secrets: Secrets | None = None) -> Node:
    """The one document in ``text``; ``file`` is the name used for places."""
    if not text.startswith(VAULT_HEADER):
        return _composed(text, file, secrets)
    if secrets is None:
        raise InputError(
            "the file is encrypted with Ansible Vault, which is read for inventories and their variables only",
            where=file,
            hint="keep secrets in variables files, or decrypt this one",
        )
    plain = secrets.decrypted(text, file=file)
    try:
        return secrets.sealed(_composed(plain, file, secrets))
    except InputError as error:
        # What is wrong would be quoted, and is secret.
        where = [problem.where for problem in error.problems]
        hint = f"look at it with `ansible-vault view {file}`"
        message = "the decrypted content is not valid here; what it says is not shown"
    raise InputError(problems=[Problem(message, place, hint) for place in where])


def _composed(text: str, file: str, secrets: Secrets | None) -> Node:
    composer = Composer(file, secrets)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError(problems=[explain_surrogate(error, text, file=file)]) from None
    try:
        root = composer.document(yaml.parse(text, Loader=_LOADER))
    except yaml.MarkedYAMLError as error:
        problem = explain(error, text, file=file, unfinished=composer.unfinished)
        if problem.message not in {item.message for item in composer.problems}:
            composer.problems.append(problem)
    except yaml.reader.ReaderError as error:
        composer.problems.append(explain_character(error, text, file=file))
    except TooMuch:
        pass
    if composer.problems:
        raise InputError(problems=composer.problems)
    return root
