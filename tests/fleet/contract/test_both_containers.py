"""The Docker engine: each case on a simulated host and on one of the lab."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from fleetdeploy.domain.observed import Absent, ContainerFacts, Present, Unknown
from fleetdeploy.domain.service import LABEL_SERVICE, LABEL_SPEC, ContainerSpec, ServiceWish
from fleetdeploy.errors import DockerFailed
from fleetdeploy.planning.container import container_name, previous_name
from tests.fleet.contract.places import Place, Server, config

NONE = "fleetdeploy-nobody"


def looked_at(found: ContainerFacts, spec: ContainerSpec) -> ContainerFacts:
    """The same as a look shows it, which asks for its ports as well."""
    return replace(found, published=tuple(port for _, port in spec.ports.values()))


@pytest.fixture
def wish(place: Place) -> Iterator[ServiceWish]:
    """A service with a directory and no container; afterwards it has none again."""
    made = place.wish()
    place.session.files(made).write_config("model_config_list {}\n")
    yield made
    for name in (container_name(made.name), previous_name(made.name)):
        place.session.containers().remove(name)


def test_of_what_is_not_there_nothing_is_told(place: Place) -> None:
    """Reading a container or image that is not there is no error, and so is ending one."""
    containers = place.session.containers()
    assert containers.inspect(NONE) is None
    assert containers.environment(NONE) == {}
    assert containers.logs(NONE, lines=10) == ""
    assert containers.image_id("fleetdeploy/none:1") is None
    containers.stop(NONE, grace_s=1)
    containers.remove(NONE)


def test_what_is_not_there_does_nothing(place: Place) -> None:
    """To start it, to rename it and to run something in it are errors of Docker."""
    containers = place.session.containers()
    for refused in (
        lambda: containers.start(NONE),
        lambda: containers.rename(NONE, f"{NONE}.other"),
        lambda: containers.execute(NONE, ["true"], deadline_s=20),
    ):
        with pytest.raises(DockerFailed):
            refused()


def test_an_image_has_one_id(place: Place) -> None:
    """The id names the image as well as its reference does, and a look shows it for the reference."""
    containers, wish = place.session.containers(), place.wish()
    found = containers.image_id(place.image)
    assert found is not None
    assert containers.image_id(found) == found
    for image, images in ((place.image, {place.image: found}), ("fleetdeploy/none:1", {})):
        docker = place.session.observe([replace(wish, image=image)]).docker
        assert isinstance(docker, Present)
        assert docker.value.images == images


def test_an_image_that_nobody_has_cannot_be_pulled(place: Place) -> None:
    """DockerFailed, and the host has no such image afterwards."""
    containers = place.session.containers()
    with pytest.raises(DockerFailed):
        containers.pull("127.0.0.1:1/fleetdeploy/none:1", deadline_s=30)
    assert containers.image_id("127.0.0.1:1/fleetdeploy/none:1") is None


def test_a_container_is_made_and_runs(place: Place, wish: ServiceWish) -> None:
    """It has its labels, that of its spec among them, its image and its environment; a look sees the same one."""
    containers, spec = place.session.containers(), place.spec(wish)
    spec = replace(spec, environment={**spec.environment, "WORD": "a=b c"})
    containers.create_and_start(spec, {LABEL_SERVICE: wish.name, "more": "x"})
    made = containers.inspect(spec.name)
    assert made is not None
    assert (made.name, made.image_id, made.running, made.restart_count) == (spec.name, spec.image_id, True, 0)
    wanted = {LABEL_SERVICE: wish.name, LABEL_SPEC: spec.spec_hash, "more": "x"}
    assert {name: made.labels.get(name) for name in wanted} == wanted
    assert made.started_at
    environment = containers.environment(spec.name)
    assert {name: environment.get(name) for name in spec.environment} == spec.environment
    observed = place.session.observe([wish])
    seen = observed.services[wish.name]
    by_look = looked_at(made, spec)
    assert seen.container == Present(by_look)
    assert isinstance(observed.containers, Present)
    assert by_look in observed.containers.value
    assert seen.previous == Absent()


def test_without_our_label_nothing_is_made(place: Place, wish: ServiceWish) -> None:
    """A container that nobody could tell for ours is refused."""
    with pytest.raises(DockerFailed):
        place.session.containers().create_and_start(place.spec(wish), {})
    assert place.session.containers().inspect(container_name(wish.name)) is None


def test_a_name_that_is_taken_is_refused(place: Place, wish: ServiceWish) -> None:
    """The container that has it stays as it is; so it is with the second try after an answer that was lost."""
    containers, spec = place.session.containers(), place.spec(wish)
    containers.create_and_start(spec, {LABEL_SERVICE: wish.name})
    before = containers.inspect(spec.name)
    with pytest.raises(DockerFailed):
        containers.create_and_start(spec, {LABEL_SERVICE: wish.name})
    assert containers.inspect(spec.name) == before


def test_what_cannot_start_is_not_left(place: Place, wish: ServiceWish, server: Server) -> None:
    """An image that is not there, a port that is taken, and a directory that is missing: no container is left."""
    containers, spec = place.session.containers(), place.spec(wish)
    bare = place.wish()
    broken = (
        replace(spec, image_id="sha256:" + "0" * 64),
        replace(spec, ports=server.spec.ports),
        place.spec(bare),
    )
    for each in broken:
        with pytest.raises(DockerFailed):
            containers.create_and_start(each, {LABEL_SERVICE: each.name.removeprefix("fleetdeploy-")})
        assert containers.inspect(each.name) is None


def test_one_that_runs_already_is_left(place: Place, server: Server) -> None:
    """To start it again is no error and no new process."""
    containers = place.session.containers()
    before = containers.inspect(server.spec.name)
    containers.start(server.spec.name)
    assert containers.inspect(server.spec.name) == before


def test_stopped_it_is_there_and_does_not_run(place: Place, wish: ServiceWish) -> None:
    """Stopped twice it is the same; nothing runs in it, and nothing is told of what it serves; started it runs anew."""
    containers, spec = place.session.containers(), place.spec(wish)
    containers.create_and_start(spec, {LABEL_SERVICE: wish.name})
    running = containers.inspect(spec.name)
    for _ in range(2):
        containers.stop(spec.name, grace_s=1)
    stopped = containers.inspect(spec.name)
    assert running is not None
    assert stopped is not None
    assert (stopped.id, stopped.status, stopped.exit_code != 0) == (running.id, "exited", True)
    with pytest.raises(DockerFailed):
        containers.execute(spec.name, ["true"], deadline_s=20)
    assert isinstance(place.seen(wish).served["ranker"], Unknown)
    containers.start(spec.name)
    again = containers.inspect(spec.name)
    assert again is not None
    assert (again.id, again.running, again.started_at != running.started_at) == (running.id, True, True)


def test_a_port_that_was_taken_meanwhile_keeps_it_from_starting(place: Place, wish: ServiceWish) -> None:
    """DockerFailed; the stopped container stays, and starts once the port is free."""
    containers, spec = place.session.containers(), place.spec(wish)
    containers.create_and_start(spec, {LABEL_SERVICE: wish.name})
    containers.stop(spec.name, grace_s=1)
    other = replace(spec, name=previous_name(wish.name))
    containers.create_and_start(other, {LABEL_SERVICE: wish.name})
    with pytest.raises(DockerFailed):
        containers.start(spec.name)
    found = containers.inspect(spec.name)
    assert found is not None
    assert not found.running
    containers.remove(other.name)
    containers.start(spec.name)
    found = containers.inspect(spec.name)
    assert found is not None
    assert found.running


def test_a_container_changes_its_name_and_nothing_else(place: Place, wish: ServiceWish) -> None:
    """It keeps running under the new name; a name that is taken is refused, and both stay."""
    containers, spec = place.session.containers(), place.spec(wish)
    containers.create_and_start(spec, {LABEL_SERVICE: wish.name})
    before, kept = containers.inspect(spec.name), previous_name(wish.name)
    assert before is not None
    containers.rename(spec.name, kept)
    assert containers.inspect(kept) == replace(before, name=kept)
    seen = place.seen(wish)
    assert (seen.container, seen.previous) == (Absent(), Present(looked_at(replace(before, name=kept), spec)))
    with pytest.raises(DockerFailed):
        containers.rename(spec.name, kept)
    containers.stop(kept, grace_s=1)
    containers.create_and_start(spec, {LABEL_SERVICE: wish.name})
    both = (containers.inspect(spec.name), containers.inspect(kept))
    with pytest.raises(DockerFailed):
        containers.rename(spec.name, kept)
    assert (containers.inspect(spec.name), containers.inspect(kept)) == both


def test_one_that_runs_is_removed_too(place: Place, wish: ServiceWish) -> None:
    """Nothing of its name is left, and nothing listens; the second time is no error; the name is free."""
    containers, spec = place.session.containers(), place.spec(wish)
    containers.create_and_start(spec, {LABEL_SERVICE: wish.name})
    for _ in range(2):
        containers.remove(spec.name)
        assert containers.inspect(spec.name) is None
    assert place.seen(wish).container == Absent()
    containers.create_and_start(spec, {LABEL_SERVICE: wish.name})


def test_what_is_not_ours_is_never_touched(place: Place, wish: ServiceWish) -> None:
    """A container of our name without our label is seen, and refused by every verb that would change it."""
    containers, name = place.session.containers(), container_name(wish.name)
    place.make_foreign(name)
    try:
        before = containers.inspect(name)
        assert before is not None
        assert LABEL_SERVICE not in before.labels
        assert isinstance(place.seen(wish).container, Present)
        for refused in (
            lambda: containers.start(name),
            lambda: containers.stop(name, grace_s=1),
            lambda: containers.rename(name, previous_name(wish.name)),
            lambda: containers.remove(name),
            lambda: containers.execute(name, ["true"], deadline_s=20),
            lambda: containers.create_and_start(place.spec(wish), {LABEL_SERVICE: wish.name}),
        ):
            with pytest.raises(DockerFailed):
                refused()
        assert containers.inspect(name) == before
    finally:
        place.remove_foreign(name)


def test_a_command_runs_inside(place: Place, server: Server) -> None:
    """It ends with its status and what it printed; a program that is not there ends with 127, as in a shell."""
    containers = place.session.containers()
    listed = containers.execute(server.spec.name, ["nvidia-smi", "-L"], deadline_s=20)
    assert listed.status == 0
    assert listed.text.startswith("GPU 0: ")
    assert containers.execute(server.spec.name, ["fleetdeploy-no-such-program"], deadline_s=20).status == 127


def test_its_last_lines_are_read(place: Place, server: Server) -> None:
    """No more of them than asked for, running or not."""
    containers = place.session.containers()
    place.until(lambda: containers.logs(server.spec.name, lines=50), "it has written something")
    assert len(containers.logs(server.spec.name, lines=1).splitlines()) == 1


def test_a_server_that_ends_is_started_again(place: Place) -> None:
    """By its restart policy, and counted: its configuration has a version that does not load."""
    with place.serving(config(5), 5) as server:

        def restarts() -> int:
            found = place.session.containers().inspect(server.spec.name)
            return found.restart_count if found else 0

        place.until(restarts, "it has been started again")
        found = place.session.containers().inspect(server.spec.name)
        assert found is not None
        assert (found.exit_code != 0 or found.running, found.status in {"running", "restarting"}) == (True, True)
        assert server.states() == ()


def test_without_its_engine_nothing_is_known_of_containers(place: Place, wish: ServiceWish) -> None:
    """Unknown, never absent, what is on disk is seen all the same, and every verb fails as Docker."""
    containers, name = place.session.containers(), container_name(wish.name)
    with place.without_docker():
        host = place.session.observe([wish])
        seen = host.services[wish.name]
        for reading in (host.docker, host.containers, seen.container, seen.previous, seen.served["ranker"]):
            assert isinstance(reading, Unknown)
        assert seen.config_text == Present("model_config_list {}\n")
        for refused in (
            lambda: containers.inspect(name),
            lambda: containers.image_id(place.image),
            lambda: containers.environment(name),
            lambda: containers.logs(name, lines=1),
            lambda: containers.stop(name, grace_s=1),
            lambda: containers.start(name),
            lambda: containers.remove(name),
            lambda: containers.rename(name, previous_name(wish.name)),
        ):
            with pytest.raises(DockerFailed):
                refused()
    assert containers.inspect(name) is None
