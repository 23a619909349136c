"""Inventories written into a temporary folder, and what is said about the bad ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fleetdeploy.config.inventory.load import load_inventory
from fleetdeploy.errors import InputError

Write = Callable[[dict[str, str]], Path]
SERVICE = """
  ranking:
    image: example/serving:2.19
    ports: {grpc: 8500, rest: 8501}
    bind: 10.0.0.0/8
    gpus: {devices: [0]}
    flags: {enable_batching: true}
    models:
      ranker: {source: models/ranker, versions: [7], labels: {stable: 7}, golden: golden/ranker.jsonl}
"""


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes files below one directory and returns it."""

    def write_all(files: dict[str, str]) -> Path:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return write_all


def problems(*sources: Path, playbook_dir: Path | None = None) -> str:
    """Everything that is said about inventories that are refused, one problem a line."""
    with pytest.raises(InputError) as caught:
        load_inventory(sources, playbook_dir=playbook_dir)
    return "\n".join(map(str, caught.value.problems))


def indented(text: str, spaces: int) -> str:
    """``text`` pushed to the right."""
    return "\n".join(" " * spaces + line if line else line for line in text.splitlines())
