"""Docker, model server and balancer of real lab hosts, all through SSH."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from fleetdeploy.domain.inventory import BalancerWish, Connection, Host
from fleetdeploy.domain.observed import Absent, Present, State, Traffic, Unknown, VersionState
from fleetdeploy.domain.plan import StageItem
from fleetdeploy.domain.service import (
    LABEL_SERVICE,
    LABEL_SPEC,
    ContainerSpec,
    DesiredService,
    GpuRequest,
    ModelVersion,
    ModelWish,
    Ports,
    ServiceWish,
    VersionsWish,
)
from fleetdeploy.errors import BalancerFailed, DockerFailed, NoSpace, NotHealthy, ReloadRefused, Unreachable
from fleetdeploy.lab import models
from fleetdeploy.lab.fleet import Lab
from fleetdeploy.lab.waiting import wait_until
from fleetdeploy.planning.container import bind_address, container_spec
from fleetdeploy.remote.docker import http as dockerhttp
from fleetdeploy.remote.fleet import SshFleet, SshSession
from fleetdeploy.remote.serving import RemoteServing
from fleetdeploy.tfserving import golden
from fleetdeploy.tfserving.manifest import read_manifest
from tests.fleet.remote.staging_files import FILES, stage_item, version

CONFIG = """model_config_list { config {
  name: "ranker" base_path: "/models/ranker" model_platform: "tensorflow"
  model_version_policy { specific { versions: 1 } }
} }
"""
CONFINEMENT = """{{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}} {{.HostConfig.ReadonlyRootfs}} {{.Config.User}}
{{range .Mounts}}{{.Destination}}:{{.RW}} {{end}}{{.HostConfig.Runtime}} {{.HostConfig.Init}}
{{index .HostConfig.LogConfig.Config "max-size"}}"""
BASE = PurePosixPath("/srv/remote-tests")
POOLS = ("ranking_rest", "ranking_grpc")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return models.export_all(tmp_path_factory.mktemp("exported"))


@pytest.fixture(scope="module")
def hosts(lab: Lab) -> dict[str, Host]:
    paths = lab.paths
    return {
        name: Host(name, Connection(at.door_address, at.ssh_port, "root", paths.client_key, paths.known_hosts))
        for name, at in lab.hosts.items()
    }


@pytest.fixture(scope="module")
def lab_fleet(hosts: dict[str, Host]) -> Iterator[SshFleet]:
    fleet = SshFleet(hosts=hosts, connect_timeout_s=10)
    yield fleet
    fleet.close()


@pytest.fixture(scope="module")
def wish(lab: Lab) -> Iterator[ServiceWish]:
    """A service in a directory of its own, gone again afterwards: other tests share the lab."""
    model = ModelWish("ranker", Path("models/ranker"), VersionsWish((1,)))
    yield ServiceWish(
        "ranking", lab.images[0], Ports(8500, 8501), "10.77.0.0/16", (model,), gpus=GpuRequest((0,)), base_dir=BASE
    )
    for name in ("gpu1", "gpu2", "gpu3"):
        lab.run_on(name, ["rm", "-rf", str(BASE)])


def real_version(exported: Path, number: int) -> ModelVersion:
    directory = exported / "models/ranker" / str(number)
    return ModelVersion(number, directory, read_manifest(directory))


def spec_for(session: SshSession, wish: ServiceWish) -> ContainerSpec:
    observed = session.observe([wish])
    assert isinstance(observed.addresses, Present)
    address = bind_address(wish.bind, observed.addresses.value)
    image_id = session.containers().image_id(wish.image)
    assert address is not None
    assert image_id is not None
    return container_spec(DesiredService(wish, (), CONFIG), address=address, image_id=image_id)


def until(look: Callable[[], bool], what: str, *, deadline_s: float = 60) -> None:
    wait_until(look, what, deadline_s=deadline_s, interval_s=0.1)


@pytest.fixture(scope="module")
def serving(lab_fleet: SshFleet, hosts: dict[str, Host], wish: ServiceWish, exported: Path) -> Iterator[RemoteServing]:
    """The service on gpu1: versions 1 to 3 in place, version 1 served."""
    session = lab_fleet.session(hosts["gpu1"])
    files, containers = session.files(wish), session.containers()
    for number in (1, 2, 3):
        staged = real_version(exported, number)
        files.stage(StageItem("ranker", staged, staged.manifest.size_bytes, number - 1 or None))
    files.write_config(CONFIG)
    spec = spec_for(session, wish)
    containers.create_and_start(spec, {LABEL_SERVICE: "ranking"})
    client = session.serving(*spec.ports[8500])
    until(lambda: serves(client, 1), "version 1 is served")
    yield client
    containers.remove(spec.name)


def serves(client: RemoteServing, *numbers: int) -> bool:
    try:
        states = client.status("ranker", deadline_s=5)
    except NotHealthy:
        return False
    return {state.number for state in states if state.state is State.AVAILABLE} == set(numbers)


def test_a_bare_host_is_observed(lab_fleet: SshFleet, hosts: dict[str, Host], wish: ServiceWish) -> None:
    """A host on which nothing was deployed has Docker, GPUs and the image, and of the service nothing, by its word."""
    host = lab_fleet.session(hosts["gpu2"]).observe([wish])
    assert isinstance(host.docker, Present)
    assert "nvidia" in host.docker.value.runtimes
    assert set(host.docker.value.images) == {wish.image}
    assert isinstance(host.gpus, Present)
    assert host.gpus.value[0].memory_bytes > 0
    assert isinstance(host.addresses, Present)
    assert "10.77.0.12" in host.addresses.value
    service = host.services["ranking"]
    assert (service.container, service.previous, service.versions, service.release) == (Absent(),) * 4
    missing = replace(wish, image="fleetdeploy/standin:none")
    docker = lab_fleet.session(hosts["gpu2"]).observe([missing]).docker
    assert isinstance(docker, Present)
    assert docker.value.images == {}


def test_a_serving_host_is_observed(
    serving: RemoteServing, lab_fleet: SshFleet, hosts: dict[str, Host], wish: ServiceWish
) -> None:
    """The probe sees the container with its labels, the ports, the versions on disk and what is served."""
    host = lab_fleet.session(hosts["gpu1"]).observe([wish])
    service = host.services["ranking"]
    assert isinstance(service.container, Present)
    assert service.container.value.running
    assert service.container.value.labels[LABEL_SPEC]
    assert service.served == {"ranker": Present((VersionState(1, State.AVAILABLE),))}
    assert isinstance(host.listening, Present)
    assert {8500, 8501} <= set(host.listening.value)


def test_golden_requests_are_answered_through_ssh(serving: RemoteServing, exported: Path) -> None:
    """Predict answers the recorded values, also when the types come from the model's signature."""
    requests = golden.for_version(golden.load(exported / "golden/ranker.jsonl"), 1)
    assert requests
    for request in requests:
        assert not golden.compare(request, serving.predict("ranker", request, version=1, deadline_s=20))
    plain = replace(requests[0], dtypes={})
    assert not golden.compare(plain, serving.predict("ranker", plain, version=1, deadline_s=20))


