"""A whole project in a temporary folder, and the command line run against a simulated fleet."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from simulation.contract import hold_journals, hold_output
from simulation.controller import changes
from simulation.fleet import SimFleet
from simulation.wire import Wire
from simulation.world import World
from unit.rollout.reaching.hosts import FakeHost, FakeReach

from fleetdeploy.cli.main import main
from fleetdeploy.tfserving import stubs

ROOT = Path(__file__).parents[3]
INVENTORY = """\
all:
  hosts:
    lb: {}
  children:
    gpu:
      hosts:
        gpu[1:2]: {}
      vars:
        rack: r1
        services:
          ranking:
            image: serving:1
            gpus: none
            ports: {grpc: 8500, rest: 8501}
            bind: 10.0.0.0/8
            models:
              ranker: {source: models/ranker, versions: [1], golden: golden.jsonl}
        balancer:
          kind: haproxy
          host: lb
          socket: /run/haproxy/admin.sock
          pools: {ranking: [ranking_rest, ranking_grpc]}
"""


@dataclass(frozen=True)
class Result:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def last_line(self) -> str:
        return self.err.rstrip().splitlines()[-1]


@dataclass
class Project:
    """``run("deploy", "-l", "gpu1")`` is that command in this project. ``calls`` are those of the last command."""

    path: Path
    world: World
    capture: Callable[[], tuple[str, str]]
    wires: list[Wire] = field(default_factory=list)

    def run(self, command: str, *arguments: str) -> Result:
        self.wires.clear()
        nouns = [command, *arguments[:1]] if command in {"inventory", "lock"} else [command]
        rest = arguments[len(nouns) - 1 :]
        own = [
            "-i",
            str(self.path / "inventory.yml"),
            "--project",
            str(self.path),
            "--state-dir",
            str(self.path / "state"),
        ]
        try:
            code = main([*nouns, *own, "--no-color", *rest])
        except SystemExit as ended:
            code = int(ended.code or 0)
        result = Result(code, *self.capture())
        hold_output([command, *arguments], result.out)
        hold_journals(self.path / "state/runs")
        return result

    @property
    def acts(self) -> list[str]:
        return [f"{host} {method}" for wire in self.wires for host, method in wire.calls if changes(method)]

    def edit(self, old: str, new: str, *, file: str = "inventory.yml") -> None:
        path = self.path / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Project:
    """Two GPU hosts, a balancer, versions 1 to 3 of one model, the project's own template and playbook."""
    model = stubs.saved_model_pb2.SavedModel(saved_model_schema_version=1)
    graph = model.meta_graphs.add()
    graph.meta_info_def.tags.append("serve")
    graph.signature_def["serving_default"].inputs["x"].dtype = 1
    graph.signature_def["serving_default"].outputs["y"].dtype = 1
    lines = []
    for number in (1, 2, 3):
        directory = tmp_path / "models" / "ranker" / str(number)
        directory.mkdir(parents=True)
        graph.meta_info_def.tensorflow_version = f"2.{number}"
        (directory / "saved_model.pb").write_bytes(model.SerializeToString())
        golden = {
            "name": f"v{number}",
            "version": number,
            "inputs": {"x": [[1.0]]},
            "outputs": {"y": [[float(number)]]},
        }
        lines.append(json.dumps(golden) + "\n")
    (tmp_path / "golden.jsonl").write_text("".join(lines))
    (tmp_path / "inventory.yml").write_text(INVENTORY)
    for name in ("templates", "playbooks"):
        shutil.copytree(ROOT / name, tmp_path / name)
    world = World.of("gpu1", "gpu2", registry=["serving:2"])
    made = Project(tmp_path, world, lambda: tuple(capsys.readouterr()))  # type: ignore[arg-type, return-value]

    def fleet(**_: object) -> SimFleet:
        world.count_from_now()
        made.wires.append(Wire(world))
        return SimFleet(world, made.wires[-1])

    monkeypatch.setattr("fleetdeploy.remote.fleet.SshFleet", fleet)
    # Its thread would make calls whenever it gets to it: tests of its own hold it.
    monkeypatch.setattr("fleetdeploy.rollout.traffic.sampling.sampling", lambda *_: nullcontext())
    monkeypatch.setattr("fleetdeploy.remote.clock.SystemClock", lambda: world.clock)
    for module in ("project", "desired"):
        monkeypatch.setattr(f"fleetdeploy.cli.binding.{module}.SystemClock", lambda: world.clock)
    monkeypatch.setattr("sys.argv", ["fleetdeploy", "deploy", "-i", "inventory.yml"])
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return made


@pytest.fixture
def reach(project: Project, monkeypatch: pytest.MonkeyPatch) -> FakeReach:
    """The way into the project's hosts."""
    made = FakeReach(FakeHost("gpu1"), FakeHost("gpu2"), FakeHost("lb"))
    monkeypatch.setattr("fleetdeploy.remote.reaching.SshReach", lambda _fleet: made)
    return made


@pytest.fixture
def hosts(reach: FakeReach) -> dict[str, FakeHost]:
    """What the project's hosts do when somebody reaches into them."""
    return reach.hosts
