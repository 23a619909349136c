"""What a playbook does on the controller: a webhook on loopback, and commands."""

from __future__ import annotations

import http.client
import resource
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from fleetdeploy.errors import DeadlineExceeded, HostError, RemoteCommandFailed
from fleetdeploy.remote.outside import TEXT_BYTES, Outside


class Hook(BaseHTTPRequestHandler):
    """Answers with the status in its path; ``/slow`` sends one byte of its answer after the other."""

    def do_POST(self) -> None:
        server = self.server
        assert isinstance(server, Server)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        server.got.append((self.path, self.headers["Content-Type"], body))
        if self.path == "/slow":
            while not server.over.wait(0.05):
                try:
                    self.wfile.write(b"H")
                except OSError:
                    return
            return
        self.send_response(int(self.path.partition("?")[0].removeprefix("/")))
        self.send_header("Location", "/200")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""


class Server(ThreadingHTTPServer):
    """Keeps what it got until it is ``over``."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Hook)
        self.got: list[tuple[str, str, bytes]] = []
        self.over = threading.Event()

    def address(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}{path}"


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.over.set()
    made.shutdown()
    thread.join()
    made.server_close()


def test_a_post_is_json_with_its_query(server: Server) -> None:
    """The address is used as it is given, and any 2xx is a yes."""
    Outside().post(server.address("/204?key=a%20b"), b"{}", deadline_s=5)
    assert server.got == [("/204?key=a%20b", "application/json", b"{}")]


@pytest.mark.parametrize("status", [302, 404, 500])
def test_what_is_not_a_yes_is_an_error(server: Server, status: int) -> None:
    """Redirects are not followed; the error names the host and nothing else of the address."""
    with pytest.raises(HostError, match=f"127.0.0.1 answered with status {status}") as caught:
        Outside().post(server.address(f"/{status}?token=SECRET"), b"{}", deadline_s=5)
    assert "SECRET" not in f"{caught.value!r} {caught.value} {caught.value.hint} {caught.value.detail}"
    assert len(server.got) == 1


def test_an_answer_that_trickles_meets_the_deadline(server: Server) -> None:
    """A deadline is one of the whole call, not of each read: this answer ends with the test."""
    with pytest.raises(DeadlineExceeded, match=r"127\.0\.0\.1 gave no answer within 0\.5 s"):
        Outside().post(server.address("/slow"), b"{}", deadline_s=0.5)
    assert not server.over.is_set()


def test_a_name_that_is_not_found_in_time_meets_the_deadline(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing can end a look-up; it is not waited for, and what it finds too late is told nothing."""
    found, done = threading.Event(), threading.Event()
    look_up, close = socket.getaddrinfo, http.client.HTTPConnection.close

    def slow(*arguments: Any, **named: Any) -> Any:
        found.wait()
        return look_up(*arguments, **named)

    def closed(connection: http.client.HTTPConnection) -> None:
        close(connection)
        done.set()

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    monkeypatch.setattr(http.client.HTTPConnection, "close", closed)
    try:
        with pytest.raises(DeadlineExceeded, match=r"127\.0\.0\.1 gave no answer within 0\.2 s"):
            Outside().post(server.address("/200"), b"{}", deadline_s=0.2)
    finally:
        found.set()
    assert done.wait(60)
    assert server.got == []


def test_nobody_listens() -> None:
    """A refused connection is an error of the host, without the rest of the address."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # taken, and not listened on
        with pytest.raises(HostError, match=r"127\.0\.0\.1 cannot be told: ConnectionRefusedError"):
            Outside().post(f"http://127.0.0.1:{held.getsockname()[1]}/200?token=SECRET", b"{}", deadline_s=5)


def test_a_command_reads_what_is_told() -> None:
    """It gets the text on its standard input; status and output come back."""
    ended = Outside().command(["sh", "-c", "cat; echo oops >&2; exit 3"], b"hello ", deadline_s=10)
    assert (ended.status, ended.text) == (3, "hello oops\n")


def test_a_command_that_does_not_read_is_no_error() -> None:
    """Whoever ignores what it is told may do so, however long it is."""
    assert Outside().command(["true"], b"x" * 1_000_000, deadline_s=10).status == 0


def test_of_a_long_output_the_end_is_kept() -> None:
    """Status and the last of what it printed come back, however much that was."""
    ended = Outside().command(["sh", "-c", "yes | head -c 300000; echo end"], b"", deadline_s=10)
    assert len(ended.text) == TEXT_BYTES
    assert ended.text.endswith("end\n")


def test_a_command_that_prints_without_end_fills_no_memory() -> None:
    """It is ended at its deadline, and only the end of its output was ever held."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DeadlineExceeded):
        Outside().command(["yes"], b"", deadline_s=0.5)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


def test_a_command_that_hangs_is_ended_with_its_children() -> None:
    """The deadline holds for everything that the command has started."""
    with pytest.raises(DeadlineExceeded, match=r"did not end within 0\.3 s"):
        Outside().command(["sh", "-c", "sleep 600 & sleep 600"], b"", deadline_s=0.3)


def test_a_command_that_is_not_there() -> None:
    """The error says what could not be run."""
    with pytest.raises(RemoteCommandFailed, match="fleetdeploy-nowhere cannot be run"):
        Outside().command(["fleetdeploy-nowhere"], b"", deadline_s=1)


def test_an_address_that_is_no_name_is_an_error_of_the_host() -> None:
    """A label that cannot be encoded is found out when it is looked up, in the middle of a run."""
    with pytest.raises(HostError, match=r"a\.\.b cannot be told: Unicode(Encode)?Error"):
        Outside().post("http://a..b/hook", b"{}", deadline_s=5)


def test_a_command_has_what_it_inherits_and_what_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything by default, else what is said; what the playbook sets wins over both."""
    monkeypatch.setenv("SEEN_BY_ALL", "yes")
    show = ["sh", "-c", 'echo "$SEEN_BY_ALL/$OWN/$PATH"']
    assert Outside().command(show, b"", deadline_s=10, environment={"OWN": "1"}).text.startswith("yes/1//")
    told = Outside({"PATH": "/usr/bin:/bin", "OWN": "0"})
    assert told.command(show, b"", deadline_s=10, environment={"OWN": "it's"}).text == "/it's//usr/bin:/bin\n"