def test_a_reload_and_its_refusals(serving: RemoteServing, exported: Path) -> None:
    """A reload takes effect, a broken version fails with the server's words, a refused reload says why."""
    serving.reload(CONFIG.replace("versions: 1", "versions: 2 versions: 3"), deadline_s=10)
    until(lambda: serves(serving, 2, 3), "versions 2 and 3 are served")
    request = golden.for_version(golden.load(exported / "golden/ranker.jsonl"), 3)[0]
    with pytest.raises(NotHealthy, match="FAILED_PRECONDITION"):
        serving.predict("ranker", request, version=3, deadline_s=20)
    with pytest.raises(NotHealthy, match="NOT_FOUND"):
        serving.predict("ranker", replace(request, dtypes={"x": "float32"}), version=9, deadline_s=20)
    with pytest.raises(ReloadRefused, match="INVALID_ARGUMENT"):
        serving.reload(CONFIG.replace("/models/ranker", "models/ranker"), deadline_s=10)
    assert serving.status("nobody", deadline_s=10) == ()
    serving.reload(CONFIG, deadline_s=10)
    until(lambda: serves(serving, 1), "version 1 is served again")


def test_nothing_listening_is_not_healthy_and_heals(lab_fleet: SshFleet, hosts: dict[str, Host]) -> None:
    """A port where nothing listens is an error that names it, and leaves the connection usable."""
    session = lab_fleet.session(hosts["gpu2"])
    with pytest.raises(NotHealthy, match=r"10\.77\.0\.12 port 9: Connect failed"):
        session.serving("10.77.0.12", 9).status("ranker", deadline_s=5)
    assert session.connection.run(["true"], deadline_s=10).status == 0


