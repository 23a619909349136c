"""JSON Schemas of inventory files and of ``group_vars`` and ``host_vars`` files; see :mod:`.json_schema`.

A file holds a part of what is put together from many: in ``services`` any key may be missing, or be null to remove what
an outer group set, and every reserved value may be an expression in braces. So much is allowed here too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from copy import deepcopy

from pydantic import BaseModel

from fleetdeploy.config.fields.values import NAME_PATTERN
from fleetdeploy.config.inventory.yaml_reader import SECTIONS
from fleetdeploy.config.json_schema import DRAFT, TEMPLATE, Schema, fields_schema
from fleetdeploy.config.reserved.names import BALANCER, GPUS, SERVICES
from fleetdeploy.config.reserved.service_schema import BalancerFields, GpusFields, ServiceFields

_RANGE = r"\[[0-9A-Za-z]*:[0-9A-Za-z]+(?::[0-9]+)?\]"
_HOST = rf"^(?!-)(?:[A-Za-z0-9_.:%-]|{_RANGE})+$|^\[[0-9A-Fa-f:.]+(?:%[A-Za-z0-9_.-]+)?\](?::[0-9]{{1,5}})?$"
_ADDRESS = r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}$|^[0-9A-Fa-f:.]+(?:%[A-Za-z0-9_.-]+)?$"
_GROUP = r"^[A-Za-z_][A-Za-z0-9_.-]{0,127}$"
_CHILD = r"^(?!all$)[A-Za-z_][A-Za-z0-9_.-]{0,127}$"
_KEYS_ONLY = "not followed: hosts are reached with keys, an encrypted one through ssh-agent; sudo asks for none"
_SSH = "not followed: SSH options that differ from host to host belong into an ssh_config file"
_SUDO = "not followed: a host's user becomes root through sudo, and through nothing else"
_UNUSED = {
    **dict.fromkeys(("ansible_ssh_extra_args", "ansible_ssh_args", "ansible_ssh_executable"), _SSH),
    **dict.fromkeys(
        (
            "ansible_become_exe",
            "ansible_become_flags",
            "ansible_sudo_exe",
            "ansible_sudo_flags",
            "ansible_su",
            "ansible_su_user",
        ),
        _SUDO,
    ),
    **dict.fromkeys(("ansible_sudo", "ansible_sudo_user"), "not followed: write ansible_become: true"),
    **dict.fromkeys(
        (
            "ansible_become_password",
            "ansible_become_pass",
            "ansible_sudo_pass",
            "ansible_su_pass",
            "ansible_password",
            "ansible_ssh_pass",
            "ansible_ssh_password",
            "ansible_ssh_private_key_passphrase",
        ),
        _KEYS_ONLY,
    ),
}


def inventory_schema(*, balancer_kinds: Collection[str] = ()) -> Schema:
    """A YAML inventory: groups with ``hosts``, ``vars`` and ``children``; no ``balancer_kinds`` stand for any."""
    group = {"$ref": "#/$defs/group"}
    return {
        "$schema": DRAFT,
        "title": "fleetdeploy inventory",
        "description": "Groups of hosts, in the shape of Ansible's YAML inventories.",
        "type": "object",
        "minProperties": 1,
        "propertyNames": {"pattern": _GROUP},
        "additionalProperties": group,
        "$defs": {**_definitions(balancer_kinds), "group": _group(), "host": _host()},
    }


def variables_schema(*, balancer_kinds: Collection[str] = ()) -> Schema:
    """A file below ``group_vars`` or ``host_vars``."""
    definitions = _definitions(balancer_kinds)
    variables = definitions.pop("variables")
    return {
        "$schema": DRAFT,
        "title": "fleetdeploy variables",
        "description": "Variables of a group or a host: a file of group_vars/ or host_vars/.",
        **variables,
        "type": ["object", "null"],
        "$defs": definitions,
    }


def _group() -> Schema:
    """A group; Ansible takes ``hosts: name`` for the mapping ``name:``."""
    several: Schema = {"type": ["object", "string", "null"]}
    sections = {
        "hosts": {
            **several,
            "description": "hosts by name, ranges such as gpu[01:16]",
            "propertyNames": {"pattern": _HOST},
            "additionalProperties": {"$ref": "#/$defs/host"},
        },
        "vars": {
            "description": "variables of all its hosts",
            "anyOf": [{"$ref": "#/$defs/variables"}, {"type": "null"}],
        },
        "children": {
            **several,
            "description": "groups inside this one",
            "propertyNames": {"pattern": _CHILD},
            "additionalProperties": {"$ref": "#/$defs/group"},
        },
    }
    assert set(sections) == set(SECTIONS)
    return {
        "description": "A group of hosts.",
        "type": ["object", "null"],
        "properties": sections,
        "additionalProperties": False,
    }


def _host() -> Schema:
    return {"description": "A host's own variables.", "anyOf": [{"$ref": "#/$defs/variables"}, {"type": "null"}]}


def _definitions(balancer_kinds: Collection[str]) -> dict[str, Schema]:
    """``variables`` and everything it refers to."""
    found: dict[str, Schema] = {}
    parts: dict[str, type[BaseModel]] = {GPUS: GpusFields, BALANCER: BalancerFields, "service": ServiceFields}
    for name, model in parts.items():
        schema = fields_schema(model)
        inner = schema.pop("$defs", {})
        if name == BALANCER and balancer_kinds:
            about = schema["properties"]["kind"].get("description", "")
            schema["properties"]["kind"] = {"description": about, "enum": sorted(balancer_kinds)}
        for key, part in {name: schema, **inner}.items():
            found[key] = _loosened(part, partial=name == "service")
    service = {"$ref": "#/$defs/service"}
    properties: Schema = {
        GPUS: {"description": "the GPUs that a host has", "$ref": f"#/$defs/{GPUS}"},
        BALANCER: {"description": "who sends the host its traffic", "$ref": f"#/$defs/{BALANCER}"},
        SERVICES: {
            "description": "what the host shall run; merged key by key from outer group to host, null removes a key",
            "type": ["object", "string"],
            "pattern": TEMPLATE,
            "propertyNames": {"pattern": NAME_PATTERN},
            "additionalProperties": service,
        },
        **{name: _loosened(part, partial=False) for name, part in _connection().items()},
    }
    found["variables"] = {
        "description": "Variables. Reserved ones are checked; all others are free.",
        "type": "object",
        "properties": properties,
        "patternProperties": {"^fleetdeploy_(?!known_hosts$)": False},
    }
    return found


def _connection() -> dict[str, Schema]:
    """Ansible's connection variables, as far as they are followed."""
    address = {"description": "the address to connect to", "type": "string", "pattern": _ADDRESS}
    port = {
        "description": "the port of SSH",
        "type": ["integer", "string"],
        "minimum": 1,
        "maximum": 65535,
        "pattern": "^[1-9][0-9]{0,4}$",
    }
    user = {
        "description": "the user to log in as",
        "type": "string",
        "pattern": r"^[A-Za-z0-9_][A-Za-z0-9_.@\\-]{0,63}$",
    }
    key = {"description": "a private key, relative to the inventory", "type": "string"}
    checking = {"description": "host keys are always checked", "enum": [True, "true", "yes", "True"]}
    return {
        **dict.fromkeys(("ansible_host", "ansible_ssh_host"), address),
        **dict.fromkeys(("ansible_port", "ansible_ssh_port"), port),
        **dict.fromkeys(("ansible_user", "ansible_ssh_user"), user),
        **dict.fromkeys(("ansible_ssh_private_key_file", "ansible_private_key_file"), key),
        **dict.fromkeys(("ansible_host_key_checking", "ansible_ssh_host_key_checking"), checking),
        "fleetdeploy_known_hosts": {"description": "pinned host keys, relative to the inventory", "type": "string"},
        "ansible_ssh_common_args": {
            "description": "-J HOST, -o ProxyJump=HOST and -F FILE",
            "type": ["string", "null"],
        },
        "ansible_connection": {
            "description": "hosts are reached by ssh only",
            "enum": ["ssh", "smart", "paramiko", "paramiko_ssh", "ansible.builtin.ssh"],
        },
        "ansible_become": {"description": "become root on the host, through sudo", "type": ["boolean", "string"]},
        "ansible_become_user": {"enum": ["root"]},
        "ansible_become_method": {"enum": ["sudo", "ansible.builtin.sudo"]},
        "ansible_group_priority": {
            "description": "which of two groups of one depth wins",
            "type": ["integer", "string"],
            "pattern": "^-?[0-9]{1,9}$",
        },
        **{name: {"description": why, "enum": ["", None]} for name, why in _UNUSED.items()},
    }


