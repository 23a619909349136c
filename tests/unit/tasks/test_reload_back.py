"""A reload that is taken back under traffic: what answers is given up for nothing that does not answer yet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import pytest
from simulation.controller import desired, golden, sim_host
from simulation.fleet import SimFleet
from simulation.model_server import ModelServer, Quality
from simulation.probe import look
from simulation.wire import Killed, Trouble, Wire
from simulation.world import SERVICE, World

from fleetdeploy.domain.plan import Activation
from fleetdeploy.domain.service import DesiredService
from fleetdeploy.errors import DeadlineExceeded, InputError, NotHealthy, ReloadRefused
from fleetdeploy.planning.host import plan_host
from fleetdeploy.tasks import registry
from fleetdeploy.tasks.activating.reload_back import reload_back
from fleetdeploy.tasks.step import Step
from fleetdeploy.tfserving import model_config

T = TypeVar("T")


def asked(service: DesiredService) -> DesiredService:
    """Golden requests of both versions, whichever is wanted."""
    return replace(service, models=tuple(replace(item, golden=(golden(1), golden(2))) for item in service.models))


V1, V2 = asked(desired(1)), asked(desired(2))
ONE, TWO = desired(1, labels={"stable": 1}), desired(2, labels={"stable": 2})


@dataclass
class Told(Wire):
    """Keeps what was in memory after each reload; ``before`` happens before one, by its number from 1."""

    memory: list[tuple[int, ...]] = field(default_factory=list)
    labels: list[dict[str, int]] = field(default_factory=list)
    before: dict[int, Callable[[], None]] = field(default_factory=dict)
    reloads: int = 0

    def call(self, host: str, method: str, act: Callable[[], T], *, about: str = "", service: str = "") -> T:
        if method == "serving.reload":
            self.reloads += 1
            self.before.get(self.reloads, lambda: None)()
        result = super().call(host, method, act, about=about, service=service)
        self.world.record()
        process = self.world.hosts[host].server(SERVICE)
        if method == "serving.reload" and process is not None:
            self.memory.append(process.available().get("ranker", ()))
            self.labels.append(dict(process.labels.get("ranker", {})))
        return result


@dataclass
class Place:
    """``gpu1``, which has no balancer: requests come in all the time."""

    world: World
    said: list[str] = field(default_factory=list)
    wire: Any = None

    def step(self, wanted: DesiredService) -> Step:
        host = sim_host("gpu1", balanced=False)
        plan = plan_host(host, [wanted], look(self.world.hosts["gpu1"], [wanted.wish]), stamp="T1")
        assert plan.refusals == ()
        self.wire = Told(self.world)
        return Step(SimFleet(self.world, self.wire).session(host), plan.services[0], "run", self.world.clock,
                    self.said.append)  # fmt: skip

    def server(self) -> ModelServer:
        process = self.world.hosts["gpu1"].server(SERVICE)
        assert process is not None
        return process

    def config(self) -> str | None:
        return self.world.hosts["gpu1"].directory(SERVICE).config_text

    def spoil(self, number: int, quality: Quality) -> None:
        self.world.hosts["gpu1"].quality[("ranker", number)] = quality


def do(step: Step, *names: str) -> None:
    for name in names:
        task = registry()[name]
        task.act(step, task.arguments())


def served(wanted: DesiredService) -> Place:
    place = Place(World.of("gpu1"))
    for name in ("stage", "activate", "verify"):
        do(place.step(wanted), name)
    return place


def switched(place: Place, wanted: DesiredService) -> Step:
    """The step of the run that has switched over to ``wanted``; from now on it is counted what it does."""
    do(place.step(wanted), "stage")
    step = place.step(wanted)
    do(step, "activate")
    place.wire.memory, place.wire.labels, place.wire.reloads = [], [], 0
    place.said.clear()
    return step


def undo(step: Step) -> None:
    task = registry()["activate"]
    task.undo(step, task.arguments())


def test_the_new_version_stays_until_the_old_one_answers() -> None:
    """Both are in memory before one leaves it, and the one that stays has answered by then."""
    place = served(V1)
    undo(switched(place, V2))
    assert place.wire.memory == [(1, 2), (1,)]
    assert place.world.lost == []
    assert place.config() == V1.config_text
    assert place.said == []


def test_what_is_still_in_memory_is_not_loaded_beside_itself() -> None:
    """A first half that failed has left the old version where it was: one reload takes the new one out."""
    place = served(V1)
    do(place.step(V2), "stage")
    place.spoil(2, Quality.NO_VARIABLES)
    step = place.step(V2)
    with pytest.raises(NotHealthy):
        do(step, "activate")
    undo(step)
    assert place.wire.memory == [(1, 2), (1,)]
    assert place.config() == V1.config_text


def test_a_version_that_is_on_its_way_out_is_called_back_first() -> None:
    """AVAILABLE is not enough where the list that the server was told last does not name the version any more."""
    place = served(V1)
    do(place.step(V2), "stage")
    step = place.step(V2)
    step.files.write_config(V2.config_text)
    undo(step)
    assert place.wire.memory == [(1, 2), (1,)]


def test_labels_stay_where_they_are_until_both_versions_are_there() -> None:
    """No label is ever without a version, and the server refuses none."""
    place = served(ONE)
    undo(switched(place, TWO))
    assert place.wire.labels == [{"stable": 2}, {"stable": 1}]
    assert place.said == []


def test_what_does_not_fit_beside_the_new_version_follows_it() -> None:
    """Versions that are too large for one memory are never loaded together."""
    place = served(V1)
    step = switched(place, V2)
    step = replace(step, plan=replace(step.plan, apart=True))
    reload_back(step, V1.config_text, recorded=True, timeout_s=9.0, grace_s=1.0, alive=None)
    assert place.wire.memory == [(1,)]


def refuse() -> None:
    raise ReloadRefused("INVALID_ARGUMENT: no")


@pytest.mark.parametrize("why", ["refused", "restarted", "hung", "no way"])
def test_it_goes_back_at_once_where_both_cannot_be_had(why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever comes between, what served before serves in the end, as if nothing had been tried before."""
    place = served(V1)
    step = switched(place, V2)

    def restarts() -> None:
        place.server().exited = True
        place.world.tick()

    def hangs() -> None:
        process = place.server()
        process.stuck = True
        place.wire.before = {2: lambda: setattr(process, "stuck", False)}

    def led_nowhere(_: str, __: str) -> str:
        raise InputError("model 'ranker' changes its base_path")

    place.wire.before = {1: {"refused": refuse, "restarted": restarts, "hung": hangs}.get(why, lambda: None)}
    if why == "no way":
        monkeypatch.setattr(model_config, "overlap", led_nowhere)
    began_s = place.world.clock.monotonic_s()
    undo(step)
    assert place.world.clock.monotonic_s() - began_s < 100, "no wait came to its deadline"
    assert place.wire.memory[-1] == (1,)
    assert place.config() == V1.config_text
    assert place.server().available() == {"ranker": (1,)}
    assert [text for text in place.said if "and not beside them" in text]


