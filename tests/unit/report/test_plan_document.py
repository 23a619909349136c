"""What a plan file notices: everything that a plan rests on, and nothing that changes by itself."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

import pytest
from pydantic import BaseModel
from simulation.controller import desired, golden, plays, sim_host, version
from simulation.seen import settled_host

from fleetdeploy.domain.inventory import BalancerWish, Connection, DeclaredGpus
from fleetdeploy.domain.observed import Absent, ContainerFacts, Disk, Present, State, Unknown, VersionState
from fleetdeploy.domain.playbook import OnFailure, Quantity
from fleetdeploy.domain.secret import Secret
from fleetdeploy.domain.service import GpuRequest, Ports
from fleetdeploy.planning.host import plan_host
from fleetdeploy.report.plan_file import document
from fleetdeploy.report.plan_file.differences import differences
from fleetdeploy.report.plan_file.plain import plain
from fleetdeploy.rollout.targets import Target

V1 = desired(1)
HOST = sim_host("gpu1")
SEEN = settled_host(V1)
INVENTORY = {name: sim_host(name) for name in ("gpu1", "lb", "other")}
RANKING = SEEN.services["ranking"]
assert isinstance(RANKING.container, Present)
assert isinstance(RANKING.release, Present)
assert isinstance(RANKING.versions, Present)
CONTAINER: ContainerFacts = RANKING.container.value


def seen(observed: Any) -> Any:
    return document.observed_host(plan_host(HOST, [V1], observed, stamp="T1"), Target(HOST, (V1,)))


def places(before: object, after: object) -> list[str]:
    """Where two documents differ, as they would after a way through a file."""
    one, other = (json.loads(json.dumps(item)) for item in (before, after))
    return sorted({item.where.rpartition("observed.")[2] for item in differences(one, other)})


@pytest.mark.parametrize(
    ("place", "change"),
    [
        ("container.id", {"container": Present(replace(CONTAINER, id="other"))}),
        ("container.image_id", {"container": Present(replace(CONTAINER, image_id="sha256:other"))}),
        ("container.status", {"container": Present(replace(CONTAINER, status="exited"))}),
        ("container.spec", {"container": Present(replace(CONTAINER, labels={}))}),
        ("container", {"container": Absent()}),
        ("container", {"container": Unknown("no answer")}),
        ("previous", {"previous": Present(CONTAINER)}),
        ("config", {"config_text": Present("something else")}),
        ("config", {"config_text": Unknown("not readable")}),
        ("release", {"release": Present(replace(RANKING.release.value, id=f"T9-{'ab' * 6}"))}),
        ("served.ranker.1", {"served": {"ranker": Present((VersionState(1, State.LOADING),))}}),
        ("served.ranker.1", {"served": {"ranker": Present((VersionState(1, State.AVAILABLE, "DATA_LOSS: x"),))}}),
        ("served.ranker.2", {"served": {"ranker": Present((*RANKING.served["ranker"].value, VersionState(2, State.END)))}}),  # type: ignore[union-attr]  # noqa: E501
        ("versions.ranker.1", {"versions": Present({"ranker": {1: replace(RANKING.versions.value["ranker"][1], manifest_digest="e" * 64)}})}),  # noqa: E501
        ("versions.ranker", {"versions": Present({})}),
        ("drained_by", {"drained_by": Present("run-1")}),
    ],
)  # fmt: skip
def test_what_a_plan_rests_on_is_seen(place: str, change: dict[str, Any]) -> None:
    """Each reading of a service that has changed is told at its place, and so is one that could not be read."""
    service = replace(RANKING, **change)
    assert places(seen(SEEN), seen(replace(SEEN, services={"ranking": service}))) == [place]


def test_another_image_of_the_same_name_is_seen() -> None:
    """A name that somebody gave to another image, or took away, and an engine that does not answer."""
    assert isinstance(SEEN.docker, Present)
    for images in ({**SEEN.docker.value.images, V1.wish.image: "sha256:other"}, {}):
        docker = Present(replace(SEEN.docker.value, images=images))
        assert places(seen(SEEN), seen(replace(SEEN, docker=docker))) == ["image"]
    assert places(seen(SEEN), seen(replace(SEEN, docker=Unknown("no answer")))) == ["image"]


def test_another_gpu_is_seen() -> None:
    """A card that was changed is a difference, as the plan is made for what was there."""
    assert isinstance(SEEN.gpus, Present)
    other = (SEEN.gpus.value[0], replace(SEEN.gpus.value[1], memory_bytes=1))
    assert places(seen(SEEN), seen(replace(SEEN, gpus=Present(other)))) == ["gpus #2.memory_bytes"]


def test_what_changes_by_itself_is_no_difference() -> None:
    """Free space, memory in use, the clock, another address and the words of a reason: nothing is planned by them."""
    assert isinstance(SEEN.gpus, Present)
    service = replace(RANKING, disk=Present(Disk(10**12, 10)), container=Present(replace(CONTAINER, restart_count=3)))
    later = replace(
        SEEN,
        services={"ranking": service},
        gpus=Present(tuple(replace(gpu, memory_used_bytes=5) for gpu in SEEN.gpus.value)),
        clock_s=99.0,
        addresses=Present(("127.0.0.1", "10.0.0.1", "fe80::1")),
    )
    assert places(seen(SEEN), seen(later)) == []
    one, other = (replace(RANKING, served={"ranker": Unknown(why)}) for why in ("refused", "timed out"))
    assert (
        places(seen(replace(SEEN, services={"ranking": one})), seen(replace(SEEN, services={"ranking": other}))) == []
    )


def test_a_configuration_with_a_secret_is_not_hashed() -> None:
    """The rest of the file is known, so that a hash would tell a secret that is easy to guess."""
    secretive = replace(V1, config_shown=V1.config_text.replace("ranker", "<secret>"))
    host = replace(SEEN, services={"ranking": replace(RANKING, config_text=Present("by hand"))})
    plan = plan_host(HOST, [secretive], host, stamp="T1")
    found = document.observed_host(plan, Target(HOST, (secretive,)))["services"]
    assert isinstance(found, dict)
    assert found["ranking"]["observed"]["config"] == "other"


def test_what_serves_is_compared_where_files_were_put_in_place() -> None:
    """On a prepared host new versions on disk are our own; a container that was stopped is not."""
    staged = replace(RANKING, versions=Present({}), drained_by=Present("run"), previous=Present(CONTAINER))
    stopped = replace(staged, container=Present(replace(CONTAINER, status="exited")))
    before = document.prepared_host(seen(SEEN))
    assert places(before, document.prepared_host(seen(replace(SEEN, services={"ranking": staged})))) == []
    after = document.prepared_host(seen(replace(SEEN, services={"ranking": stopped})))
    assert places(before, after) == ["container.status"]


def test_an_image_that_was_pulled_is_no_difference_afterwards() -> None:
    """Which image a pull brings is not known before it; one that was there before stays the same."""
    assert isinstance(SEEN.docker, Present)
    without = replace(SEEN, docker=Present(replace(SEEN.docker.value, images={})))
    assert places(*(document.prepared_host(seen(item)) for item in (without, SEEN))) == ["image"]
    assert places(*(document.prepared_host(seen(item), pulled={"ranking"}) for item in (without, SEEN))) == []


# What is wanted


def wanted(service: Any = V1, host: Any = HOST, inventory: Any = None, **changes: Any) -> Any:
    bound = plays(["gpu1"], **{key: value for key, value in changes.items() if key != "calls"})
    return document.wanted({"gpu1": Target(host, (service,))}, bound, inventory or INVENTORY)


def wish(**changes: Any) -> Any:
    return replace(V1, wish=replace(V1.wish, **changes))


def model(**changes: Any) -> Any:
    return replace(V1, models=(replace(V1.models[0], **changes),))


@pytest.mark.parametrize(
    ("place", "service"),
    [
        ("image", wish(image="serving:2")),
        ("runtime", wish(runtime="runc")),
        ("bind", wish(bind="10.0.0.1")),
        ("ports.rest", wish(ports=Ports(8500, 9501))),
        ("gpus.count", wish(gpus=GpuRequest(devices=(0,), count=1))),
        ("flags.enable_batching", wish(flags={"enable_batching": "true"})),
        ("environment.LEVEL", wish(environment={"LEVEL": "1"})),
        ("base_dir", wish(base_dir=PurePosixPath("/data"))),
        ("memory_bytes", wish(memory_bytes=1)),
        ("metrics", wish(metrics=True)),
        ("user", wish(user="1:1")),
        ("config", replace(V1, config_text=V1.config_text + "# more")),
        ("models.ranker.labels.stable", model(labels={"stable": 1})),
        ("models.ranker.versions.2", model(versions=(*V1.models[0].versions, version("ranker", 2)))),
        ("models.ranker.versions.1", model(versions=(replace(version("ranker", 7), number=1),))),
        ("models.ranker.golden", model(golden=(golden(7),))),
        ("models.ranker.accept_incomplete", wish(models=(replace(V1.wish.models[0], accept_incomplete=True),))),
        (
            "models.ranker.allow_signature_change",
            wish(models=(replace(V1.wish.models[0], allow_signature_change=True),)),
        ),
    ],
)
def test_what_is_wanted_of_a_service(place: str, service: Any) -> None:
    """Each of its keys, and each file and golden request, is told at its place."""
    found = differences(wanted(), wanted(service))
    assert [item.where.removeprefix("services.ranking.wanted.") for item in found] == [place]
    assert {item.host for item in found} == {"gpu1"}


@pytest.mark.parametrize(
    ("place", "host"),
    [
        ("connection.address", replace(HOST, connection=Connection("elsewhere"))),
        ("connection.port", replace(HOST, connection=replace(HOST.connection, port=2222))),
        ("balancer", replace(HOST, balancer=None)),
        ("balancer.server", replace(HOST, balancer=BalancerWish("haproxy", "lb", "/run/haproxy.sock", "x", HOST.balancer.pools))),  # type: ignore[union-attr]  # noqa: E501
        ("gpus", replace(HOST, gpus=DeclaredGpus(2))),
    ],
)  # fmt: skip
def test_which_machine_is_meant(place: str, host: Any) -> None:
    """Another address under the same name is another machine."""
    assert [item.where for item in differences(wanted(), wanted(host=host))] == [place]


def test_which_machines_are_meant_beside() -> None:
    """Of the balancer's host, of hosts beyond the limit too, and of one that tasks are delegated to."""
    (bound,) = (item for item in plays(["gpu1"]) if item.play.name.startswith("Switch"))
    first, *rest = bound.calls
    bound = replace(bound, calls=(replace(first, delegate=INVENTORY["other"]), *rest))
    for name in ("lb", "other"):
        moved = {**INVENTORY, name: replace(INVENTORY[name], connection=Connection("elsewhere"))}
        one, other = (document.wanted({}, [bound], inventory) for inventory in (INVENTORY, moved))
        assert [item.where for item in differences(one, other)] == [f"other_hosts.{name}.address"]