def test_the_container_is_confined(
    serving: RemoteServing, lab: Lab, lab_fleet: SshFleet, hosts: dict[str, Host], wish: ServiceWish
) -> None:
    """The server runs unprivileged: no capabilities, no new ones, a read-only root, read-only models, a log limit."""
    shown = lab.run_on("gpu1", ["docker", "inspect", "--format", CONFINEMENT, "fleetdeploy-ranking"]).stdout.split()
    assert shown[:4] == ["[ALL]", "[no-new-privileges]", "true", "65534:65534"]
    assert sorted(shown[4:6]) == ["/config:false", "/models:false"]
    assert shown[6:] == ["nvidia", "true", "10m"]


def test_the_life_of_a_container(lab_fleet: SshFleet, hosts: dict[str, Host], wish: ServiceWish) -> None:
    """Created, stopped, renamed, started and removed by name; each step may be repeated where its contract says so."""
    session = lab_fleet.session(hosts["gpu2"])
    session.files(wish).write_config("model_config_list {}\n")
    containers, spec = session.containers(), spec_for(session, wish)
    assert containers.inspect(spec.name) is None
    containers.create_and_start(spec, {LABEL_SERVICE: "ranking"})
    made = containers.inspect(spec.name)
    assert made is not None
    assert (made.running, made.image_id, made.labels[LABEL_SPEC]) == (True, spec.image_id, spec.spec_hash)
    with pytest.raises(DockerFailed, match="already in use"):
        containers.create_and_start(spec, {LABEL_SERVICE: "ranking"})
    containers.start(spec.name)
    until(lambda: "stand-in" in containers.logs(spec.name, lines=50), "the server writes its log")
    containers.stop(spec.name, grace_s=1)
    containers.stop(spec.name, grace_s=1)
    containers.rename(spec.name, f"{spec.name}.previous")
    kept = session.observe([wish]).services["ranking"]
    assert kept.container == Absent()
    assert isinstance(kept.previous, Present)
    assert not kept.previous.value.running
    containers.remove(f"{spec.name}.previous")
    containers.remove(f"{spec.name}.previous")
    containers.stop(spec.name, grace_s=1)
    with pytest.raises(DockerFailed, match="no container"):
        containers.start(spec.name)


def test_a_container_that_does_not_start_is_not_left(
    lab_fleet: SshFleet, hosts: dict[str, Host], wish: ServiceWish
) -> None:
    """A start that fails, here for a port that sshd has or a directory that is missing, leaves no container."""
    session = lab_fleet.session(hosts["gpu2"])
    session.files(wish).write_config("model_config_list {}\n")
    spec = spec_for(session, wish)
    address, _ = spec.ports[8500]
    taken, missing = replace(spec, ports={8500: (address, 22)}), replace(spec, mounts=(("/srv/none", "/models"),))
    for broken, why in ((taken, "address already in use"), (missing, "/srv/none")):
        with pytest.raises(DockerFailed, match=why):
            session.containers().create_and_start(broken, {LABEL_SERVICE: "ranking"})
        assert session.containers().inspect(spec.name) is None


def test_a_foreign_container_is_never_touched(
    lab: Lab, lab_fleet: SshFleet, hosts: dict[str, Host], wish: ServiceWish
) -> None:
    """A container of our name without our label is seen and refused, by every verb."""
    session = lab_fleet.session(hosts["gpu2"])
    lab.run_on("gpu2", ["docker", "create", "--name", "fleetdeploy-ranking", wish.image])
    try:
        seen = session.observe([wish]).services["ranking"].container
        assert isinstance(seen, Present)
        assert LABEL_SERVICE not in seen.value.labels
        containers = session.containers()
        for work in (containers.start, containers.remove, lambda name: containers.stop(name, grace_s=1)):
            with pytest.raises(DockerFailed, match="not made by fleetdeploy"):
                work("fleetdeploy-ranking")
    finally:
        lab.run_on("gpu2", ["docker", "rm", "--force", "fleetdeploy-ranking"])


def test_docker_is_reached_without_socket_forwarding(
    monkeypatch: pytest.MonkeyPatch, lab_fleet: SshFleet, hosts: dict[str, Host], wish: ServiceWish
) -> None:
    """Where sshd forbids channels to sockets, the docker CLI's own relay is used."""
    fleet = SshFleet()
    session = fleet.session(hosts["gpu2"])

    def forbidden(path: str, *, deadline_s: float) -> None:
        raise Unreachable(f"sshd refused a channel while connecting to {path}: Administratively prohibited (code 1)")

    monkeypatch.setattr(session.connection, "open_unix_channel", forbidden)
    try:
        assert session.containers().image_id(wish.image)
        assert session.containers().inspect("nobody") is None
    finally:
        fleet.close()