def test_a_lost_answer_is_no_reason_to_give_up() -> None:
    """The list is sent once more, and the old version answers before the new one goes."""
    place = served(V1)
    step = switched(place, V2)
    place.wire.before = {1: lambda: setattr(place.wire, "trouble", Trouble("drop", len(place.wire.calls) + 1))}
    undo(step)
    assert place.wire.memory == [(1, 2), (1,)]
    assert place.world.lost == []


def test_without_docker_the_old_version_answers_first_as_well() -> None:
    """The server is reached past Docker, and nobody who sends it requests finds that out."""
    place = served(V1)
    step = switched(place, V2)
    place.world.hosts["gpu1"].docker = False
    undo(step)
    assert place.wire.memory == [(1, 2), (1,)]
    assert place.world.lost == []


@pytest.mark.parametrize("new", [Quality.GOOD, Quality.NO_VARIABLES])
def test_a_version_that_answers_is_kept_beside_an_old_one_that_does_not(new: Quality) -> None:
    """The way back has failed then; where neither answers there is nothing to keep."""
    place = served(V1)
    step = switched(place, V2)
    place.spoil(1, Quality.NO_VARIABLES)
    place.server().versions["ranker"][2].quality = new
    with pytest.raises(NotHealthy, match="ranker version 1"):
        undo(step)
    kept = new is Quality.GOOD
    assert place.server().available() == {"ranker": (1, 2) if kept else (1,)}
    both = model_config.overlap(V2.config_text, V1.config_text)
    assert model_config.without_doubt(place.config()) == (both if kept else V1.config_text)


def test_another_answer_than_todays_golden_file_has_is_told_and_goes_back() -> None:
    """It is an answer, and the golden file may be what is wrong."""
    place = served(V1)
    step = switched(place, V2)
    place.spoil(1, Quality.WRONG)
    undo(step)
    assert place.wire.memory == [(1, 2), (1,)]
    assert [text for text in place.said if "golden file does not agree with" in text]


def test_what_was_never_recorded_is_loaded_beside_the_new_version_too() -> None:
    """There is nothing that it could be held to, but it is AVAILABLE before anything leaves memory."""
    place = served(V1)
    files = place.world.hosts["gpu1"].directory(SERVICE)
    files.release = None
    step = switched(place, V2)
    place.spoil(1, Quality.NO_VARIABLES)
    undo(step)
    assert place.wire.memory == [(1, 2), (1,)]
    assert files.release is None


def test_a_way_back_that_dies_before_its_reload_leaves_the_file_in_doubt() -> None:
    """Versions and record are as before by then, and only the mark tells the next run that the labels are not."""
    here, there = desired(1, 2, labels={"stable": 1}), desired(1, 2, labels={"stable": 2})
    place = served(here)
    step = switched(place, there)
    place.wire.before = {1: die}
    with pytest.raises(Killed):
        undo(step)
    assert place.server().labels == {"ranker": {"stable": 2}}
    assert place.config() == model_config.in_doubt(here.config_text)
    assert place.step(here).plan.activation is Activation.RELOAD


def die() -> None:
    raise Killed


def test_a_way_back_whose_last_reload_nobody_answers_leaves_the_file_in_doubt() -> None:
    """The versions are there, the label is not: the mark goes only when the server has all of the file."""
    here, there = desired(1, 2, labels={"stable": 1}), desired(1, 2, labels={"stable": 2})
    place = served(here)
    step = switched(place, there)
    place.wire.before = {1: unanswered}
    undo(step)
    assert place.server().labels == {"ranker": {"stable": 2}}
    assert place.config() == model_config.in_doubt(here.config_text)


def unanswered() -> None:
    raise DeadlineExceeded("the reload was not answered")
