"""Links that go silent without an end, and a Docker engine that hangs: every wait has its end, and then all goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from fleetdeploy.domain.inventory import BalancerWish
from fleetdeploy.domain.service import LABEL_SERVICE, ContainerSpec, ModelWish, Ports, ServiceWish, VersionsWish
from fleetdeploy.errors import BalancerFailed, DeadlineExceeded, HostError, NotHealthy, Unreachable
from fleetdeploy.lab.fleet import Lab
from fleetdeploy.lab.waiting import wait_until
from fleetdeploy.remote.fleet import SshFleet, SshSession
from tests.fleet.faults.means import held_in_rsync, stopped_docker, without_ssh
from tests.fleet.remote.deploy_user import lab_host
from tests.fleet.remote.staging_files import FILES, stage_item, version

END_S = 120.0
"""No wait here is as long; a test that gets so far has met one without an end."""
CALL_S = 3.0
BASE = PurePosixPath("/srv/half-open-tests")
NAME = "fleetdeploy-half-open"


@pytest.fixture
def session(lab: Lab, fleet: SshFleet, monkeypatch: pytest.MonkeyPatch) -> SshSession:
    """gpu1, with a short patience for Docker."""
    monkeypatch.setattr("fleetdeploy.remote.docker.containers.CALL_S", CALL_S)
    return fleet.session(lab_host(lab, "gpu1"))


@pytest.fixture
def aside() -> Iterator[Callable[..., Future[Any]]]:
    """Calls in threads of their own, so that one without an end fails its test and not the test run."""
    pool = ThreadPoolExecutor(4)
    yield pool.submit
    pool.shutdown(wait=False, cancel_futures=True)


@pytest.fixture
def wish(lab: Lab, tmp_path: Path) -> Iterator[ServiceWish]:
    model = ModelWish("ranker", tmp_path / "src", VersionsWish((7,)))
    yield ServiceWish("half-open", lab.images[0], Ports(8500, 8501), "10.77.0.0/16", (model,), base_dir=BASE)
    lab.run_on("gpu1", ["rm", "-rf", str(BASE)])


def error_of(call: Future[Any]) -> HostError:
    error = call.exception(END_S)
    assert isinstance(error, HostError), error
    return error


@pytest.mark.long
@pytest.mark.fault("F6")
def test_a_command_on_a_silent_link(lab: Lab, session: SshSession, aside: Callable[..., Future[Any]]) -> None:
    """A command whose link goes silent ends by its deadline in the host's name, and the next one works again."""
    link = session.connection
    lab.run_on("gpu1", ["rm", "-f", "/tmp/half-open"])
    call = aside(link.run, ["sh", "-c", "echo >/tmp/half-open; sleep 300"], deadline_s=CALL_S)
    wait_until(
        lambda: not lab.run_on("gpu1", ["ls", "/tmp/half-open"], check=False).returncode, "it runs", deadline_s=9
    )
    with without_ssh(lab, "gpu1"):
        error = error_of(call)
        assert isinstance(error, DeadlineExceeded)
        assert error.where == "gpu1"
        assert error_of(aside(link.run, ["true"], deadline_s=CALL_S)).where == "gpu1"
    assert link.run(["echo", "on"], deadline_s=60).text == "on\n"


@pytest.mark.long
@pytest.mark.fault("F6")
def test_a_silent_link_is_given_up(lab: Lab, session: SshSession, aside: Callable[..., Future[Any]]) -> None:
    """A link whose other end answers no keepalive is lost long before a long command's deadline."""
    link = session.connection
    with without_ssh(lab, "gpu1"):
        error = error_of(aside(link.run, ["sleep", "600"], deadline_s=600))
        assert isinstance(error, Unreachable)
        assert error.where == "gpu1"
    assert link.run(["echo", "on"], deadline_s=60).text == "on\n"


@pytest.mark.long
@pytest.mark.fault("F6")
def test_a_jump_hosts_silent_link_is_given_up(
    lab: Lab, fleet: SshFleet, aside: Callable[..., Future[Any]], tmp_path: Path
) -> None:
    """A host behind a jump host that goes silent is lost as well, although the link to the jump host lives."""
    config = tmp_path / "ssh_config"
    at = lab.host("gpu2")
    config.write_text(
        f"Host gate\n  HostName {at.door_address}\n  Port {at.ssh_port}\n"
        f'Host *\n  User root\n  IdentityFile "{lab.paths.client_key}"\n'
        f'  UserKnownHostsFile "{lab.paths.known_hosts}"\n'
    )
    inside = lab_host(lab, "gpu1", address=lab.host("gpu1").address, port=22, ssh_config=config, proxy_jump="gate")
    link = fleet.session(inside).connection
    with without_ssh(lab, "gpu1"):
        error = error_of(aside(link.run, ["sleep", "600"], deadline_s=600))
    assert isinstance(error, Unreachable)
    assert error.where == "gpu1"
    assert link.run(["echo", "on"], deadline_s=60).text == "on\n"


@pytest.mark.fault("F6")
def test_a_docker_call_on_a_silent_link(lab: Lab, session: SshSession, aside: Callable[..., Future[Any]]) -> None:
    """A question to Docker whose link goes silent ends by its deadline, and the next one is answered."""
    containers = session.containers()
    assert containers.inspect(NAME) is None
    with without_ssh(lab, "gpu1"):
        error = error_of(aside(containers.inspect, NAME))
    assert isinstance(error, DeadlineExceeded)
    assert error.where == "gpu1"
    wait_until(lambda: answers(lambda: containers.inspect(NAME)), "Docker is asked again", deadline_s=END_S)


