"""Commands that are cut off at one of their journal's records, and what the same command has to do after that."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from simulation.controller import Run, deploy, desired, golden, plays, sim_host
from simulation.debts import SimDebts
from simulation.model_server import Quality
from simulation.rollback import back_plays, rollback
from simulation.wire import Killed, Trouble
from simulation.world import SERVICE, Serving, World, converged

from fleetdeploy.domain.events import Kind
from fleetdeploy.domain.playbook import Quantity
from fleetdeploy.domain.service import DesiredService

from .fleets import NEW_IMAGE, V1, V2, dangers, new, settled, spoil

PAIR = ("gpu1", "gpu2")
THREE = ("gpu1", "gpu2", "gpu3")
NEW_BOTH = desired(2, image="serving:2")
V2_ASKED_AS_V1 = replace(V2, models=(replace(V2.models[0], golden=(golden(1), golden(2))),))
"""Its golden file still has what version 1 answers, so that the way back can be held to it as well."""
CONFIRM_S = 30.0
FAR_S = 3000.0
"""Later than any watchdog of these scenes."""
KINDS = ("kill", "SIGINT", "exception", "power cut")
TRAFFIC = ("drain", "activate", "verify", "undrain")


@dataclass
class Place:
    """A fleet and the ledger of its controller."""

    world: World
    debts: SimDebts = field(default_factory=SimDebts)


@dataclass(frozen=True)
class Scene:
    """``command`` brings the place that ``start`` makes to ``goal`` and ends with ``code``; ``before`` is what was
    proven there last, if anything. Hosts that are ``away`` from the start are back before the command is given again.
    """

    start: Callable[[], Place]
    command: Callable[..., Run]
    goal: DesiredService
    before: DesiredService | None = None
    away: tuple[str, ...] = ()
    code: int = 0
    steps: tuple[str, ...] = TRAFFIC

    def place(self) -> Place:
        found = self.start()
        for name in self.away:
            found.world.hosts[name].reachable = False
        return found

    def kinds(self) -> list[Kind]:
        """The records of the command's journal when nothing comes between."""
        run = self.command(self.place(), allow_unreachable=bool(self.away))
        assert run.code in {self.code, 8}, run.last_line
        return [event.kind for event in run.events]


def _deploys(wanted: DesiredService, *, balanced: bool = True, **keys: Any) -> Callable[..., Run]:
    def command(place: Place, **more: Any) -> Run:
        bound = plays(list(place.world.hosts), balanced=balanced, **keys)
        return deploy(place.world, wanted, run_plays=bound, debts=place.debts, balanced=balanced, **more)

    return command


def _goes_back(inventory: DesiredService, **keys: Any) -> Callable[..., Run]:
    """By name: without one, the command given again would go one release further back."""

    def command(place: Place, **more: Any) -> Run:
        files = place.world.hosts["gpu1"].directory(SERVICE)
        assert files.history is not None
        bound = back_plays(list(place.world.hosts), **keys)
        options = {"run_plays": bound, "debts": place.debts, **more}
        return rollback(place.world, inventory, files.history[0].content_hash, **options)

    return command


def _settled(*names: str) -> Callable[[], Place]:
    return lambda: Place(settled(*names))


def _upgraded(wanted: DesiredService) -> Callable[[], Place]:
    """Both versions are proven there, one after the other."""

    @cache
    def world() -> World:
        made = settled(*PAIR)
        assert deploy(made, wanted).code == 0
        return made

    return lambda: Place(world().copy())


def _broken() -> Place:
    """Version 2 is AVAILABLE and answers nothing."""
    place = Place(settled(*PAIR))
    spoil(place.world, 2, Quality.NO_VARIABLES)
    return place


def _owing() -> Place:
    """A host that others have left behind, and that nobody sends requests to, is back."""
    scene = SCENES["without a host"]
    place = scene.place()
    assert scene.command(place, allow_unreachable=True).code == 8
    place.world.hosts["gpu2"].reachable = True
    place.world.taken_out.clear()
    return place


def _owed_elsewhere() -> Place:
    """The same, met by another controller: only the balancer's note tells of it."""
    return replace(_owing(), debts=SimDebts())