def test_a_dead_docker_daemon_is_unknown_and_an_error(
    lab: Lab, lab_fleet: SshFleet, hosts: dict[str, Host], wish: ServiceWish
) -> None:
    """With its daemon dead a host's Docker is Unknown, not empty, and every verb fails as Docker."""
    session = lab_fleet.session(hosts["gpu3"])
    lab.run_on("gpu3", ["sh", "-c", "kill -9 $(cat /run/docker.pid)"])
    try:
        host = session.observe([wish])
        assert isinstance(host.docker, Unknown)
        assert "Cannot connect to the Docker daemon" in host.docker.reason
        assert isinstance(host.services["ranking"].container, Unknown)
        with pytest.raises(DockerFailed):
            session.containers().inspect("x")
    finally:
        lab.start_service("gpu3", "docker")
        until(lambda: isinstance(session.observe([]).docker, Present), "docker is back", deadline_s=30)
    assert session.containers().inspect("x") is None


def test_a_full_file_system_is_refused_before_and_during_the_copy(
    lab: Lab,
    lab_fleet: SshFleet,
    hosts: dict[str, Host],
    wish: ServiceWish,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    """Too little space is refused up front; a disk that fills up meanwhile ends without the copy's leftovers."""
    lab.run_on("gpu3", ["sh", "-c", "mkdir -p /srv/small && mount -t tmpfs -o size=8m tmpfs /srv/small"])
    request.addfinalizer(lambda: lab.run_on("gpu3", ["umount", "/srv/small"]))
    session = lab_fleet.session(hosts["gpu3"])
    files = session.files(replace(wish, base_dir=PurePosixPath("/srv/small")))
    item = version(tmp_path, 7, {**FILES, "variables/data": hashlib.sha256(b"x").digest() * 400_000})
    with pytest.raises(NoSpace, match="are needed with reserve"):
        files.stage(stage_item(item))
    monkeypatch.setattr("fleetdeploy.remote.directory.rsync.RESERVE_KIB", 0)
    with pytest.raises(NoSpace, match="full"):
        files.stage(replace(stage_item(item), copy_bytes=1))
    left = lab.run_on("gpu3", ["find", "/srv/small/ranking/staging", "/srv/small/ranking/models", "-type", "f"]).stdout
    assert left == ""


def test_a_host_is_drained_and_put_back_through_ssh(
    serving: RemoteServing, lab: Lab, lab_fleet: SshFleet, hosts: dict[str, Host]
) -> None:
    """Drain and undrain go through the balancer host's SSH, are confirmed by HAProxy, and move both pools."""
    balancer = lab_fleet.balancer(BalancerWish("haproxy", "lb", "/run/haproxy/admin.sock", "gpu1", {"ranking": POOLS}))

    def traffic() -> set[Traffic]:
        return {member.traffic for member in balancer.members(POOLS) if member.server == "gpu1"}

    balancer.undrain(POOLS, "gpu1", deadline_s=20)
    assert traffic() == {Traffic.UP}
    balancer.drain(POOLS, "gpu1", deadline_s=20)
    assert traffic() == {Traffic.DRAINED}
    assert "DRAIN" in lab.balancer_command("show stat")
    balancer.undrain(POOLS, "gpu1", deadline_s=20)
    assert traffic() == {Traffic.UP}


def test_a_balancer_that_cannot_be_reached_is_a_balancer_error(lab_fleet: SshFleet) -> None:
    """A missing socket and an unknown host are errors of the balancer, with what to do."""
    gone = BalancerWish("haproxy", "lb", "/run/haproxy/none.sock", "gpu1", {"ranking": POOLS})
    with pytest.raises(BalancerFailed, match="cannot be reached") as failed:
        lab_fleet.balancer(gone).members(POOLS)
    assert failed.value.hint
    with pytest.raises(BalancerFailed, match="not among"):
        lab_fleet.balancer(replace(gone, host="nowhere"))


def test_an_unreachable_host_is_refused_in_time(lab_fleet: SshFleet, hosts: dict[str, Host]) -> None:
    """A host that does not answer is Unreachable within the connect timeout, not after the system's own."""
    fleet = SshFleet(connect_timeout_s=2)
    silent = replace(hosts["gpu1"].connection, address="127.77.255.254", port=1)
    started = time.monotonic()
    with pytest.raises(Unreachable):
        fleet.session(Host("gone", silent))
    fleet.close()
    assert time.monotonic() - started < 60


def test_the_socket_is_dockers_own() -> None:
    """Docker is only ever asked over the host's local socket, never over TCP."""
    assert dockerhttp.SOCKET == "/var/run/docker.sock"
