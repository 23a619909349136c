"""The fake GPUs of lab hosts: cards recorded from real ones, and the files that make a host seem to have them.

A host's ``nvidia-smi`` and its ``nvidia`` runtime both read ``/etc/fdlab/gpus.tsv`` on every call, so a test changes
what a host's GPUs look like (lost card, less free memory) by editing that file on the host.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fleetdeploy.errors import LabError

CARDS = Path(__file__).parent / "gpus"
_UNIT = re.compile(r"-?[0-9.]+ (MiB|%|W|MHz)")
_UUIDS = uuid.UUID("5f2a0b52-6f0e-4c8e-9d0b-0d9a4c7d6c11")


@dataclass(frozen=True)
class Card:
    """A GPU model. ``fields`` holds the answers to ``--query-gpu``, units included, in nvidia-smi's spelling."""

    slug: str
    cuda_version: str
    bus_ids: tuple[str, ...]
    fields: Mapping[str, str]

    @property
    def memory_gib(self) -> int:
        """Whole GiB, as an operator writes it in an inventory; never more than the card has."""
        return int(self.fields["memory.total"].split()[0]) // 1024


def card(slug: str) -> Card:
    """The card in ``gpus/<slug>.json``.

    :raises LabError: there is none; the hint lists those there are.
    """
    path = CARDS / f"{slug}.json"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in CARDS.glob("*.json")))
        raise LabError(f"no recorded GPU {slug!r}", hint=f"recorded are: {known}")
    raw = json.loads(path.read_text())
    return Card(slug, raw["cuda_version"], tuple(raw["bus_ids"]), raw["fields"])


def table(model: Card, count: int, *, host: str) -> str:
    """The contents of ``gpus.tsv``: a line of field names, a line of column titles, one line per GPU."""
    rows = [_gpu(model, index, count, host) for index in range(count)]
    names = list(_gpu(model, 0, count, host))
    titles = [_title(name, model.fields.get(name, "")) for name in names]
    return "".join("\t".join(line) + "\n" for line in [names, titles, *([*row.values()] for row in rows)])


def inventory_facts(model: Card, count: int) -> dict[str, object]:
    """The ``gpus`` variable of an inventory that says the same as the host's ``nvidia-smi``."""
    return {
        "count": count,
        "model": model.fields["name"],
        "memory": f"{model.memory_gib}GiB",
        "compute_capability": model.fields["compute_cap"],
    }


def _gpu(model: Card, index: int, count: int, host: str) -> dict[str, str]:
    return {
        "index": str(index),
        "count": str(count),
        "uuid": f"GPU-{uuid.uuid5(_UUIDS, f'{host}/{index}')}",
        "pci.bus_id": _bus_id(model, index),
        "cuda_version": model.cuda_version,
        **model.fields,
    }


def _bus_id(model: Card, index: int) -> str:
    """A recorded bus number; beyond those, numbers of the same form that no recorded one has."""
    if index < len(model.bus_ids):
        return model.bus_ids[index]
    return f"00000000:{0x80 + index:02X}:00.0"


def _title(name: str, example: str) -> str:
    unit = _UNIT.fullmatch(example)
    return f"{name} [{unit[1]}]" if unit else name
