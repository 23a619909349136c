"""``activate`` on a simulated server does what its plan has told, phase by phase."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulation.controller import config_text, desired, sim_host
from simulation.fleet import SimFleet
from simulation.probe import look
from simulation.wire import Killed, Trouble, Wire
from simulation.world import SERVICE, World

from fleetdeploy.domain.observed import Unknown
from fleetdeploy.domain.plan import Activation
from fleetdeploy.domain.server_changes import PhaseKind, ServerPhase
from fleetdeploy.domain.service import DesiredService
from fleetdeploy.errors import NotHealthy
from fleetdeploy.planning.host import plan_host
from fleetdeploy.tasks import registry
from fleetdeploy.tasks.step import Step
from fleetdeploy.tfserving.model_config import NO_MODELS

T = TypeVar("T")
Pairs = set[tuple[str, int]]
Labels = dict[tuple[str, str], int]


@dataclass
class Phase:
    """What happened in one phase: versions that came and that left, labels after it, golden requests."""

    loads: Pairs
    unloads: Pairs
    labels: Labels
    golden: int = 0


@dataclass
class Watched(Wire):
    """Keeps what each reload, and each end and start of a container, did to the server of ``gpu1``."""

    phases: list[Phase] = field(default_factory=list)

    def call(self, host: str, method: str, act: Callable[[], T], *, about: str = "", service: str = "") -> T:
        before = self.memory()
        result = super().call(host, method, act, about=about, service=service)
        self.world.tick()
        after = self.memory()
        if method == "serving.reload" or before != after:
            self.phases.append(Phase(after - before, before - after, self.labels()))
        if method == "serving.predict":
            self.phases[-1].golden += 1
        return result

    def memory(self) -> Pairs:
        server = self.world.hosts["gpu1"].server(SERVICE)
        return {(name, n) for name, numbers in (server.available() if server else {}).items() for n in numbers}

    def labels(self) -> Labels:
        server = self.world.hosts["gpu1"].server(SERVICE)
        found: Mapping[str, Mapping[str, int]] = server.labels if server else {}
        return {(model, label): number for model, labels in found.items() for label, number in labels.items()}


def told(phases: Sequence[ServerPhase], labels: Labels) -> Iterator[Phase]:
    """The phases of a plan in the same terms, from the labels before them."""
    for phase in phases:
        moved = {(move.model, move.label): move.after for step in phase.models for move in step.labels}
        labels = {key: number for key, number in {**labels, **moved}.items() if number is not None}
        yield Phase(
            {(step.model, number) for step in phase.models for number in step.loads},
            {(step.model, number) for step in phase.models for number in step.unloads},
            {} if phase.kind is PhaseKind.STOP else labels,
            sum(len(numbers) for numbers in phase.golden.values()),
        )


def planned(world: World, wanted: DesiredService, wire: Wire) -> Step:
    host = sim_host("gpu1")
    seen = look(world.hosts["gpu1"], [wanted.wish])
    plan = plan_host(host, [wanted], seen, stamp="T1", allow_remove=True)
    assert plan.refusals == ()
    return Step(SimFleet(world, wire).session(host), plan.services[0], "run", world.clock, lambda _: None)


def act(name: str, step: Step) -> None:
    registry()[name].act(step, registry()[name].arguments())


@st.composite
def services(draw: st.DrawFn) -> DesiredService:
    """One to three models with some versions, and labels on them."""
    models, listed = {}, []
    for name in draw(st.lists(st.sampled_from(["embedder", "ranker", "tagger"]), min_size=1, unique=True)):
        numbers = tuple(sorted(draw(st.lists(st.integers(1, 4), min_size=1, max_size=3, unique=True))))
        labels = draw(st.dictionaries(st.sampled_from(["canary", "stable"]), st.sampled_from(numbers)))
        models[name] = numbers
        listed.append((name, numbers, tuple(sorted(labels.items()))))
    service = desired(models=models, image=draw(st.sampled_from(["serving:1", "serving:1", "serving:2"])))
    return replace(service, config_text=config_text(tuple(sorted(listed))))


@settings(max_examples=60, deadline=None)
@given(first=services(), second=services())
def test_activate_does_what_its_plan_tells(first: DesiredService, second: DesiredService) -> None:
    """From nothing to one release, and from that to another: loads, unloads, labels, golden requests of each phase."""
    world = World.of("gpu1", images=["serving:1", "serving:2"])
    for wanted in (first, second):
        act("stage", planned(world, wanted, Wire(world)))
        wire = Watched(world)
        step = planned(world, wanted, wire)
        expected = list(told(step.plan.server.phases, wire.labels()))
        assert bool(expected) is (step.plan.activation is not Activation.NOTHING)
        if expected:
            act("activate", step)
        assert wire.phases == expected
        act("verify", planned(world, wanted, Wire(world)))


@pytest.mark.parametrize("at", range(1, 14))
def test_after_a_killed_run_too(at: int) -> None:
    """Killed before any call of a reload: what the next plan tells is what then happens. Labels are left out, because
    those of a configuration that was written and not loaded are not in force yet, and no server can be asked for them.
    """
    world = World.of("gpu1")
    for name in ("stage", "activate", "verify"):
        act(name, planned(world, desired(1), Wire(world)))
    wanted = desired(2, labels={"stable": 2})
    act("stage", planned(world, wanted, Wire(world)))
    with suppress(Killed):
        act("activate", planned(world, wanted, Wire(world, Trouble("kill", at))))
    wire = Watched(world)
    step = planned(world, wanted, wire)
    expected = list(told(step.plan.server.phases, {}))
    if expected:
        act("activate", step)
    assert [(phase.loads, phase.unloads) for phase in wire.phases] == [(item.loads, item.unloads) for item in expected]
    assert wire.memory() == {("ranker", 2)}


@settings(max_examples=40, deadline=None)
@given(
    first=services(),
    second=services(),
    text=st.sampled_from([None, "", NO_MODELS, "model_config_list {"]),
    recorded=st.booleans(),
)
def test_after_a_file_was_damaged_too(
    first: DesiredService, second: DesiredService, text: str | None, recorded: bool
) -> None:
    """The server serves on without its file. What it has is told of the record, or without one of its states alone:
    then of the wanted models, and of no labels.
    """
    world = World.of("gpu1", images=["serving:1", "serving:2"])
    for name in ("stage", "activate", "verify"):
        act(name, planned(world, first, Wire(world)))
    files = world.hosts["gpu1"].directory(SERVICE)
    files.config_text = text
    if not recorded:
        files.release = None
    act("stage", planned(world, second, Wire(world)))
    wire = Watched(world)
    step = planned(world, second, wire)
    expected = list(told(step.plan.server.phases, wire.labels()))
    act("activate", step)
    if recorded:
        assert wire.phases == expected
        return
    names = {model.name for model in second.models}

    def known(pairs: Pairs) -> Pairs:
        return {(model, number) for model, number in pairs if model in names}

    assert [(phase.loads, known(phase.unloads)) for phase in wire.phases] == [
        (item.loads, item.unloads) for item in expected
    ]


def test_what_nobody_knows_is_not_said_to_be_back() -> None:
    """Without a file, a record or an answer there is nothing to go back to: an undo fails instead of looking right."""
    world = World.of("gpu1")
    for name in ("stage", "activate", "verify"):
        act(name, planned(world, desired(1), Wire(world)))
    files = world.hosts["gpu1"].directory(SERVICE)
    files.config_text, files.release = None, None
    step = planned(world, desired(2), Wire(world))
    silent = replace(step.plan.observed, served={"ranker": Unknown("timeout")})
    step = replace(step, plan=replace(step.plan, observed=silent))
    with pytest.raises(NotHealthy, match="nothing tells what the container before served"):
        registry()["activate"].undo(step, registry()["activate"].arguments())
    assert files.config_text is None