SCENES: Mapping[str, Scene] = {
    "first deploy": Scene(lambda: Place(new(*PAIR)), _deploys(V1), V1),
    "upgrade by reload": Scene(_settled(*PAIR), _deploys(V2), V2, V1),
    "upgrade by replacement": Scene(_settled(*PAIR), _deploys(NEW_IMAGE), NEW_IMAGE, V1),
    "rollback by reload": Scene(_upgraded(V2), _goes_back(V2), V1, V2),
    "rollback by replacement": Scene(_upgraded(NEW_BOTH), _goes_back(NEW_BOTH), V1, NEW_BOTH),
    "watched reload": Scene(_settled(*PAIR), _deploys(V2, confirm_timeout_s=CONFIRM_S), V2, V1),
    "watched replacement": Scene(_settled(*PAIR), _deploys(NEW_IMAGE, confirm_timeout_s=CONFIRM_S), NEW_IMAGE, V1),
    "watched rollback": Scene(_upgraded(V2), _goes_back(V2, confirm_timeout_s=CONFIRM_S), V1, V2),
    "without a host": Scene(_settled(*THREE), _deploys(V2, max_unavailable=Quantity(2)), V2, V1, away=("gpu2",)),
    "reload without a balancer": Scene(
        _settled(*PAIR), _deploys(V2_ASKED_AS_V1, balanced=False), V2, V1, steps=("activate", "verify")
    ),
    "with a debt to pay": Scene(_owing, _deploys(V2), V2, V1),
    "with another's debt to pay": Scene(_owed_elsewhere, _deploys(V2), V2, V1),
    "taken back": Scene(_broken, _deploys(V2), V1, V1, code=3),
    "watched and taken back": Scene(_broken, _deploys(V2, confirm_timeout_s=CONFIRM_S), V1, V1, code=3),
}
MAIN = tuple(SCENES)[:5]


