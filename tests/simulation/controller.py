"""One run of fleetdeploy against a simulated world, with fresh objects and the project's own playbook."""

from __future__ import annotations

import argparse
import hashlib
import signal
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any
from unittest import mock

from fleetdeploy.cli.binding.calls import fact_refusals
from fleetdeploy.cli.binding.project import bind
from fleetdeploy.cli.changing.rollout import refuse_plan
from fleetdeploy.config.playbook.load import load_playbook
from fleetdeploy.domain.events import Event
from fleetdeploy.domain.inventory import BalancerWish, Connection, Group, Host, Inventory
from fleetdeploy.domain.lease import Holder
from fleetdeploy.domain.outcome import RunOutcome
from fleetdeploy.domain.plan import Plan
from fleetdeploy.domain.playbook import Playbook
from fleetdeploy.domain.service import (
    DesiredModel,
    DesiredService,
    GoldenRequest,
    GpuRequest,
    Manifest,
    ManifestFile,
    ModelVersion,
    ModelWish,
    Ports,
    ServiceWish,
    VersionsWish,
)
from fleetdeploy.errors import FleetdeployError
from fleetdeploy.rollout.bound_play import BoundPlay
from fleetdeploy.rollout.debt.drains import Drains
from fleetdeploy.rollout.debt.ledger import Debts
from fleetdeploy.rollout.debt.owing import Owing
from fleetdeploy.rollout.emitter import FLEETING, Emitter
from fleetdeploy.rollout.executor import Executor
from fleetdeploy.rollout.interrupt import Interrupts
from fleetdeploy.rollout.locks.leases import LeaseKeeper, check_free
from fleetdeploy.rollout.targets import Target, Targets
from fleetdeploy.rollout.verdict import CHANGED, judge
from fleetdeploy.tasks import registry
from fleetdeploy.tfserving import model_config

from .contract import hold_events
from .fleet import SimFleet
from .wire import Trouble, Wire, changes
from .world import POOLS, SERVICE, World

HERE = "me@here"
PLAYBOOK = Path(__file__).parents[2] / "playbooks" / "deploy.yml"


def version(model: str, number: int) -> ModelVersion:
    """A version of two files, one of which all versions share."""
    files = (("saved_model.pb", f"{model}/{number}"), ("variables/variables.index", model))
    listed = (ManifestFile(path, 100, hashlib.sha256(text.encode()).hexdigest()) for path, text in files)
    return ModelVersion(number, Path("/nowhere") / model / str(number), Manifest(tuple(listed)))


def golden(number: int) -> GoldenRequest:
    """Version N answers N."""
    return GoldenRequest(f"answer of {number}", {"x": [[1.0]]}, {"y": [[float(number)]]}, version=number)


@cache
def config_text(models: tuple[tuple[str, tuple[int, ...], tuple[tuple[str, int], ...]], ...]) -> str:
    """``model.config`` for models given as (name, versions, labels)."""
    blocks = []
    for name, numbers, labels in models:
        listed = " ".join(f"versions: {number}" for number in numbers)
        named = " ".join(f'version_labels {{ key: "{label}" value: {number} }}' for label, number in labels)
        blocks.append(
            f'config {{ name: "{name}" base_path: "/models/{name}" model_platform: "tensorflow" '
            f"model_version_policy {{ specific {{ {listed} }} }} {named} }}"
        )
    return model_config.to_text(
        model_config.parse(f"model_config_list {{ {' '.join(blocks)} }}", where="the simulation")
    )


