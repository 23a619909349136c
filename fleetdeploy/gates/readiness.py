"""Wait until a model server serves exactly what it shall, then make it answer real requests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from fleetdeploy.domain.observed import ContainerFacts, State, VersionState
from fleetdeploy.domain.protocols import Clock, Containers, Serving
from fleetdeploy.domain.service import GoldenRequest
from fleetdeploy.errors import DeadlineExceeded, NoAnswer, NotHealthy, WrongAnswer
from fleetdeploy.tfserving import golden, status

POLL_S = 0.2
"""Between two questions: little beside the seconds in which a model loads, and no server says by itself that it has it.
Rounds of golden requests are as far apart, so that they see more than one moment."""
WAY_OUT = (
    "mend what does not load (the server's log below says more) and publish it under a new number: this process never "
    "tries a number again that failed, only a new container or a restarted one does"
)
CALL_S = 5.0
"""Deadline of one status call; a server that holds the port but does not answer is then asked again."""
LOOK_S = 0.5
LOOKS_AT_END = 4
"""So many looks, LOOK_S apart, Docker gets to see that a server has ended."""


def await_available(
    serving: Serving,
    wanted: Mapping[str, Sequence[int]],
    clock: Clock,
    *,
    timeout_s: float,
    others_allowed: bool = False,
    alive: Callable[[], None] = lambda: None,
) -> None:
    """Wait until every wanted version is AVAILABLE and, unless ``others_allowed``, no other one is in memory.

    Refused connections and models not yet known are pending until the deadline: TF Serving opens its port only after
    every model has settled. ``alive`` is called before each look and raises when waiting is pointless. Raises
    NotHealthy when a wanted version failed, DeadlineExceeded with the last states.
    """
    end = clock.monotonic_s() + timeout_s
    pending = dict(wanted)
    last = "the server was not asked yet"
    while True:
        alive()
        for model in list(pending):
            try:
                states = serving.status(model, deadline_s=CALL_S)
            except NotHealthy as error:
                last = error.message
                break
            verdict = status.settled(states, pending[model], others_allowed=others_allowed)
            if verdict.failed:
                raise NotHealthy(
                    f"{model}: {verdict.text}",
                    hint=WAY_OUT,
                )
            if not verdict.ready:
                last = f"{model}: {verdict.text or describe(states)}"
                break
            del pending[model]
        if not pending:
            return
        if clock.monotonic_s() >= end:
            raise DeadlineExceeded(
                f"not serving what it shall after {timeout_s:g} s: {last}",
                hint="a larger `timeout` helps only if the model was still loading",
            )
        clock.wait(POLL_S)


def keeps_running(containers: Containers, name: str) -> Callable[[], None]:
    """A check that raises NotHealthy once the container ended or was restarted since now, by whomever.

    It also asks the host itself, so a host that is lost while its server is waited for is known before the deadline.
    """
    before = containers.inspect(name)

    def check() -> None:
        facts = containers.inspect(name)
        if before is not None and _same_process(before, facts):
            return
        raise NotHealthy(
            f"the container {_what_became(before, facts)}",
            hint="its log says why; a model that fails to load ends the server at start",
        )

    return check


def _same_process(before: ContainerFacts, now: ContainerFacts | None) -> bool:
    return (
        now is not None
        and now.running
        and (now.id, now.started_at) == (before.id, before.started_at)
        and now.restart_count <= before.restart_count
    )


def _what_became(before: ContainerFacts | None, now: ContainerFacts | None) -> str:
    if now is None:
        return "is gone"
    since = now.restart_count - (before.restart_count if before and before.id == now.id else 0)
    restarted = f", restarted {max(since, 0)} time{'s' if since != 1 else ''} by Docker"
    ended = f"; its server ended with status {now.exit_code}" if now.exit_code or not now.running else ""
    if now.running and since <= 0:
        return "is another one than before" if before and before.id != now.id else "was restarted by somebody"
    return f"is {now.status}{restarted}{ended}"


def await_answer(
    serving: Serving, model: str, clock: Clock, *, timeout_s: float, alive: Callable[[], None] = lambda: None
) -> None:
    """Wait until the server answers a status call at all, whatever it says. Raises NotHealthy at the deadline."""
    end = clock.monotonic_s() + timeout_s
    while True:
        alive()
        try:
            serving.status(model, deadline_s=CALL_S)
            return
        except NotHealthy:
            if clock.monotonic_s() >= end:
                raise
            clock.wait(POLL_S)


def answer_golden(
    serving: Serving,
    requests: Mapping[str, Sequence[GoldenRequest]],
    versions: Mapping[str, Iterable[int]],
    clock: Clock,
    *,
    times: int,
    deadline_s: float,
    alive: Callable[[], None] = lambda: None,
) -> int:
    """Send every golden request of every version ``times`` times in a row and compare the answers.

    Returns how many requests were answered. Raises NotHealthy at the first refusal or wrong answer. ``deadline_s``
    is for one request. One that nobody answered is sent once more where ``alive`` does not raise: a connection can be
    lost while the server is well.
    """
    answered = 0
    for round_number in range(times):
        if round_number:
            clock.wait(POLL_S)
        for model, numbers in versions.items():
            for number in numbers:
                for request in golden.for_version(requests.get(model, ()), number):
                    _answer_one(serving, model, number, request, clock, deadline_s=deadline_s, alive=alive)
                    answered += 1
    return answered


def see_end(alive: Callable[[], None], clock: Clock) -> None:
    """A server that stops answering has most often ended. ``alive`` asks Docker, which needs a moment to see that."""
    for _ in range(LOOKS_AT_END):
        alive()
        clock.wait(LOOK_S)


def _answer_one(
    serving: Serving,
    model: str,
    number: int,
    request: GoldenRequest,
    clock: Clock,
    *,
    deadline_s: float,
    alive: Callable[[], None],
) -> None:
    where = f"golden request {request.name!r} to {model} version {number}"
    try:
        try:
            answer = serving.predict(model, request, version=number, deadline_s=deadline_s)
        except NoAnswer:
            see_end(alive, clock)
            answer = serving.predict(model, request, version=number, deadline_s=deadline_s)
    except NotHealthy as error:
        raise NotHealthy(f"{where} failed: {error.message}", hint=error.hint) from error
    wrong = golden.compare(request, answer)
    if wrong:
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise WrongAnswer(
            f"{where} was answered wrongly: {wrong[0]}{more}",
            hint="the version is AVAILABLE but does not compute what was recorded",
        )


def describe(states: Sequence[VersionState]) -> str:
    """Model version states as a person reads them: ``8 AVAILABLE, 9 LOADING, 7 END``. What answers stands first, what
    is over last.
    """
    first = {State.AVAILABLE: 0, State.END: 2}
    told = sorted(states, key=lambda entry: first.get(entry.state, 1))
    return ", ".join(f"{entry.number} {entry.state.value}" for entry in told) or "not known to the server"