@pytest.mark.fault("F6")
def test_a_call_to_a_model_server_on_a_silent_link(
    lab: Lab, session: SshSession, aside: Callable[..., Future[Any]]
) -> None:
    """A gRPC call ends by its deadline whatever the link does, and the relay finds its way again."""
    serving = session.serving("127.0.0.1", 9)
    with without_ssh(lab, "gpu1"):
        error = error_of(aside(serving.status, "ranker", deadline_s=CALL_S))
        assert isinstance(error, NotHealthy)
        assert error.where == "gpu1"

    def refused() -> bool:
        with pytest.raises(NotHealthy) as failed:
            serving.status("ranker", deadline_s=CALL_S)
        return "Connect failed" in failed.value.message

    wait_until(refused, "the host says that nothing listens there", deadline_s=END_S)


@pytest.mark.long
@pytest.mark.fault("F6")
def test_a_balancer_on_a_silent_link(lab: Lab, aside: Callable[..., Future[Any]]) -> None:
    """A balancer whose host goes silent is an error with that host's name, and answers again afterwards."""
    fleet = SshFleet(hosts={"lb": lab_host(lab, "lb")})
    try:
        balancer = fleet.balancer(BalancerWish("haproxy", "lb", "/run/haproxy/admin.sock", "gpu1", {}))
        assert balancer.members(["ranking_rest"])
        with without_ssh(lab, "lb"):
            error = error_of(aside(balancer.members, ["ranking_rest"]))
        assert isinstance(error, BalancerFailed)
        assert error.where == "lb"
        wait_until(lambda: answers(lambda: balancer.members(["ranking_rest"])), "it answers", deadline_s=END_S)
    finally:
        fleet.close()


@pytest.mark.long
@pytest.mark.fault("F6")
def test_a_copy_on_a_silent_link(
    lab: Lab, session: SshSession, wish: ServiceWish, aside: Callable[..., Future[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy whose link goes silent fails in the host's name, and the next one ends the far end it left first."""
    monkeypatch.setattr("fleetdeploy.remote.directory.rsync._ATTEMPTS", 1)
    item = stage_item(version(wish.models[0].source, 7, FILES))
    with ExitStack() as stack:
        copy = stack.enter_context(held_in_rsync(lab, "gpu1"))
        call = aside(session.files(wish).stage, item)
        copy.wait()
        stack.enter_context(without_ssh(lab, "gpu1"))
        assert error_of(call).where == "gpu1"
        left = receivers(lab)
        assert left, "the host's end waits for more"
        stack.pop_all().close()
    fresh = SshFleet(connect_timeout_s=20)
    try:
        fresh.session(session.host).files(wish).stage(item)
    finally:
        fresh.close()
    assert not set(left) & set(receivers(lab))
    there = lab.run_on("gpu1", ["sh", "-c", f"cd {wish.directory}/models/ranker/7 && find . -type f"]).stdout
    assert sorted(there.splitlines()) == sorted(f"./{name}" for name in FILES)


@pytest.mark.fault("F13")
@pytest.mark.parametrize("verb", ["inspect", "create", "stop"])
def test_a_docker_that_hangs(
    lab: Lab, session: SshSession, aside: Callable[..., Future[Any]], verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each call to an engine that has stopped ends by its deadline and says that the outcome is not known."""
    containers = session.containers()
    spec = ContainerSpec(NAME, lab.images[0], "", (), (), {}, (), {}, "", "")
    try:
        if verb == "stop":
            created = ["docker", "create", "--name", NAME, "--label", f"{LABEL_SERVICE}=x", lab.images[0]]
            wait_until(lambda: made_anew(lab, created), "there is a container to stop", deadline_s=END_S)
            known = containers._own(NAME)
            monkeypatch.setattr(containers, "_own", lambda _name: known)  # what hangs is the call that stops
        assert (containers.inspect(NAME) is None) is (verb != "stop")
        calls: dict[str, Callable[[], Any]] = {
            "inspect": lambda: containers.inspect(NAME),
            "create": lambda: containers.create_and_start(spec, {LABEL_SERVICE: "x"}),
            "stop": lambda: containers.stop(NAME, grace_s=0),
        }
        with stopped_docker(lab, "gpu1"):
            error = error_of(aside(calls[verb]))
        assert isinstance(error, DeadlineExceeded)
        assert error.where == "gpu1"
        assert "whether it happened is not known" in error.message
        wait_until(lambda: answers(lambda: containers.inspect(NAME)), "Docker is asked again", deadline_s=END_S)
    finally:
        lab.run_on("gpu1", ["docker", "rm", "--force", NAME], check=False)


def made_anew(lab: Lab, create: list[str]) -> bool:
    """One that an engine was told to create before it stopped may still come when it goes on."""
    lab.run_on("gpu1", ["docker", "rm", "--force", NAME], check=False)
    return lab.run_on("gpu1", create, check=False).returncode == 0


def receivers(lab: Lab) -> list[str]:
    return lab.run_on("gpu1", ["pgrep", "-f", "rsync --server"], check=False).stdout.split()


def answers(call: Callable[[], object]) -> bool:
    try:
        call()
    except HostError:
        return False
    return True
