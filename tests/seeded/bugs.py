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


def _files_script(before: str, after: str) -> None:
    """Change the script of the file verbs; what it is changed from must be there, or there is no bug."""
    from fleetdeploy.remote.directory import verbs

    made = verbs.ServiceDirectory.__init__

    def changed(self: Any, *arguments: Any, **named: Any) -> None:
        made(self, *arguments, **named)
        assert before in self._script, f"{before!r} is not in files.sh any longer"
        self._script = self._script.replace(before, after)

    verbs.ServiceDirectory.__init__ = changed  # type: ignore[method-assign]


def _rename_before_flush() -> None:
    _files_script('flush() { sync "$@" 2>/dev/null || sync; }', "flush() { :; }")


def _staged_in_place() -> None:
    _files_script('[ -z "$extra" ] || {', '[ -z "" ] || {')


def _unknown_is_absent() -> None:
    from fleetdeploy.domain.observed import Absent, Unknown
    from fleetdeploy.remote.probe import probe

    read = probe._Frames.reading

    def reading(self: Any, *arguments: Any) -> Any:
        found = read(self, *arguments)
        return Absent() if isinstance(found, Unknown) else found

    probe._Frames.reading = reading  # type: ignore[method-assign]


def _undrain_skipped() -> None:
    from fleetdeploy.tasks import drain, undrain

    for module in (drain, undrain):
        module.put_back = lambda *_, **__: None


def _available_is_proof() -> None:
    from fleetdeploy.tasks import activate, verify

    for module in (activate, verify):
        if hasattr(module, "answer_golden"):
            module.answer_golden = lambda *_, **__: 0


def _exit_0_after_revert() -> None:
    from fleetdeploy.rollout import verdict

    verdict.FAILED = 0


def _unreachable_is_no_failure() -> None:
    """What Ansible does: an unreachable host spends nothing of max_fail_percentage."""
    from fleetdeploy.domain import outcome
    from fleetdeploy.rollout import executor

    executor.FAILURES = frozenset({outcome.HostState.FAILED, outcome.HostState.REVERTED})


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
    from fleetdeploy.rollout.host import host_run

    emit_first = host_run.HostRun.perform

    def perform(self: Any, work: Any) -> None:
        emit, held = self.emit, list[tuple[Any, Any]]()

        class Late:
            run = emit.run

            def __call__(self, kind: Kind, *arguments: Any, **named: Any) -> None:
                if kind is Kind.STEP_STARTED:
                    held.append(((kind, *arguments), named))
                else:
                    emit(kind, *arguments, **named)

        self.emit = Late()
        try:
            emit_first(self, work)
        finally:
            self.emit = emit
            for arguments, named in held:
                emit(*arguments, **named)

    host_run.HostRun.perform = perform  # type: ignore[method-assign]


def _old_version_dropped_first() -> None:
    from fleetdeploy.tfserving import model_config

    model_config.overlap = lambda _before, after, *_, **__: after


def _ok_is_trusted() -> None:
    """A reload that was answered with OK counts as done, and nobody looks at the states."""
    from fleetdeploy.tasks import activate, verify

    for module in (activate, verify):
        if hasattr(module, "await_available"):
            module.await_available = lambda *_, **__: None


def _drain_marker_after_the_drain() -> None:
    from fleetdeploy.tasks.drain import Drain

    def act(self: Any, step: Any, arguments: Any) -> None:
        step.balancer.drain(step.pools, step.server, deadline_s=arguments.timeout)
        step.files.mark_drained(step.run)

    Drain.act = act  # type: ignore[method-assign]


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
    "reload-trusted": Bug("a reload answered with OK is believed", _ok_is_trusted, ("tests/unit/rollout",)),
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
        ("tests/unit/rollout",),
    ),
    "journal-after-the-act": Bug(
        "the journal tells of a step when it is over", _journal_after_the_act, ("tests/unit/rollout",)
    ),
    "foreign-containers-taken": Bug(
        "a container of our name that is not ours is no reason to stop",
        _foreign_containers_taken,
        ("tests/unit/planning",),
    ),
}
