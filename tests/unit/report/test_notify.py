"""People are told how a run ended: over HTTP on loopback, and by commands; whatever happens, nothing is raised."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from simulation.clock import VirtualClock
from simulation.contract import wrong

from fleetdeploy.domain.outcome import HostState
from fleetdeploy.domain.secret import Secret
from fleetdeploy.domain.settings import News, Recipient
from fleetdeploy.remote.clock import SystemClock
from fleetdeploy.remote.outside import Outside
from fleetdeploy.report import notify

from .endings import ended

pytestmark = [pytest.mark.sockets, pytest.mark.programs]
GOOD = ended(0, HostState.CHANGED, HostState.OK)


class Hook(BaseHTTPRequestHandler):
    """Answers with one status of the path after the other: ``/500,204``; 0 hangs up, 1 never answers."""

    def do_POST(self) -> None:
        server = self.server
        assert isinstance(server, Server)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        server.got.append((dict(self.headers), json.loads(body)))
        statuses = self.path.strip("/").split(",")
        status = int(statuses[min(len(server.got), len(statuses)) - 1])
        if status == 1:
            server.over.wait()
        if status < 100:
            return
        self.send_response(status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Hook)
        self.got: list[tuple[dict[str, str], Any]] = []
        self.over = threading.Event()

    def at(self, path: str, scheme: str = "http") -> str:
        return f"{scheme}://127.0.0.1:{self.server_address[1]}{path}"


def serving(server: Server) -> Iterator[Server]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.over.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    yield from serving(Server())


@pytest.fixture
def tls(tmp_path: Path) -> Iterator[Server]:
    """With a certificate that nobody knows."""
    made = Server()
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=127.0.0.1", "-keyout", str(key), "-out", str(cert)],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    made.socket = context.wrap_socket(made.socket, server_side=True, do_handshake_on_connect=False)
    made.handle_error = lambda *_: None  # type: ignore[method-assign]
    yield from serving(made)


def tell(*recipients: Recipient, ending: Any = GOOD, deadline_s: float = 60.0, clock: Any = None) -> Any:
    """The names of those who were told, and of the others why not."""
    body = notify.body_of(ending, controller="ops@bastion")
    assert wrong("notification", body) == []
    messages = [notify.Message(item, body) for item in recipients if notify.wants(item, body)]
    found = notify.tell(messages, outside=Outside(), clock=clock or VirtualClock(), deadline_s=deadline_s)
    told = [notify.name_of(item.recipient) for item, why in zip(messages, found, strict=True) if not why]
    return told, [why for why in found if why]


def late(recipient: Recipient, *runs: str) -> list[notify.Message]:
    """What this recipient has not heard of these runs."""
    body = notify.body_of(GOOD, controller="ops@bastion")
    return [notify.Message(recipient, {**body, "run": run}, late=True) for run in runs]


def secret(value: str) -> Secret:
    return Secret(lambda: value, note=lambda _: None, where="fleetdeploy.yml:1:1")


def test_what_is_told(server: Server) -> None:
    """The documented JSON, with the headers of the settings, one of which may be a secret."""
    found = tell(Recipient(server.at("/204"), headers={"Authorization": secret("Bearer of news"), "X-Fleet": "prod"}))
    assert found == (["127.0.0.1"], [])
    ((headers, body),) = server.got
    assert (headers["Authorization"], headers["X-Fleet"]) == ("Bearer of news", "prod")
    assert headers["Content-Type"] == "application/json"
    assert body == {
        "format": 1, "command": "sync", "news": "changed", "run": "20260131T000000Z-ab12", "exit_code": 0,
        "summary": "OK: 1 of 2 hosts changed", "inventory": "inventories/prod", "controller": "ops@bastion",
        "started": "1970-01-01T00:16:40+00:00", "seconds": 12.5,
        "counts": {"ok": 1, "changed": 1, "reverted": 0, "failed": 0, "unreachable": 0, "skipped": 0},
        "hosts": {"gpu1": {"state": "changed", "reason": "why 1"}}, "pending": [], "frozen_until": None,
    }  # fmt: skip
    assert wrong("notification", body) == []


@pytest.mark.parametrize(
    ("ending", "news"),
    [
        (ended(0, HostState.OK), News.UNCHANGED),
        (ended(0, HostState.CHANGED), News.CHANGED),
        (ended(1), News.FAILED),
        (ended(2), News.REFUSED),
        (ended(3, HostState.REVERTED), News.FAILED),
        (ended(4, HostState.FAILED), News.FAILED),
        (ended(5), News.REFUSED),
        (ended(5, held_back=News.FROZEN), News.FROZEN),
        (ended(6), News.LOCKED),
        (ended(7), News.REFUSED),
        (ended(8, HostState.CHANGED, HostState.UNREACHABLE), News.PARTLY),
        (ended(9), News.HELD),
        (ended(10, held_back=News.WAITING), News.WAITING),
        (ended(130), News.INTERRUPTED),
        (ended(143), News.INTERRUPTED),
    ],
)
def test_only_who_wants_to_know_is_told(server: Server, ending: Any, news: News) -> None:
    """Each end of a run is one kind of news, and goes to those who asked for that kind."""
    others = tuple(item for item in News if item is not news)
    assert tell(Recipient(server.at("/204"), about=others), ending=ending) == ([], [])
    assert server.got == []
    assert tell(Recipient(server.at("/204"), about=(news,)), ending=ending) == (["127.0.0.1"], [])
    assert server.got[0][1]["news"] == news.value


def test_it_is_tried_again_after_a_while(server: Server) -> None:
    """A server that is restarted is told in the end; between two tries it is left alone, longer each time."""
    clock = VirtualClock()
    assert tell(Recipient(server.at("/500,0,204"), retries=2), clock=clock) == (["127.0.0.1"], [])
    assert len(server.got) == 3
    assert clock.monotonic_s() == notify.FIRST_WAIT_S * (1 + 2)


@pytest.mark.parametrize(("path", "why"), [("/500", "answered with status 500"), ("/302", "status 302"),
                                           ("/0", "cannot be told: RemoteDisconnected")])  # fmt: skip
def test_nobody_is_told_by_an_error(server: Server, path: str, why: str) -> None:
    """After all tries the failure is a text that names the host and nothing else of the address."""
    told, failed = tell(Recipient(server.at(path), retries=1))
    assert told == []
    assert len(server.got) == 2
    assert failed[0].startswith("127.0.0.1 ")
    assert why in failed[0]


def test_an_address_that_is_a_secret_is_not_shown(server: Server) -> None:
    """Of a webhook's address only the host is ever named."""
    _, failed = tell(Recipient(secret(server.at("/500")), retries=0))
    assert failed == ["127.0.0.1 answered with status 500"]