def desired(
    *numbers: int,
    image: str = "serving:1",
    labels: Mapping[str, int] | None = None,
    models: Mapping[str, tuple[int, ...]] | None = None,
    **wishes: Any,
) -> DesiredService:
    """One service: the model ``ranker`` in the versions ``numbers``, or the ``models`` given."""
    wanted = dict(models or {"ranker": numbers})
    named = tuple(sorted((labels or {}).items()))
    wish = ServiceWish(
        name=SERVICE,
        image=image,
        ports=Ports(8500, 8501),
        bind="10.0.0.0/8",
        models=tuple(ModelWish(name, Path("/nowhere"), VersionsWish(wanted[name])) for name in wanted),
        gpus=GpuRequest(devices=(0,)),
        **wishes,
    )
    return DesiredService(
        wish=wish,
        models=tuple(
            DesiredModel(
                name,
                tuple(version(name, number) for number in numbers),
                dict(labels or {}),
                tuple(golden(number) for number in numbers),
            )
            for name, numbers in wanted.items()
        ),
        config_text=config_text(tuple((name, numbers, named) for name, numbers in wanted.items())),
    )


def sim_host(name: str, *, balanced: bool = True) -> Host:
    """An inventory host whose balancer is the world's."""
    wish = BalancerWish("haproxy", "lb", "/run/haproxy.sock", name, {SERVICE: POOLS})
    return Host(name, Connection(name), groups=("gpu",), balancer=wish if balanced else None)


def beyond(bound: Sequence[BoundPlay], by_host: Mapping[str, DesiredService]) -> dict[str, Host]:
    """The hosts of the plays that a run is not about. They shall run the same services."""
    wishes = tuple({item.wish.name: item.wish for item in by_host.values()}.values())
    others = {name: host for play in bound for name, host in play.everyone.items() if name not in by_host}
    return {name: replace(host, services=wishes) for name, host in others.items()}


@cache
def _playbook(path: Path) -> Playbook:
    return load_playbook(path, task_names=registry().keys())


def plays(
    names: Sequence[str],
    *,
    path: Path = PLAYBOOK,
    balanced: bool = True,
    variables: Mapping[str, Mapping[str, object]] | None = None,
    **changes: Any,
) -> tuple[BoundPlay, ...]:
    """The project's playbook bound to ``names``; ``changes`` go to the play that switches over."""
    hosts = {
        name: replace(sim_host(name, balanced=balanced), variables=dict((variables or {}).get(name, {})))
        for name in names
    }
    groups = {name: Group(name, tuple(names)) for name in ("all", "gpu")}
    bound = []
    for play in _playbook(path).plays:
        switching = any(call.name == "activate" for call in play.tasks)
        bound.append(bind(replace(play, **changes) if switching else play, Inventory(hosts, groups), None))
    return tuple(bound)


def one_by_one(work: Callable[[Any], Any], items: Iterable[Any], *, forks: int, at_once: object = ()) -> list[Any]:
    """In place of threads: calls come in the same order every time, so that the Nth one is always the same."""
    assert forks > 0
    return [work(item) for item in items]


_parse = model_config.parse


@lru_cache(maxsize=1000)
def _parsed(text: str) -> Any:
    return _parse(text, where="the simulation")


@contextmanager
def _workers(*, threads: bool) -> Iterator[None]:
    """Threads or none, and every configuration parsed only once: a sweep has thousands of looks at the same few."""
    if threads:
        yield
        return
    with (
        mock.patch.object(model_config, "parse", lambda text, **_: _parsed(text)),
        mock.patch("fleetdeploy.rollout.executor.side_by_side", one_by_one),
        mock.patch("fleetdeploy.rollout.targets.side_by_side", one_by_one),
        mock.patch("fleetdeploy.rollout.taking_back.side_by_side", one_by_one),
        mock.patch("fleetdeploy.rollout.soaking.side_by_side", one_by_one),
        mock.patch("fleetdeploy.rollout.locks.leases.side_by_side", one_by_one),
    ):
        yield


@dataclass
class Run:
    """How one run ended. ``error`` is what a command would have printed instead of a recap, ``events`` are those that
    journals have too.
    """

    outcome: RunOutcome | None
    error: FleetdeployError | None
    calls: list[tuple[str, str]]
    events: list[Event] = field(default_factory=list)
    plan: Plan | None = None

    def __post_init__(self) -> None:
        hold_events(self.events)

    @property
    def code(self) -> int:
        return self.outcome.exit_code if self.outcome else self.error.exit_code if self.error else -1

    @property
    def last_line(self) -> str:
        return self.outcome.last_line if self.outcome else str(self.error)

    @property
    def acts(self) -> list[str]:
        """Calls that can change something."""
        return [f"{host} {method}" for host, method in self.calls if changes(method)]


