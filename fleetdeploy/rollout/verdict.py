"""From every host's outcome to the run's exit code and its last line."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from fleetdeploy.domain.outcome import FAILURES, HostOutcome, HostState, RunOutcome
from fleetdeploy.rollout.naming import named

OK, FAILED, MIXED, SOME_SKIPPED, HELD = 0, 3, 4, 8, 9
CHANGED = "changed"


def judge(
    run: str,
    hosts: Mapping[str, HostOutcome],
    *,
    allowed: Collection[str],
    interrupted: int,
    again: str,
    stopped: str = "",
    held: bool = False,
    pending: Collection[str] = (),
    deed: str = CHANGED,
    exposed: Sequence[str] = (),
) -> RunOutcome:
    """The run's outcome.

    ``allowed`` are hosts that were unreachable before the run began and that it was told to go on without,
    ``interrupted`` is a signal number or 0, ``again`` the command that continues the run, ``stopped`` why the run
    ended early, ``held`` that a person did not agree to its going on, ``pending`` the hosts that need more than the
    tasks that were chosen do, ``deed`` what the run does to a host, in one word, ``exposed`` the hosts that could not
    be reached and may still get requests with what they served before. Exit code 3 is kept for the case that every
    touched host is back on what it served before; a host that was changed and stays so while another failed makes the
    fleet mixed. So does a failure after all of them were switched over: nothing is back, and a person is needed.
    """
    ended = _Ended(hosts, allowed, interrupted, again, stopped, held, pending, deed)
    code, text, *then = next(told(ended) for holds, told in _ENDS if holds(ended))
    if code != FAILED:
        text += _exposed(exposed, hosts)
    # The command comes last, to be copied.
    return RunOutcome(run, code, "; ".join([text, *then]), hosts, again if code else "")


@dataclass(frozen=True)
class _Ended:
    """A run that is over, with the names of its hosts by what became of them; the fields are those of `judge`."""

    hosts: Mapping[str, HostOutcome]
    allowed: Collection[str]
    interrupted: int
    again: str
    stopped: str
    held: bool
    pending: Collection[str]
    deed: str

    def those(self, are: Callable[[HostOutcome], bool]) -> list[str]:
        return [name for name, item in self.hosts.items() if are(item)]

    @property
    def mixed(self) -> list[str]:
        return self.those(lambda item: item.mixed)

    @property
    def activated(self) -> list[str]:
        return self.those(lambda item: item.activated)

    @property
    def failed(self) -> list[str]:
        return [name for name in self.those(lambda item: item.state in FAILURES) if name not in self.allowed]

    @property
    def behind(self) -> list[str]:
        """Those that were to be switched over, or put back, and are not."""
        left_out = self.those(lambda item: item.state is HostState.SKIPPED)
        return [
            name
            for name in (*self.failed, *left_out)
            if not self.hosts[name].activated and not self.hosts[name].as_wanted
        ]

    @property
    def blame(self) -> str:
        """The hosts that failed by themselves, or else what ended the run."""
        own = [name for name in self.failed if not self.hosts[name].taken_back]
        return named(own) if own else self.stopped

    @property
    def left(self) -> str:
        """What is said of hosts that somebody else keeps out of their balancers."""
        ways: dict[str, list[str]] = {}
        for name in self.those(lambda item: bool(item.withheld)):
            ways.setdefault(self.hosts[name].withheld, []).append(name)
        told = " and ".join(f"{named(names)} left {way}" for way, names in ways.items())
        return f"{told}, which fleetdeploy did not ask for" if told else ""

    @property
    def aside(self) -> str:
        return f" ({self.left})" if self.left else ""

    @property
    def switched(self) -> str:
        return f"{named(self.activated)} switched over" if self.activated else "nothing was switched over"


_End = tuple[int, str] | tuple[int, str, str]
"""An exit code, a last line, and what to do with the command that it ends with."""


def _not_known(run: _Ended) -> _End:
    kept = run.those(lambda item: item.taken_back and item.state is HostState.CHANGED)
    also = f", {named(kept)} {run.deed} and not taken back" if kept else ""
    unknown = [name for name in run.mixed if not run.hosts[name].withheld]
    told = [f"{named(unknown)}: not known to serve what it served before"] if unknown else []
    text = "; ".join([*told, *filter(None, [run.left])]) + also
    return MIXED, f"FAILED: {text}", f"look with `fleetdeploy status`, mend it, then: {run.again}"


def _interrupted(run: _Ended) -> _End:
    also = f", failed {named(run.failed)}{run.aside}" if run.failed else ""
    return 128 + run.interrupted, f"INTERRUPTED: {run.switched}{also}", f"continue with: {run.again}"


def _held(run: _Ended) -> _End:
    return HELD, f"HELD: {run.stopped}; {run.switched}", f"go on with: {run.again}"


def _mixed(run: _Ended) -> _End:
    fleet = f"the fleet is mixed: {named(run.activated)} {run.deed}"
    return MIXED, f"FAILED: {run.blame}{run.aside}; {fleet}", f"mend it, then: {run.again}"


def _as_before(run: _Ended) -> _End:
    reverted = run.those(lambda item: item.state is HostState.REVERTED)
    state = f"{named(reverted)} reverted, " if reverted else ""
    # Of hosts that were not touched nobody says that they serve: one of them may be why it stopped.
    lost = not run.failed or any(run.hosts[name].state is HostState.UNREACHABLE for name in run.failed)
    every = "every host that was touched" if lost else "every other host" if run.left else "every host"
    left = f", {run.left}" if run.left else ""
    undone = "" if run.deed == CHANGED else f"nothing was {run.deed}; "
    return FAILED, f"FAILED: {run.blame}; {undone}{state}{every} serves what it served before{left}"


def _late(run: _Ended) -> _End:
    what = (named(run.failed) if run.failed else run.stopped) + run.aside
    return MIXED, f"FAILED: {what}, after every host was switched over", f"mend it, then: {run.again}"


def _stopped(run: _Ended) -> _End:
    return FAILED, f"FAILED: {run.stopped}; every host serves what it served before"


def _well(run: _Ended) -> _End:
    changed = run.those(lambda item: item.state is HostState.CHANGED)
    skipped = [name for name in run.hosts if name in run.allowed]
    total = "1 host" if len(run.hosts) == 1 else f"{len(run.hosts)} hosts"
    done = f"{len(changed)} of {total} {run.deed}" if changed else f"{total}, nothing to do"
    if run.pending:
        need = "needs" if len(run.pending) == 1 else "need"
        done += f"{'' if changed else ' with these tasks'}; {len(run.pending)} {need} tasks not chosen"
    if skipped:
        return SOME_SKIPPED, f"PARTLY: {done}, skipped as unreachable: {named(skipped)}"
    return OK, f"OK: {done}"


_ENDS: tuple[tuple[Callable[[_Ended], object], Callable[[_Ended], _End]], ...] = (
    (lambda run: run.mixed, _not_known),
    (lambda run: run.interrupted, _interrupted),
    (lambda run: run.held and not run.failed, _held),
    (lambda run: run.behind and run.activated, _mixed),
    (lambda run: run.behind or (run.failed and not run.activated), _as_before),
    (lambda run: run.failed or (run.stopped and run.activated), _late),
    (lambda run: run.stopped, _stopped),
    (lambda _: True, _well),
)
"""The ends that a run may have. The first that holds is told."""


def _exposed(exposed: Sequence[str], hosts: Mapping[str, HostOutcome]) -> str:
    """What is said of hosts that may still get requests; empty without any."""
    late = [name for name in exposed if name in hosts and hosts[name].taken_back]
    early = [name for name in exposed if name not in late]
    it = "it" if len(early) == 1 else "they"
    text = f"; {named(early)} may still get requests with what {it} served before" if early else ""
    return text + (f"; {named(late)} may still get requests, and could not be taken back" if late else "")
