"""Bugs that a deployer could have, each as a small change to the product, and the tests that have to find it.

A suite that stays green with one of them in place proves nothing about it. Each is applied to a process of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Bug:
    """``apply`` puts it in place; ``found_by`` are the arguments of the pytest run that must fail because of it."""

    what: str
    apply: Callable[[], None]
    found_by: tuple[str, ...]


def _scripts(before: str, after: str) -> None:
    """Change the scripts of the verbs; what is changed must be there, or there is no bug."""
    from fleetdeploy.remote.directory import leases, verbs

    read = verbs.script_of
    assert before in read("files.sh"), f"{before!r} is not in the scripts any longer"

    def changed(name: str) -> str:
        return read(name).replace(before, after)

    for module in (verbs, leases):
        module.script_of = changed


def _rename_before_flush() -> None:
    _scripts('  said=$(sync "$@" 2>&1) && return\n', "  return\n")


def _staged_in_place() -> None:
    _scripts('[ -z "$extra" ] || {', '[ -z "" ] || {')


def _unknown_is_absent() -> None:
    from fleetdeploy.domain.observed import Absent, Unknown
    from fleetdeploy.remote.probe import probe

    read = probe.Frames.reading

    def reading(self: Any, *arguments: Any) -> Any:
        found = read(self, *arguments)
        return Absent() if isinstance(found, Unknown) else found

    probe.Frames.reading = reading  # type: ignore[method-assign]


def _undrain_skipped() -> None:
    from fleetdeploy.tasks import drain, undrain

    for module in (drain, undrain):
        module.put_back = lambda *_, **__: None


def _available_is_proof() -> None:
    from fleetdeploy.tasks import verify
    from fleetdeploy.tasks.activating import proof

    for module in (proof, verify):
        module.answer_golden = lambda *_, **__: 0


def _exit_0_after_revert() -> None:
    from fleetdeploy.rollout import verdict

    verdict.FAILED = 0


def _unreachable_is_no_failure() -> None:
    """What Ansible does: an unreachable host spends nothing of max_fail_percentage."""
    from fleetdeploy.domain import outcome
    from fleetdeploy.rollout import executor, so_far

    for module in (executor, so_far):
        module.FAILURES = frozenset({outcome.HostState.FAILED, outcome.HostState.REVERTED})


def _down_hosts_not_counted() -> None:
    from fleetdeploy.rollout.capacity import admission, capacity, in_service

    made = capacity.Capacity.__init__

    def init(self: Any, *, out: Any, **named: Any) -> None:
        made(self, out=(), **named)

    capacity.Capacity.__init__ = init  # type: ignore[method-assign]
    stand = in_service.standing
    admission.standing = lambda *arguments, **named: replace(stand(*arguments, **named), out=frozenset())


def _journal_after_the_act() -> None:
    from fleetdeploy.domain.events import Kind
    from fleetdeploy.rollout.host import acting

    act = acting.Acting.act

    def late(self: Any, *arguments: Any, **named: Any) -> None:
        emit, held = self.emit, list[tuple[Any, Any]]()

        def hold(kind: Kind, *told: Any, **data: Any) -> None:
            if kind is Kind.STEP_STARTED:
                held.append(((kind, *told), data))
            else:
                emit(kind, *told, **data)

        hold.run = emit.run  # type: ignore[attr-defined]
        self.emit = hold
        try:
            act(self, *arguments, **named)
        finally:
            self.emit = emit
            for told, data in held:
                emit(*told, **data)

    acting.Acting.act = late  # type: ignore[method-assign]


def _undo_not_announced() -> None:
    from fleetdeploy.domain.events import Kind
    from fleetdeploy.rollout.host import acting

    act = acting.Acting.act

    def quiet(self: Any, work: Any, *, committed: bool, undo: bool = False) -> None:
        emit = self.emit

        def tell(kind: Kind, *told: Any, **data: Any) -> None:
            if not undo or kind is not Kind.STEP_STARTED:
                emit(kind, *told, **data)

        tell.run = emit.run  # type: ignore[attr-defined]
        self.emit = tell
        try:
            act(self, work, committed=committed, undo=undo)
        finally:
            self.emit = emit

    acting.Acting.act = quiet  # type: ignore[method-assign]


def _old_version_dropped_first() -> None:
    from fleetdeploy.tfserving import model_config

    model_config.overlap = lambda _before, after, *_, **__: after


def _ok_is_trusted() -> None:
    """A reload that was answered with OK counts as done, and nobody looks at the states."""
    from fleetdeploy.tasks import verify
    from fleetdeploy.tasks.activating import reload, reload_back, replacement, way_back

    for module in (reload, reload_back, replacement, way_back, verify):
        module.await_available = lambda *_, **__: None


def _drain_marker_after_the_drain() -> None:
    from fleetdeploy.tasks.drain import Drain

    def act(self: Any, step: Any, arguments: Any) -> None:
        step.balancer.drain(step.pools, step.server, deadline_s=arguments.timeout)
        step.files.mark_drained(step.run)

    Drain.act = act  # type: ignore[method-assign]


def _lock_not_fenced() -> None:
    _scripts("    mine || lost\n", "    :\n")


def _debt_after_the_drain() -> None:
    from fleetdeploy.rollout.debt import owing

    kept: list[Any] = []
    make = owing.Owing._make

    class Late:
        def __init__(self, debts: Any) -> None:
            self._debts = debts

        def __getattr__(self, name: str) -> Any:
            return getattr(self._debts, name)

        def write(self, debt: Any) -> None:
            kept.append(debt)

    def late(self: Any, *arguments: Any, **named: Any) -> bool:
        kept.clear()
        exposed = bool(make(replace(self, debts=Late(self.debts)), *arguments, **named))
        for debt in kept:
            self.debts.write(debt)
        return exposed

    owing.Owing._make = late  # type: ignore[method-assign]


def _rolled_forward_again() -> None:
    from fleetdeploy.planning import refusals

    refusals.taken_back = lambda _: {}


def _last_good_pruned() -> None:
    from fleetdeploy.tasks import prune

    prune._proven = lambda *_, **__: {}


def _labels_not_looked_at() -> None:
    from fleetdeploy.gates import agreement

    agreement.differences = lambda *_, **__: iter(())


def _signal_not_heard() -> None:
    from fleetdeploy.rollout.interrupt import Interrupts

    Interrupts.check = lambda _: None  # type: ignore[method-assign]


def _foreign_containers_taken() -> None:
    from fleetdeploy.planning import refusals

    refusals._container_refusals = lambda *_, **__: iter(())


SWEEPS = "tests/unit/rollout/test_sweeps.py"
BUGS: Mapping[str, Bug] = {
    "rename-before-flush": Bug(
        "a file is renamed into place before it is flushed to the disk",
        _rename_before_flush,
        ("tests/fleet/remote/test_power_loss.py",),
    ),
    "strange-files-staged": Bug(
        "files that no manifest names get into a version directory",
        _staged_in_place,
        ("tests/fleet/remote/test_remote_stage.py",),
    ),
    "unknown-is-absent": Bug(
        "what could not be read counts as not there", _unknown_is_absent, ("tests/unit/remote/test_probe.py",)
    ),
    "undrain-skipped": Bug("a host is not put back into its balancer", _undrain_skipped, (SWEEPS,)),
    "drain-marked-too-late": Bug(
        "the host records its drain after it happened", _drain_marker_after_the_drain, (SWEEPS,)
    ),
    "available-is-proof": Bug(
        "AVAILABLE counts as proof, and no golden request is asked",
        _available_is_proof,
        ("tests/unit/rollout/test_failures.py",),
    ),
    "reload-trusted": Bug(
        "a reload answered with OK is believed", _ok_is_trusted, ("tests/unit/rollout/test_drain_and_swap.py",)
    ),
    "old-version-dropped-first": Bug(
        "the version that serves leaves memory before the new one has answered", _old_version_dropped_first, (SWEEPS,)
    ),
    "exit-0-after-revert": Bug(
        "a rollout that was taken back ends with 0", _exit_0_after_revert, ("tests/unit/rollout/test_failures.py",)
    ),
    "unreachable-is-no-failure": Bug(
        "hosts that cannot be reached spend nothing of the failure budget",
        _unreachable_is_no_failure,
        ("tests/unit/rollout/test_failures.py",),
    ),
    "down-hosts-not-counted": Bug(
        "hosts that were down before the run do not count against max_unavailable",
        _down_hosts_not_counted,
        ("tests/unit/rollout/test_failures.py",),
    ),
    "journal-after-the-act": Bug(
        "the journal tells of a step when it is over",
        _journal_after_the_act,
        ("tests/unit/rollout/test_deploys.py",),
    ),
    "undo-not-announced": Bug(
        "a step of the way back is done without a record that it is begun",
        _undo_not_announced,
        ("tests/unit/rollout/test_intents.py",),
    ),
    "lock-not-fenced": Bug(
        "a run that lost its lease goes on changing the host", _lock_not_fenced, ("tests/unit/remote/test_leases.py",)
    ),
    "debt-after-the-drain": Bug(
        "a host is kept out of its balancer before it is remembered why",
        _debt_after_the_drain,
        ("tests/unit/rollout/test_debts.py",),
    ),
    "rolled-forward-again": Bug(
        "a release that was taken back is deployed again",
        _rolled_forward_again,
        ("tests/unit/rollout/test_rollback.py",),
    ),
    "last-good-pruned": Bug(
        "prune removes the last good version", _last_good_pruned, ("tests/unit/tasks/test_prune_properties.py",)
    ),
    "labels-not-looked-at": Bug(
        "nobody asks the server for its labels and models after a reload",
        _labels_not_looked_at,
        ("tests/unit/rollout/test_server_traps.py", "tests/unit/gates"),
    ),
    "signal-not-heard": Bug(
        "a signal ends no wait", _signal_not_heard, ("tests/unit/rollout/test_beside_services.py",)
    ),
    "foreign-containers-taken": Bug(
        "a container of our name that is not ours is no reason to stop",
        _foreign_containers_taken,
        ("tests/unit/planning",),
    ),
}
