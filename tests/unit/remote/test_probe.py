"""The probe's parser, on what a real host printed and on everything a host should not print."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetdeploy.domain.observed import Absent, ObservedHost, Present, ProvenRelease, State, Unknown, VersionState
from fleetdeploy.domain.service import ModelWish, Ports, ServiceWish, VersionsWish
from fleetdeploy.remote.probe.probe import arguments, parse

NONCE = "5ca1ab1e"
IMAGE = "fleetdeploy/standin:1.0"
PASTED = (Path(__file__).parent / "cases" / "probe_serving.txt").read_bytes()
WISH = ServiceWish(
    "ranking", IMAGE, Ports(8500, 8501), "10.77.0.0/16", (ModelWish("ranker", Path("x"), VersionsWish((1,))),)
)

FAILED_VERSION = """HTTP/1.0 200 OK

{"model_version_status": [{"version": "9", "state": "END",
  "status": {"error_code": "NOT_FOUND", "error_message": "no .pb"}}]}
"""


def seen(answer: bytes, wish: ServiceWish = WISH) -> ObservedHost:
    return parse(answer, NONCE, host="gpu1", services=[wish]).observed


def frame(name: str, status: str, text: str) -> bytes:
    return f"\n{NONCE} {name} {status} {len(text.encode())}\n{text}\n".encode()


def readings(host: ObservedHost) -> Iterator[object]:
    service = host.services["ranking"]
    yield from (host.docker, host.gpus, host.addresses, host.listening, host.containers)
    yield from (service.container, service.previous, service.config_text, service.release, service.versions)
    yield from (service.drained_by, service.disk, *service.served.values())


def test_a_serving_host_is_read_whole() -> None:
    """Everything that planning needs is read from the output that a real host gave."""
    host = seen(PASTED)
    assert isinstance(host.docker, Present)
    assert host.docker.value.version == "20.10.24+dfsg1"
    assert "nvidia" in host.docker.value.runtimes
    assert host.docker.value.images[IMAGE].startswith("sha256:0690")
    assert isinstance(host.gpus, Present)
    assert [(gpu.index, gpu.name, gpu.memory_bytes >> 20) for gpu in host.gpus.value] == [
        (0, "NVIDIA H200", 143771),
        (1, "NVIDIA H200", 143771),
    ]
    assert host.addresses == Present(("127.0.0.1", "10.77.0.11", "172.17.0.1"))
    assert host.listening == Present((22, 8500, 8501))
    assert host.boot_id == "180b7c11-4e7d-4500-a356-a4ed12acab99"


def test_a_service_is_read_whole() -> None:
    """A service's container, configuration, record, versions and served states are read as they are."""
    service = seen(PASTED).services["ranking"]
    assert isinstance(service.container, Present)
    assert service.container.value.running
    assert service.container.value.labels["fleetdeploy.service"] == "ranking"
    assert service.container.value.published == (8500, 8501)
    assert service.previous == Absent()
    assert service.served == {"ranker": Present((VersionState(1, State.AVAILABLE),))}
    assert isinstance(service.config_text, Present)
    assert service.config_text.value.endswith("} } }\n")
    assert isinstance(service.release, Present)
    assert service.release.value.models == {"ranker": (1,)}
    assert isinstance(service.versions, Present)
    assert sorted(service.versions.value["ranker"]) == [1, 2, 3]
    version = service.versions.value["ranker"][3]
    assert version.sizes_bytes == {
        "assets/ranker-vocabulary.tsv": 900000,
        "fingerprint.pb": 96,
        "saved_model.pb": 23668,
    }
    assert len(version.manifest_digest) == 64
    assert service.drained_by == Absent()
    assert isinstance(service.disk, Present)
    assert service.disk.value.free_bytes == 78488776 * 1024


def test_grpc_is_published_where_the_container_says() -> None:
    """The address for gRPC comes from the container's own port bindings."""
    assert parse(PASTED, NONCE, host="gpu1", services=[WISH]).grpc == {"ranking": ("10.77.0.11", 8500)}