def _loosened(schema: Schema, *, partial: bool) -> Schema:
    """The schema with an expression allowed for every value; with ``partial``, keys may lack, or be null as well."""
    made = deepcopy(schema)
    for part in list(_parts(made)):
        if partial:
            for key in ("required", "minProperties", "maxProperties"):
                part.pop(key, None)
        _or_template(part)
    if partial:
        _or_null(made)
        for part in list(_parts(made)):
            inner = part.get("additionalProperties")
            by_pattern = part.get("patternProperties", {}).values()
            named = (*part.get("properties", {}).values(), *by_pattern)
            for value in (*named, *([inner] if isinstance(inner, dict) else ())):
                _or_null(value)
    return made


def _parts(schema: Schema) -> Iterator[Schema]:
    """The schema and those of its keys, items and alternatives."""
    yield schema
    inner = [schema.get(key) for key in ("items", "additionalProperties")]
    inner += schema.get("patternProperties", {}).values()
    for value in (*schema.get("properties", {}).values(), *schema.get("anyOf", ()), *inner):
        if isinstance(value, dict):
            yield from _parts(value)


def _or_template(schema: Schema) -> None:
    """Keywords of one type say nothing about values of another, so one more type is all it takes."""
    if "enum" in schema:
        schema["anyOf"] = [{"enum": schema.pop("enum")}, {"type": "string", "pattern": TEMPLATE}]
        return
    if "type" not in schema:
        return  # a reference, or alternatives: their own parts are done
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if "string" not in types:
        schema["type"], schema["pattern"] = [*types, "string"], TEMPLATE
    elif "pattern" in schema:
        schema["pattern"] = f"{schema['pattern']}|{TEMPLATE}"


def _or_null(schema: Schema) -> None:
    if "type" not in schema:
        return
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if "null" not in types:
        schema["type"] = [*types, "null"]
