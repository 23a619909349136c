"""``gpu:`` terms of host patterns: hosts by the GPUs that the inventory declares for them.

``gpu:memory>=40GiB``, ``gpu:count>=4``, ``gpu:model=A100*``, ``gpu:compute_capability>=8.0``. Such a term holds a
character that no host and no group has in its name, so a group called ``gpu`` keeps its meaning everywhere else. A host
that does not declare the property never matches, whatever the comparison; a term that matches no host is refused.
"""

from __future__ import annotations

import fnmatch
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from fleetdeploy.config.fields.gpus import parse_capability
from fleetdeploy.config.fields.values import parse_size
from fleetdeploy.config.syntax.refusal import Refused
from fleetdeploy.config.syntax.suggest import hint_for
from fleetdeploy.domain.inventory import DeclaredGpus, Inventory
from fleetdeploy.errors import PatternError

SELECTOR: Final = re.compile(r"gpu:(?P<key>\w+)(?P<how>[<>]=?|[!=]?=)(?P<value>[^:,]+)")
_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge, ">": operator.gt, "<=": operator.le, "<": operator.lt,
    "=": operator.eq, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
_KEYS = ("memory", "count", "model", "compute_capability")


def hosts_with(inventory: Inventory, term: str, *, order: Sequence[str]) -> tuple[str, ...]:
    """The hosts of ``order`` that declare GPUs as ``term`` asks. Raises PatternError for a bad term, or for none."""
    found = SELECTOR.fullmatch(term)
    assert found is not None
    key, how, value = found["key"], found["how"], found["value"].strip()
    if key not in _KEYS:
        raise PatternError(f"{term!r}: GPUs have no {key!r}", hint=hint_for(key, _KEYS, what="they have"))
    try:
        matches = _matcher(key, how, value)
    except Refused as error:
        raise PatternError(f"{term!r}: {value!r} is {error.message}", hint=error.hint) from None
    chosen = tuple(
        name for name in order if (gpus := inventory.hosts[name].gpus) is not None and gpus.count and matches(gpus)
    )
    if not chosen:
        declaring = sum(host.gpus is not None for host in inventory.hosts.values())
        raise PatternError(
            f"{term!r} matches none of the {declaring} hosts that declare `gpus`",
            hint=f"declared are: {_declared(inventory, key)}" if declaring else "set the variable `gpus` for the hosts",
        )
    return chosen


def _matcher(key: str, how: str, value: str) -> Callable[[DeclaredGpus], bool]:
    """Whether declared GPUs are as asked; false where they do not say. Raises Refused for a value of another kind."""
    compare = _COMPARE[how]
    if key == "model":
        if how not in {"=", "==", "!="}:
            raise Refused("a model's name, which is not larger or smaller", "write gpu:model=A100*")
        return lambda gpus: bool(gpus.model) and _is_model(gpus.model, value) == (how != "!=")
    if key == "count":
        if not re.fullmatch(r"[0-9]{1,4}", value):
            raise Refused("not a number of GPUs", "write gpu:count>=4")
        return lambda gpus: compare(gpus.count, int(value))
    if key == "memory":
        wanted = parse_size(value)
        return lambda gpus: gpus.memory_bytes > 0 and compare(gpus.memory_bytes, wanted)
    capability = _version(parse_capability(value))
    return lambda gpus: bool(gpus.compute_capability) and compare(_version(gpus.compute_capability), capability)


def _is_model(model: str, wanted: str) -> bool:
    """Globs, whatever the case; a name may be given from any of its words on, as ``A100*`` without the maker."""
    name, glob = model.lower(), wanted.lower()
    return fnmatch.fnmatchcase(name, glob) or fnmatch.fnmatchcase(name, f"* {glob}")


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


def _declared(inventory: Inventory, key: str) -> str:
    """The values that hosts declare, for the message."""
    name = "memory_bytes" if key == "memory" else key
    values = {getattr(host.gpus, name) for host in inventory.hosts.values() if host.gpus is not None}
    given = sorted(value for value in values if value)
    texts = [f"{value / 1024**3:g}GiB" if key == "memory" else str(value) for value in given]
    return ", ".join(texts[:8]) or "none"