def test_a_login_banner_and_forged_frames_are_skipped() -> None:
    """What rc files print changes nothing, not even text in the shape of a frame: it cannot know the nonce."""
    noise = b"Welcome!\n\x1b[31m\xff\xfe\n\ndeadbeef docker absent 0\n\n\n"
    assert seen(noise + PASTED) == seen(PASTED)


def test_text_inside_a_frame_cannot_open_another() -> None:
    """A file on the host whose text looks like a frame stays text, as lengths decide."""
    inner = frame("0.drained", "absent", "").decode()
    service = seen(frame("0.config", "ok", inner)).services["ranking"]
    assert service.config_text == Present(inner)
    assert isinstance(service.drained_by, Unknown)


@pytest.mark.parametrize("answer", [b"", b"sh: not found\n", PASTED.replace(NONCE.encode(), b"0" * 8)])
def test_no_answer_is_unknown_and_never_absent(answer: bytes) -> None:
    """A host that answers nothing of ours has nothing Absent: nothing may be concluded."""
    assert {type(reading) for reading in readings(seen(answer))} == {Unknown}


def test_an_answer_cut_short_is_unknown_from_there_on() -> None:
    """Whatever byte the answer ends at, each reading is what the whole answer says, or Unknown."""
    whole = list(readings(seen(PASTED)))
    for length in range(0, len(PASTED), 97):
        for cut, full in zip(readings(seen(PASTED[:length])), whole, strict=True):
            assert cut == full or isinstance(cut, Unknown)


def test_a_dead_docker_daemon_is_unknown_with_its_words() -> None:
    """A daemon that does not answer makes Docker, containers and the service's container Unknown, with the reason."""
    host = seen(frame("docker", "unknown", "Cannot connect to the Docker daemon at unix:///var/run/docker.sock."))
    for reading in (host.docker, host.containers, host.services["ranking"].container):
        assert isinstance(reading, Unknown)
        assert "Cannot connect to the Docker daemon" in reading.reason


def test_an_image_that_could_not_be_asked_for_is_not_missing() -> None:
    """An image counts as missing only when Docker says so; an error makes the engine Unknown."""
    engine = frame("docker", "ok", '"24.0" {"runc":{}}')
    missing = seen(engine + frame("image.0", "absent", "")).docker
    assert isinstance(missing, Present)
    assert missing.value.images == {}
    assert isinstance(seen(engine + frame("image.0", "unknown", "timeout")).docker, Unknown)
    assert isinstance(seen(engine).docker, Unknown)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('HTTP/1.1 404 Not Found\r\n\r\n{"error": "Could not find"}', Present(())),
        ("  HTTP/1.0 404 Not Found\nwget: server returned error", Present(())),
        (
            FAILED_VERSION,
            Present((VersionState(9, State.END, "NOT_FOUND: no .pb"),)),
        ),
    ],
)
def test_served_states_are_read_from_the_http_answer(text: str, expected: object) -> None:
    """A model the server does not know is an empty list; a failed version keeps its code and message."""
    assert seen(frame("0.served.0", "ok", text)).services["ranking"].served["ranker"] == expected


@pytest.mark.parametrize(
    "text",
    ["", "hello", "HTTP/1.1 500 Oops\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n[]", "HTTP/1.1 200 OK\r\n\r\n{\"a\": 1}",
     'HTTP/1.1 200 OK\n\n{"model_version_status":[{"version":"x"}]}'],
)  # fmt: skip
def test_an_http_answer_that_says_nothing_is_unknown(text: str) -> None:
    """An answer that is not a model status never means that nothing is served."""
    assert isinstance(seen(frame("0.served.0", "ok", text)).services["ranking"].served["ranker"], Unknown)


def test_addresses_come_from_fib_trie_where_there_is_no_ip() -> None:
    """The kernel's own table is read when the host has no iproute2."""
    trie = "Main:\n  |-- 10.0.0.7\n     /32 host LOCAL\n  |-- 10.0.0.255\n     /32 link BROADCAST\n"
    assert seen(frame("addresses", "ok", trie)).addresses == Present(("10.0.0.7",))