def test_an_unknown_certificate_is_refused(tls: Server) -> None:
    """Nothing is sent to whoever cannot show who he is."""
    told, failed = tell(Recipient(tls.at("/204", "https"), retries=0))
    assert told == []
    assert "cannot be told: SSLCertVerificationError" in failed[0]
    assert tls.got == []


def test_who_hangs_leaves_the_others_their_time(server: Server) -> None:
    """There is one deadline for all, and each recipient has its part of what is left of it."""
    slow, quick = Recipient(server.at("/1"), retries=5, timeout_s=600), Recipient(command=("true",))
    told, failed = tell(slow, quick, deadline_s=4.0, clock=SystemClock())
    assert told == ["true"]
    assert len(failed) == 1
    assert "127.0.0.1 gave no answer within" in failed[0]


def test_without_time_nobody_is_tried() -> None:
    """A deadline that is over starts nothing."""
    assert tell(Recipient(command=("true",)), deadline_s=0.0) == ([], ["true: no time was left to tell it"])


def test_a_command_reads_it(tmp_path: Path) -> None:
    """The JSON is on its standard input, and its status says whether it was told."""
    out = tmp_path / "told"
    assert tell(Recipient(command=("sh", "-c", f"cat >{out}")))[0] == ["sh"]
    assert json.loads(out.read_text())["news"] == "changed"
    assert tell(Recipient(command=("sh", "-c", "exit 3"), retries=0)) == ([], ["sh ended with status 3"])


def test_a_shell_reads_it_as_a_line() -> None:
    """``read`` gives it whole and without an error, as the line has its end."""
    assert tell(Recipient(command=("sh", "-c", 'read -r line && test -n "$line"')))[0] == ["sh"]


def test_what_was_not_heard_comes_first_and_is_tried_once(server: Server) -> None:
    """In its order, before the run's own; only that is tried again, as the other has the next run for it."""
    clock, recipient = VirtualClock(), Recipient(server.at("/500,204,500,204"), retries=2)
    own = notify.Message(recipient, notify.body_of(GOOD, controller="ops@bastion"))
    found = notify.tell([*late(recipient, "first", "second"), own], outside=Outside(), clock=clock)
    assert found == ["127.0.0.1 answered with status 500", "", ""]
    assert [body["run"] for _, body in server.got] == ["first", "second", *["20260131T000000Z-ab12"] * 2]
    assert clock.monotonic_s() == notify.FIRST_WAIT_S


def test_what_was_not_heard_has_the_time_of_one_try(server: Server) -> None:
    """A hook that hangs makes no run longer by all that waits for it, and the run's own news still has its turn."""
    recipient = Recipient(server.at("/1,1"), retries=0, timeout_s=0.5)
    own = notify.Message(recipient, notify.body_of(GOOD, controller="ops@bastion"))
    found = notify.tell([*late(recipient, "first", "second", "third"), own], outside=Outside(), clock=SystemClock())
    hung, none = "127.0.0.1 gave no answer within", "127.0.0.1: no time was left to tell it"
    assert found[0].startswith(hung)
    assert found[1:3] == [none, none]
    assert found[3].startswith(hung)


def test_why_a_command_failed_is_told_in_its_own_words() -> None:
    """Its last line stands behind its status, as a terminal can show it; one that is not there is named once."""
    recipient = Recipient(command=("sh", "-c", "echo first; printf 'no route\\033[2J\\n\\n' >&2; exit 3"), retries=0)
    assert tell(recipient) == ([], ["sh ended with status 3: no route\\x1b[2J"])
    _, failed = tell(Recipient(command=("./nowhere",), retries=0))
    assert failed == ["./nowhere cannot be run: No such file or directory"]


@pytest.mark.parametrize(
    ("recipient", "why"),
    [
        (Recipient(secret("no address at all")), "webhook: the secret is not a web address"),
        (Recipient("http://127.0.0.1:9/", headers={"Authorization": secret("two\r\nlines")}),
         "127.0.0.1: the header Authorization has characters that no header may have"),
    ],
)  # fmt: skip
def test_a_secret_that_fits_nowhere_is_not_tried_again(recipient: Recipient, why: str) -> None:
    """What is wrong by itself is told once, at once."""
    clock = VirtualClock()
    assert tell(recipient, clock=clock) == ([], [why])
    assert clock.monotonic_s() == 0


def test_nobody_listens() -> None:
    """A refused connection is a failure like any other."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        _, failed = tell(Recipient(f"http://127.0.0.1:{held.getsockname()[1]}/", retries=0))
    assert "ConnectionRefusedError" in failed[0]