@dataclass
class Cut:
    """One case: the command is cut off by ``kind`` before the ``at``-th record of its journal is written. ``late`` is
    whether all watchdogs act before it is given again.
    """

    scene: Scene
    kind: str
    at: int
    late: bool = False
    found: list[str] = field(default_factory=list)

    def check(self) -> list[str]:
        """Cut it off, then the same command twice: everything that is not as it has to be."""
        place = self.scene.place()
        allowed = 2 if self.scene.away else 1
        was_out = sum(not place.world.hosts[name].reachable for name in place.world.hosts)
        before = place.world.serves_all()
        run = self._cut_off(place)
        if run is not None:
            self._judge_interrupted(place.world, run, before)
        # A host without power is one that is out besides.
        self._dangers(place.world, allowed + (self.kind == "power cut"), was_out)
        self._heal(place.world)
        if self.late:
            place.world.clock.skip(FAR_S)
            place.world.record()
        self._answers(place.world, before)
        came_back = [name for name in place.world.hosts if not place.world.in_service(name)]
        due = {name: self._due(place, name) for name in place.world.hosts}
        place.world.clock.skip(1)
        again = self.scene.command(place)
        self.found.extend([] if again.code == self.scene.code else [f"the second run: {again.code}, {again.last_line}"])
        self.found.extend(converged(place.world, self.scene.goal))
        self._dangers(place.world, allowed, 0)
        self._kept(place.world)
        if self.scene.code == 0:
            self.found.extend(self._out_of_order(again, due, came_back))
        self.found.extend([f"{debt.host} still owes" for _, debt in place.debts.everybodys()])
        place.world.clock.skip(1)
        third = self.scene.command(place)
        if third.code != self.scene.code or (third.acts and third.code == 0):
            self.found.extend([f"the third run: {third.code}, {third.last_line}, {third.acts}"])
        return self.found

    def _cut_off(self, place: Place) -> Run | None:
        """The first run, as far as it came: None where it could not even say how it ended."""

        def power(name: str) -> None:
            # Where no host is at hand, the one that is due next.
            at_hand = name or next(item for item in place.world.hosts if item not in self.scene.away)
            place.world.hosts[at_hand].lose_power()

        kind = {"kill": "kill", "SIGINT": "signal", "exception": "bug", "power cut": "meanwhile"}[self.kind]
        try:
            return self.scene.command(
                place,
                trouble=Trouble(kind, self.at, meanwhile=power, count="records"),
                allow_unreachable=bool(self.scene.away),
            )
        except (Killed, ZeroDivisionError):
            return None

    def _heal(self, world: World) -> None:
        for name, host in world.hosts.items():
            if host.off:
                host.get_power()
            if name in self.scene.away:
                host.reachable = True
        world.record()

    def _judge_interrupted(self, world: World, run: Run, before: Mapping[str, Serving]) -> None:
        """I6, and the exit code of I9: who answers gets requests, unless the run said that nobody knows."""
        assert run.outcome is not None or run.error is not None
        mixed = {name for name, item in run.outcome.hosts.items() if item.mixed} if run.outcome else set()
        for name, host in world.hosts.items():
            now = world.serves(name)
            was_out = bool(before[name].versions) and not before[name].traffic
            if host.reachable and name not in mixed and now.versions and not now.traffic and not was_out:
                self.found.extend([f"the run ended with {run.code} and left {name} drained: {run.last_line}"])
        if self.kind == "SIGINT" and run.code not in {130, 4, 0, 8}:
            self.found.extend([f"a signal ended with {run.code}: {run.last_line}"])

    def _dangers(self, world: World, allowed: int, was_out: int) -> None:
        """I1, I2 and I3."""
        self.found.extend(dangers(world, most_out=max(allowed, was_out)))
        self.found.extend(
            [f"{item} while too many were out" for item in world.taken_out if len(item.others) >= allowed]
        )
        for name, host in world.hosts.items():
            for number, item in host.directory(SERVICE).versions.get("ranker", {}).items():
                if sum(item.sizes_bytes.values()) != 200 or not item.manifest_digest:
                    self.found.extend([f"{name}: version {number} is not whole"])

    def _answers(self, world: World, before: Mapping[str, Serving]) -> None:
        """I3: whoever gets requests as before answers them, from the old version or the new one."""
        for name, now in world.serves_all().items():
            if now.traffic and before[name].traffic and not all(numbers for _, numbers in now.versions):
                self.found.extend([f"{name} gets requests and answers none"])

    def _kept(self, world: World) -> None:
        """I4: what was good before stays on disk and in the history."""
        for name, host in world.hosts.items() if self.scene.before else ():
            files = host.directory(SERVICE)
            assert self.scene.before is not None
            wanted = {number for model in self.scene.before.models for number in model.wanted}
            if not wanted <= set(files.versions["ranker"]):
                self.found.extend([f"{name}: the last good version is gone from the disk"])
            if not any(set(line.models["ranker"]) == wanted for line in files.history or ()):
                self.found.extend([f"{name}: the last good release is gone from the history"])

    def _due(self, place: Place, name: str) -> list[tuple[str, ...]]:
        """The steps that may bring this host to the goal, by what is there now: one of these, in this order."""
        world, goal = place.world, self.scene.goal
        files, now = world.hosts[name].directory(SERVICE), world.serves(name)
        proven = files.release is not None and files.release.config_text == goal.config_text
        proven = proven and files.release is not None and files.release.container["image"] == goal.wish.image
        wanted = tuple((model.name, model.wanted) for model in goal.models)
        there = (now.versions, now.image, files.config_text) == (wanted, goal.wish.image, goal.config_text)
        debt = place.debts.of(sim_host(name))
        paid = {note.run for (_, server), note in world.notes.items() if server == name and note.paid}
        owes = debt is not None and debt.drained and debt.run not in paid
        marked = files.drained_by is not None or owes or world.kept_out(name)
        if proven and there:
            return [("undrain",)] if marked else [()]
        if there and not marked:
            return [("activate", "verify")]
        return [self.scene.steps]

    def _out_of_order(
        self, run: Run, due: Mapping[str, Sequence[tuple[str, ...]]], came_back: Sequence[str]
    ) -> list[str]:
        """The steps of the second run, host by host: those that were out first, then the first that is not finished."""
        steps = [(event.host, event.task) for event in run.events
                 if event.kind is Kind.STEP_STARTED and event.task in TRAFFIC]  # fmt: skip
        wrong = [f"{name}: did {did}, should do {due[name]}" for name in due
                 if (did := tuple(task for host, task in steps if host == name)) not in due[name]]  # fmt: skip
        order = list(dict.fromkeys(host for host, _ in steps))
        right = sorted(order, key=lambda name: (name not in came_back, name))
        if steps != sorted(steps, key=lambda item: order.index(item[0])) or order != right:
            wrong.append(f"not host by host in their order: {steps}")
        idle = {name for name, ways in due.items() if ways == [()]}
        wrong += [f"{act} on a host that was finished" for act in run.acts if act.split(" ")[0] in idle]
        return wrong


CELLS = tuple((name, kind) for name in SCENES for kind in KINDS)


def cuts_of(name: str, kind: str) -> list[Cut]:
    """Every case of one cell of the table; a watchdog may act before the command is given again, or not."""
    scene = SCENES[name]
    late = (False, True) if name.startswith("watched") else (False,)
    return [Cut(scene, kind, at, wait) for at in range(1, len(scene.kinds()) + 1) for wait in late]
