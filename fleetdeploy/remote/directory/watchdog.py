"""The watchdog of one service on one host: the verbs of ``watchdog.sh``, and how a confirm gets there."""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing

from fleetdeploy.domain.observed import Release
from fleetdeploy.domain.service import ServiceWish, spec_hash
from fleetdeploy.domain.watch import Watch, WatchState
from fleetdeploy.errors import DeadlineExceeded, HostError, HostKeyRefused, RemoteCommandFailed, Unreachable
from fleetdeploy.planning.container import REST_PORT, container_name, previous_name
from fleetdeploy.remote.directory.verbs import Token, error_of, safe_name, script_of, unleased
from fleetdeploy.remote.host_words import printable
from fleetdeploy.remote.ssh.connection import SshConnection

AT_IT = 48
"""The status of the script where the watchdog takes the release back at this moment, and is not done in time."""

RESTORE_S = 120.0
"""How long a watchdog tries at least to take a release back before it gives up. A release that was given longer to come
up, all in all, has as long to come back: the models of before may be as slow to load.
"""
CALL_S = 30.0
TRY_AGAIN_S = 1.0
"""Between two tries to confirm: a host that refused just now most often does so again at once, and the watchdog counts
whole seconds."""


class AtIt(DeadlineExceeded):
    """The watchdog takes the release back at this moment, and may do so for ``left_s`` seconds more."""

    left_s = 0.0


class RemoteWatchdog:
    """:class:`fleetdeploy.domain.protocols.Watchdog` over SSH."""

    def __init__(self, connection: SshConnection, wish: ServiceWish, *, token: Token = unleased) -> None:
        self._connection = connection
        self._wish = wish
        self._token = token
        self._script = script_of("watchdog.sh")

    def arm(self, back_to: Release, *, run: str, release: str, after_s: float) -> None:
        """One command: all that is needed lies on the host, and what counts down runs, before it returns."""
        left_there = (self._script, script_of("lease.sh"))
        payload = "".join((*left_there, back_to.config_text)).encode()
        sizes = (*(str(text.count("\n")) for text in left_there), str(len(payload)))
        words = (safe_name(run), safe_name(release), str(max(1, math.ceil(after_s))), *sizes)
        patience_s = max(RESTORE_S, after_s)
        telling = "\n".join(_telling(self._wish, back_to, run, patience_s=patience_s))
        self._ask(self._connection, "arm", *words, telling, stdin=payload)

    def confirm(self, *, run: str, deadline_s: float) -> None:
        """Connects anew for every try: that a connection of before still stands says nothing about the next one."""
        end = time.monotonic() + deadline_s
        while True:
            try:
                left_s = max(1.0, min(CALL_S, end - time.monotonic()))
                with closing(self._connection.another(connect_timeout_s=left_s)) as connection:
                    found = self._ask(connection, "confirm", run, deadline_s=left_s)
                break
            except HostKeyRefused:
                raise
            except (Unreachable, DeadlineExceeded) as error:
                # Whether it was heard is not known; asked again, the host says so.
                if time.monotonic() + TRY_AGAIN_S >= end:
                    raise DeadlineExceeded(
                        f"the release could not be confirmed over a new connection: {error.message}",
                        where=self._connection.host.name,
                        hint="can sshd on the host be reached, and does it let us in?",
                    ) from error
                time.sleep(TRY_AGAIN_S)
        if found is None or found.run != run or found.state is not WatchState.CONFIRMED:
            said = found.told if found else "the host knows of no watchdog to confirm to"
            raise HostError(f"the release came too late to be confirmed: {said}", where=self._connection.host.name)

    def disarm(self) -> Watch | None:
        """The verdict of the last watchdog that ended by itself or was confirmed; None where there is none.

        One that takes the release back at this moment is waited for: as long as it tries, and :data:`CALL_S` beyond.
        """
        try:
            return self._disarm(CALL_S)
        except AtIt as still:
            return self._disarm(still.left_s + CALL_S)

    def _disarm(self, wait_s: float) -> Watch | None:
        return self._ask(self._connection, "disarm", str(math.ceil(wait_s)), deadline_s=wait_s + CALL_S)

    def _ask(
        self, connection: SshConnection, verb: str, *args: str, stdin: bytes = b"", deadline_s: float = CALL_S
    ) -> Watch | None:
        nonce, directory = secrets.token_hex(8), self._wish.directory
        words = str(directory), *self._token(directory), nonce, *args
        done = connection.script(self._script, verb, *words, stdin=stdin, deadline_s=deadline_s)
        host = connection.host.name
        answers = [line.removeprefix(f"{nonce} ") for line in done.text.splitlines() if line.startswith(f"{nonce} ")]
        said = answers[-1] if answers else ""
        if done.status == AT_IT:
            hint = "look at the service's audit.log on the host, then run again"
            error = AtIt(printable(done.error_text), where=host, hint=hint)
            error.left_s = float(said) if said.isdecimal() else 0.0
            raise error
        if done.status:
            raise error_of(f"the watchdog's {verb} in {directory}", done, host=host)
        if not answers:
            raise RemoteCommandFailed(f"the watchdog's {verb} gave no answer", where=host, detail=done.last_lines())
        return None if said in {"", "none"} else watch_from_line(said)


def watch_from_line(line: str) -> Watch:
    """``STATE RUN RELEASE TIME WHY...`` as it lies on the host. Raises ValueError for anything else.

    ``firing`` is one that takes the release back at this moment: it has not ended yet.
    """
    state, run, release, *rest = line.split(" ", maxsplit=4)
    reason = rest[1].strip() if len(rest) > 1 else ""
    if state == "firing":
        return Watch(WatchState.ARMED, run, release, "it takes the release back now")
    return Watch(WatchState(state), run, release, printable(reason))


def _telling(wish: ServiceWish, back_to: Release, run: str, *, patience_s: float) -> Iterator[str]:
    """What the host has to know to go back, a line each; the configuration comes apart from it."""
    address, port = _published(back_to.container)
    yield f"service {wish.name}"
    yield f"container {container_name(wish.name)}"
    yield f"previous {previous_name(wish.name)}"
    yield f"spec {spec_hash(back_to.container)}"
    yield f"back {safe_name(back_to.id)}"
    yield f"unit fleetdeploy-watch-{wish.name}-{run}"
    yield f"patience {math.ceil(patience_s)}"
    yield f"rest {'127.0.0.1' if address in {'', '0.0.0.0', '::'} else address} {port}"  # noqa: S104  asked, not bound
    for model, numbers in back_to.models.items():
        yield f"serves {model} {' '.join(map(str, numbers))}"


def _published(container: Mapping[str, object]) -> tuple[str, int]:
    """Where a recorded container publishes REST. Raises RemoteCommandFailed for a record that does not say so."""
    ports = container.get("ports")
    place = ports.get(str(REST_PORT)) if isinstance(ports, Mapping) else None
    if isinstance(place, Sequence) and len(place) == 2 and isinstance(place[0], str) and isinstance(place[1], int):
        return place[0], place[1]
    raise RemoteCommandFailed("the recorded release does not say where it serves, so nobody could see it come back")
