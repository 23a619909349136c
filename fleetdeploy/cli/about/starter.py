"""The files of a first project, as texts with the user's own names in them. What they are made of is package data."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path, PurePosixPath

from fleetdeploy.tfserving import example_model

IMAGE = "tensorflow/serving:2.19.0-gpu"
NETWORK = "10.0.0.0/8"
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"})
_COLUMN = 47
_BESIDE = re.compile(r"(?m)^(\s*[^#\s].*\S) {2,}# ")
"""What has a comment beside it; names of any length leave all comments below each other."""

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/:@")


@dataclass(frozen=True)
class Wanted:
    """What the user has said of the project. ``models`` are names and sources, as the inventory shall name them;
    without any, an example model is written. ``lab``: the hosts' file and the balancer are the lab's.
    """

    inventory: str = "prod"
    hosts: tuple[str, ...] = ("gpu1.example.net", "gpu2.example.net")
    user: str = ""
    service: str = "serving"
    image: str = IMAGE
    network: str = NETWORK
    models: Mapping[str, str] | None = None
    lab: bool = False


def files_of(wanted: Wanted) -> dict[PurePosixPath, bytes]:
    """Every file of the project by its path in it. The hosts' file of a lab is not among them: the lab writes it."""
    here = PurePosixPath("inventories") / wanted.inventory
    names = {
        # The parts come first: names are filled into them as well.
        "balancer": _text("lab_balancer.yml" if wanted.lab else "balancer.yml"),
        "model": _models(wanted).rstrip("\n"),
        "inventory": str(here),
        "models": str(here / "models"),
        "user": f"    ansible_user: {_scalar(wanted.user)}" if wanted.user else "    # ansible_user: deploy",
        "hosts": "\n".join(f"        {_scalar(host)}:" for host in wanted.hosts),
        "first": wanted.hosts[0],
        "service": wanted.service,
        "image": _scalar(wanted.image),
        "bind": _scalar(wanted.network),
    }
    texts = {
        PurePosixPath(".gitignore"): _text("gitignore"),
        PurePosixPath("fleetdeploy.yml"): _text("settings.yml"),
        PurePosixPath("playbooks/deploy.yml"): _text("deploy.yml"),
        PurePosixPath("templates/model.config.j2"): _text("model.config.j2"),
        here / "group_vars/gpu.yml": _filled(_text("gpu.yml"), names).rstrip("\n") + "\n",
        here / "models/README.md": _filled(_text("models.md"), names) + ("" if wanted.models else _text("example.md")),
    }
    if wanted.lab:
        texts[PurePosixPath(".gitignore")] += f"# The hosts of a lab on one machine.\n/{here}/hosts.yml\n"
    else:
        texts[here / "hosts.yml"] = _filled(_text("hosts.yml"), names)
    found = {path: text.encode() for path, text in texts.items()}
    if not wanted.models:
        found[here / "models" / example_model.NAME / "1/saved_model.pb"] = example_model.saved_model()
        found[here / "golden" / f"{example_model.NAME}.jsonl"] = example_model.golden_line().encode()
    return found


def _models(wanted: Wanted) -> str:
    if not wanted.models:
        return _text("example_model.yml")
    return "".join(
        _filled(_text("own_model.yml"), {"key": _scalar(name), "name": name, "source": _scalar(source)})
        for name, source in wanted.models.items()
    )


def _filled(text: str, names: Mapping[str, str]) -> str:
    for name, value in names.items():
        text = text.replace(f"@{name}@", value)
    return _BESIDE.sub(lambda found: f"{found[1]:<{_COLUMN - 2}}  # ", text)


def _scalar(value: str) -> str:
    """A YAML scalar: quoted unless it is plain for certain."""
    plain = set(value) <= _PLAIN and (value[:1].isalpha() or "/" in value) and not value.endswith(":")
    plain = plain and value.lower() not in _WORDS
    return value if plain else json.dumps(value)


def _text(name: str) -> str:
    return resources.files("fleetdeploy").joinpath("starter").joinpath(name).read_text(encoding="utf-8")


def source_in(inventory_dir: Path, source: Path) -> str:
    """A model's source as the inventory names it: relative where it lies below the inventory's directory."""
    whole, base = source.resolve(), inventory_dir.resolve()
    return whole.relative_to(base).as_posix() if whole.is_relative_to(base) else str(whole)