def deploy(
    world: World,
    wanted: DesiredService | Mapping[str, DesiredService],
    *,
    trouble: Trouble | None = None,
    run_plays: Sequence[BoundPlay] | None = None,
    balanced: bool = True,
    allow_unreachable: bool = False,
    allow_remove: bool = False,
    sinks: Sequence[Any] = (),
    views: Sequence[Any] = (),
    threads: bool = False,
    owner: str = HERE,
    approve: Callable[[str], bool] | None = None,
    ask: Callable[[str], bool] = lambda _: False,
    debts: Debts | None = None,
    again: bool = False,
    prepare: Callable[[Targets, SimFleet], Targets] = lambda targets, _: targets,
    deed: str = CHANGED,
    check: bool = False,
    left_behind: Collection[str] = (),
) -> Run:
    """What ``fleetdeploy deploy`` does after it has read its input; ``check`` only plans. ``left_behind`` are hosts of
    a run before it that was cut off. Lets :class:`Killed` pass.
    """
    with _workers(threads=threads):
        by_host = dict.fromkeys(world.hosts, wanted) if isinstance(wanted, DesiredService) else dict(wanted)
        interrupts = Interrupts(lambda _: None)
        if trouble and trouble.kind == "signal":
            trouble = replace(trouble, on_signal=lambda: setattr(interrupts, "requested", int(signal.SIGINT)))
        wire = Wire(world, trouble or Trouble())
        fleet, events = SimFleet(world, wire), list[Event]()
        stamp = f"T{world.clock.monotonic_s():08.0f}"  # by their ids runs are told apart, and which is the newer one
        found = {name: Target(sim_host(name, balanced=balanced), (item,)) for name, item in by_host.items()}
        bound = run_plays or plays(list(by_host), balanced=balanced)
        targets = Targets(found, stamp, allow_remove, again=again, undecided=partial(fact_refusals, bound))
        drains = Drains(debts) if debts else None
        targets = replace(targets, drains=drains)
        targets = replace(targets, beyond=beyond(bound, by_host))
        wire.who = f"run-{stamp}" if owner == HERE else f"run-{stamp}-{owner}"
        written = lambda event: None if event.kind in FLEETING else events.append(event)  # noqa: E731
        emit = Emitter(wire.who, world.clock, journals=[wire.record, *sinks], views=[written, *views])
        world.count_from_now()
        try:
            targets = prepare(targets, fleet)
        except FleetdeployError as error:
            return Run(None, error, wire.calls, events)
        # The local lock of an owner's only controller: whoever holds it now knows that the one before has ended.
        holder = Holder(emit.run, owner, origin=owner)
        leases = LeaseKeeper(targets, fleet, emit, world.clock, lambda _: holder, 8)
        plan: Plan | None = None
        try:
            plan = targets.observe(fleet, emit, forks=1, check=partial(check_free, holder_of=lambda _: holder))
            refuse_plan(plan, argparse.Namespace(allow_unreachable=allow_unreachable))
            if check:
                return Run(None, None, wire.calls, events, plan)
            executor = Executor(targets, plan, fleet, emit, world.clock, interrupts, 8, approve, ask)
            executor.leases = leases
            executor.owing = (
                Owing(drains, fleet, emit, world.clock, leases.check, lambda: left_behind) if drains else None
            )
            hosts = executor.run(bound)
        except FleetdeployError as error:
            return Run(None, error, wire.calls, events, plan)
        finally:
            leases.release()
        outcome = judge(
            "run",
            hosts,
            allowed=plan.unreachable,
            interrupted=interrupts.requested,
            again="fleetdeploy deploy",
            stopped=executor.stopped,
            held=executor.held,
            exposed=executor.exposed,
            deed=deed,
        )
        return Run(outcome, None, wire.calls, events, plan)