@pytest.mark.parametrize(
    ("place", "change"),
    [
        ("serial", {"serial": (Quantity(2),)}),
        ("max_unavailable.amount", {"max_unavailable": Quantity(3)}),
        ("max_fail_percentage", {"max_fail_percentage": 50}),
        ("soak_s", {"soak_s": 9.0}),
        ("on_failure", {"on_failure": OnFailure.STOP}),
        ("seed", {"seed": 5}),
    ],
)
def test_what_is_wanted_of_a_play(place: str, change: dict[str, Any]) -> None:
    """Every key of a play that says how it goes."""
    (found, *more) = differences(wanted(), wanted(**change))
    assert found.where.startswith(f"plays #2.{place}")
    assert all(item.where.startswith(f"plays #2.{place}") for item in more)


def test_what_is_wanted_of_a_task() -> None:
    """Its arguments, the hosts of its conditions, whether it is done once and where."""
    (bound,) = (item for item in plays(["gpu1"]) if item.play.name.startswith("Switch"))
    (first, *rest) = bound.calls
    for place, call in {
        "arguments": replace(first, arguments=first.arguments.model_copy(update={"timeout": 1.0})),
        "hosts": replace(first, hosts=frozenset()),
        "once": replace(first, once=True),
        "delegate": replace(first, delegate=sim_host("lb")),
        "label": replace(first, label="another"),
        "environment.LEVEL": replace(first, environment={"LEVEL": "1"}),
    }.items():
        before, after = (
            document.wanted({}, [item], INVENTORY) for item in (bound, replace(bound, calls=(call, *rest)))
        )
        (found,) = differences(before, after)
        assert found.where.startswith(f"plays #1.tasks #1.{place}")


def test_secrets_are_no_part_of_a_document() -> None:
    """A secret, what its name gives away as one, and all of a web address but its host are left out."""

    class Arguments(BaseModel):
        url: str
        argv: tuple[str, ...] = ("a", "b")

    secret = Secret(lambda: "hidden value", note=lambda _: None, where="here")
    service = wish(environment={"ONE": secret, "API_TOKEN": "hidden value", "LEVEL": "1"})
    text = json.dumps(wanted(service))
    assert "hidden" not in text
    assert '"ONE": "<secret>"' in text
    found = plain(Arguments(url="https://user:hidden@chat.example.net/hooks/hidden?key=hidden"))
    assert found == {"url": "chat.example.net", "argv": ["a", "b"]}