def test_a_missing_manifest_leaves_an_empty_digest() -> None:
    """A version directory without our record is seen, with no digest that could match anything."""
    answer = (
        frame("0.versions.0.name", "ok", "ranker 7") + frame("0.versions.0.manifest", "absent", "")
        + frame("0.versions.0.sizes", "ok", "/m/7\n-rw-r--r-- 1 0 0 5 Jan  1  2024 /m/7/a b\n")
        + frame("0.versions", "ok", "1")
    )  # fmt: skip
    versions = seen(answer).services["ranking"].versions
    assert isinstance(versions, Present)
    assert versions.value["ranker"][7].manifest_digest == ""
    assert versions.value["ranker"][7].sizes_bytes == {"a b": 5}


def test_one_version_that_cannot_be_read_makes_all_unknown() -> None:
    """Versions are all known or not known: the planner must not stage over what it could not see."""
    broken = re.sub(rb"0.versions.1.sizes ok \d+\n", b"0.versions.1.sizes unknown 3\n", PASTED)
    assert isinstance(seen(broken).services["ranking"].versions, Unknown)


def test_a_reason_is_one_safe_line() -> None:
    """A host's words cannot move the cursor, add lines or fill the screen."""
    reading = seen(frame("gpus", "unknown", "\x1b[2Jfail\r\nmore\x07" + " x" * 5000)).gpus
    assert isinstance(reading, Unknown)
    assert reading.reason.startswith("[2Jfail more")
    assert len(reading.reason) <= 400 + len(" ...")


def test_hostile_words_stay_single_arguments() -> None:
    """Every value of the inventory is one word of the command line, whatever is in it."""
    wish = ServiceWish(
        "r", "a b; rm -rf $(x)", Ports(1, 2), "10.0.0.1", (ModelWish("m\n'", Path("x"), VersionsWish((1,))),),
        base_dir=PurePosixPath("/srv/a b"),
    )  # fmt: skip
    assert arguments([wish]) == [
        "image", "a b; rm -rf $(x)", "service", "0", "/srv/a b/r", "10.0.0.1", "2",
        "fleetdeploy-r", "fleetdeploy-r.previous", "model", "m\n'",
    ]  # fmt: skip


NAMES = sorted({match.decode() for match in re.findall(rb"5ca1ab1e ([a-z0-9_.]+) ", PASTED)})


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(["ok", "unknown"]), st.text(max_size=80))))
def test_garbage_in_any_frame_is_never_absent(frames: list[tuple[str, str, str]]) -> None:
    """Whatever a host puts into its frames, nothing becomes Absent that no frame calls absent, and nothing raises."""
    host = seen(b"".join(frame(*item) for item in frames))
    service = host.services["ranking"]
    for reading in readings(host):
        if reading is not service.container and reading is not service.previous:
            assert not isinstance(reading, Absent)
    if isinstance(service.container, Absent) or isinstance(service.previous, Absent):
        assert isinstance(host.containers, Present)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, len(PASTED)), st.binary(max_size=40), st.integers(0, 60))
def test_a_damaged_answer_never_raises(position: int, insert: bytes, drop: int) -> None:
    """An answer with bytes lost and others put in is read as far as it goes, without an exception."""
    damaged = PASTED[:position] + insert + PASTED[position + drop :]
    assert {type(reading) for reading in readings(seen(damaged))} <= {Present, Absent, Unknown}


@pytest.mark.parametrize(
    ("answer", "history"),
    [
        (frame("0.history", "absent", ""), Absent()),
        (frame("0.history", "unknown", "Permission denied"), Unknown("Permission denied")),
        (
            frame("0.history", "ok", '{"id":"T1-a","models":{"ranker":[1]},"took_back":"b"}\ntorn'),
            Present((ProvenRelease("T1-a", {"ranker": (1,)}, "b"),)),
        ),
    ],
)
def test_the_history_of_releases_is_read_with_the_rest(answer: bytes, history: object) -> None:
    """No history is Absent, one that cannot be read Unknown; a torn line is counted and takes nothing with it."""
    service = seen(answer).services["ranking"]
    assert service.history == history
    assert service.history_damaged == (1 if isinstance(history, Present) else 0)
