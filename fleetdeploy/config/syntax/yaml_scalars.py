"""How a plain word becomes a value: YAML 1.1 as PyYAML's safe loader, and so Ansible, reads it."""

from __future__ import annotations

from yaml import SafeLoader, ScalarNode
from yaml.constructor import SafeConstructor

_PREFIX = "tag:yaml.org,2002:"
MERGE_TAG = f"{_PREFIX}merge"
VAULT_TAG = "!vault"
SECRET_TAG = "!secret"  # noqa: S105  a tag
SECRET_TAGS = frozenset({VAULT_TAG, SECRET_TAG})
CORE_TAGS = frozenset(_PREFIX + name for name in ("str", "int", "float", "bool", "null", "map", "seq"))

_MOST_DIGITS = 400
"""Python refuses to write much longer numbers, and takes long to read them."""


def short_tag(tag: str) -> str:
    """The tag as it is written in a file: ``!!int`` or ``!vault``."""
    return "!!" + tag[len(_PREFIX) :] if tag.startswith(_PREFIX) else tag


def implicit_tag(text: str) -> str:
    """The tag of a plain scalar."""
    resolvers = SafeLoader.yaml_implicit_resolvers.get(text[:1], ())
    for tag, pattern in resolvers:
        if pattern.match(text):
            return str(tag)
    return f"{_PREFIX}str"


def scalar_value(tag: str, text: str) -> object:
    """The value of a scalar with this tag. Raises ValueError for text that only looks like its tag."""
    if tag == f"{_PREFIX}str":
        return text
    constructor = SafeConstructor()
    node = ScalarNode(tag, text)
    if tag == f"{_PREFIX}null":
        return None
    if tag == f"{_PREFIX}bool":
        return constructor.construct_yaml_bool(node)
    if tag == f"{_PREFIX}int":
        if len(text) > _MOST_DIGITS:
            raise ValueError("no number that anything here counts")
        return constructor.construct_yaml_int(node)
    if tag == f"{_PREFIX}float":
        return constructor.construct_yaml_float(node)
    if tag == f"{_PREFIX}timestamp":
        return constructor.construct_yaml_timestamp(node)
    return text
