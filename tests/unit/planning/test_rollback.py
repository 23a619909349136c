"""Which release a host goes back to, and what is made of its record."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath

import pytest
from simulation.controller import desired, golden, sim_host
from simulation.seen import ADDRESS, settled_host
from simulation.world import SERVICE

from fleetdeploy.domain.lease import Holder, Lease
from fleetdeploy.domain.observed import Absent, Present, ProvenRelease, RecordedVersion, Release
from fleetdeploy.domain.plan import Activation
from fleetdeploy.domain.secret import Secret
from fleetdeploy.domain.service import DesiredService, ServiceWish
from fleetdeploy.errors import InputError
from fleetdeploy.planning.container import container_spec
from fleetdeploy.planning.host import plan_host
from fleetdeploy.planning.recorded import (
    desired_of,
    lacking_secrets,
    problems_of,
    secrets_of,
    spec_of,
    standing_refusals,
)
from fleetdeploy.planning.rollback import Goal, Past, goals, last_good, past_of, proven_here, taken_back
from fleetdeploy.tasks.verify import release_of


def proven(*contents: str) -> tuple[ProvenRelease, ...]:
    """Releases in the order of their proof; ``b<c`` is one that was made by going back from ``c`` to ``b``."""
    found = []
    for number, text in enumerate(contents):
        content, _, left = text.partition("<")
        found.append(ProvenRelease(f"T{number}-{content}", {"ranker": (ord(content) - ord("a") + 1,)}, left))
    return tuple(found)


def past(*contents: str, unfinished: bool = False) -> Past:
    releases = proven(*contents)
    return Past(releases, releases[-1].content_hash if releases else "", unfinished)


@pytest.mark.parametrize(
    ("history", "goal"),
    [
        ("", ""),
        ("a", ""),
        ("a b", "a"),
        ("a b a<b", ""),
        ("a b c b<c", "a"),
        ("a b a<b c", "a"),
        ("a b a<b b c", "b"),
        ("a b b c c", "b"),
        ("a b c a", ""),
        ("a b c b<c a<b b<a", ""),
        ("a b a c", "a"),
        ("a b c a b c", "b"),
        ("a b c b<c c", "b"),
    ],
)
def test_the_last_good_release_is_the_one_that_the_current_one_came_after(history: str, goal: str) -> None:
    """What was there before the first proof of the current one; what was taken back is passed over."""
    assert last_good(past(*history.split())) == goal


def test_what_was_proven_again_is_no_longer_taken_back() -> None:
    """A release is taken back until it is proven once more, by whomever."""
    assert set(taken_back(proven("a", "b", "a<b"))) == {"b"}
    assert set(taken_back(proven("a", "b", "a<b", "b"))) == set()
    assert set(taken_back(proven("a", "b", "c", "b<c", "a<b"))) == {"b", "c"}


def test_hosts_that_serve_what_others_go_back_to_stay() -> None:
    """After a rollout or a rollback that ended half-way all hosts come to one release."""
    pasts = {
        ("one", "s"): past("a", "b", "c"),
        ("two", "s"): past("a", "b"),
        ("three", "s"): past("a", "b", "c", "b<c"),
    }
    assert {key[0]: goal.content for key, goal in goals(pasts, "").items()} == dict.fromkeys(
        ("one", "two", "three"), "b"
    )


def test_a_host_beside_the_way_of_the_others_is_refused() -> None:
    """One that serves neither what is left nor what is gone back to would make a third release."""
    pasts = {("one", "s"): past("a", "b", "c"), ("two", "s"): past("z", "a", "b"), ("three", "s"): past("z", "a")}
    found = goals(pasts, "")
    assert (found["one", "s"].content, found["two", "s"].content) == ("b", "b")
    assert "neither what the other hosts leave nor what they go back to" in found["three", "s"].problem


def test_hosts_that_would_come_to_different_releases_are_refused() -> None:
    """One step back that ends in a mixed fleet is no way back, and each host tells where it would go."""
    pasts = {("one", "s"): past("a", "b", "c"), ("two", "s"): past("a", "c")}
    for goal in goals(pasts, "").values():
        assert goal.content == ""
        assert "differ from host to host: one to T1-b (ranker 2); two to T0-a (ranker 1)" in goal.problem
        assert goal.hint == "name the release"
    assert {goal.content for goal in goals(pasts, "a").values()} == {"a"}
    apart = {("one", "s"): past("a", "d"), ("two", "s"): past("a", "c", "e")}
    assert {goal.content for goal in goals(apart, "").values()} == {""}


def test_hosts_with_nothing_in_common_go_back_each_for_itself() -> None:
    """Where a service's containers differ from host to host, so do all of its releases."""
    pasts = {("one", "s"): past("a", "b"), ("two", "s"): past("x", "y")}
    assert [goal.content for goal in goals(pasts, "").values()] == ["a", "x"]


def test_an_unfinished_rollback_is_finished() -> None:
    """Where a rollback did not come to its end, nobody goes further back than it went."""
    pasts = {("one", "s"): past("a", "b", "c", "b<c"), ("two", "s"): past("a", "b", "c", "b<c", unfinished=True)}
    assert {goal.content for goal in goals(pasts, "").values()} == {"b"}


@pytest.mark.parametrize(("wanted", "content"), [("T0-a", "a"), ("b", "b"), ("T1", "b"), ("ranker=1", "a")])
def test_a_release_is_named_by_id_hash_part_or_version(wanted: str, content: str) -> None:
    """On every host the content counts, under whatever id it was proven there."""
    other = Past((ProvenRelease("X9-a", {"ranker": (1,)}), ProvenRelease("X9-b", {"ranker": (2,)})), "b")
    found = goals({("one", "s"): past("a", "b", "c"), ("two", "s"): other}, wanted)
    assert {goal.content for goal in found.values()} == {content}


def test_of_releases_with_one_version_the_newest_that_nobody_took_back_is_meant() -> None:
    """MODEL=VERSION is the one proven last; one that a rollback left is meant only where there is no other."""
    images = [ProvenRelease(f"T{number}-{content}", {"ranker": (1,)}) for number, content in enumerate("ab")]
    assert goals({("one", "s"): Past(tuple(images), "b")}, "ranker=1") == {("one", "s"): Goal("b")}
    back = ProvenRelease("T2-c", {"ranker": (2,)}, took_back="b")
    assert goals({("one", "s"): Past((*images, back), "c")}, "ranker=1") == {("one", "s"): Goal("a")}
    assert goals({("one", "s"): Past((images[1], back), "c")}, "ranker=1") == {("one", "s"): Goal("b")}


@pytest.mark.parametrize("wanted", ["T0-a", "a"])
def test_a_whole_name_is_no_part_of_another_one(wanted: str) -> None:
    """Who gives an id or a hash in full means that release, whatever else begins or ends like it."""
    alike = (ProvenRelease("T0-a", {"ranker": (1,)}), ProvenRelease("T0-ab", {"ranker": (2,)}))
    assert goals({("one", "s"): Past(alike, "ab")}, wanted) == {("one", "s"): Goal("a")}


def test_what_stands_for_several_releases_is_refused() -> None:
    """A part that fits more than one content on a host is no name."""
    with pytest.raises(InputError, match="'T' stands for several releases of s on one: T0-a, T1-b"):
        goals({("one", "s"): past("a", "b")}, "T")


def test_only_services_that_proved_it_are_meant() -> None:
    """Of a host's services those go back that the name stands for; a host that has none of them is refused."""
    pasts = {("one", "s"): past("a", "b"), ("one", "t"): past("x", "y"), ("two", "t"): past("x", "y")}
    found = goals(pasts, "T0-a")
    assert found["one", "s"] == Goal("a")
    assert ("one", "t") not in found
    assert "was never proven here" in found["two", "t"].problem
    assert found["two", "t"].hint == "--limit the run to the others"


def test_a_history_that_does_not_end_with_the_current_record_is_completed() -> None:
    """Where there is no history yet the current record alone is known; a lease or marker of its run is unfinished."""
    seen = settled_host(desired(1)).services[SERVICE]
    assert isinstance(seen.release, Present)
    record = replace(seen.release.value, took_back="b")
    seen = replace(seen, release=Present(record))
    assert [item.id for item in proven_here(seen)] == [record.id]
    assert past_of(seen) == Past(proven_here(seen), record.content_hash)
    lease = Lease(Holder(record.run, "ann@desk"), 1, 2.0, 0.0)
    assert past_of(replace(seen, lease=Present(lease))).unfinished
    forward = replace(seen, release=Present(replace(record, took_back="")), lease=Present(lease))
    assert not past_of(forward).unfinished, "its run was no rollback"
    assert not past_of(replace(seen, lease=Present(replace(lease, holder=Holder("other", "ann@desk"))))).unfinished
    assert past_of(replace(seen, drained_by=Present("run"))).unfinished
    assert not past_of(replace(seen, release=Absent(), history=Present(proven("a", "b<c")))).unfinished


# What is made of a record


def secret(value: str) -> Secret:
    return Secret(lambda: value, note=lambda _: None, where="test")


def recorded(service: DesiredService) -> Release:
    """What ``verify`` writes for a service on the settled host."""
    (plan,) = plan_host(sim_host("gpu1"), [service], settled_host(service), stamp="T1").services
    return release_of(plan, "run")


def back_to(
    release: Release, wish: ServiceWish, service: DesiredService, secrets: dict[str, str] | None = None
) -> DesiredService:
    seen = settled_host(service).services[SERVICE]
    return desired_of(
        release, wish, seen, golden=lambda _: (golden(1),), secrets=secrets or {}, took_back="feed"
    )  # fmt: skip


def test_a_record_gives_the_service_that_it_was_made_of() -> None:
    """Whatever the inventory wants by now, the host has nothing to do for the release that its record describes."""
    service = desired(1, labels={"stable": 1}, environment={"MODE": "fast", "API": secret("hunter22")})
    seen = settled_host(service)
    release = recorded(service)
    now = replace(desired(5, image="serving:9", memory_bytes=7).wish, bind="192.168.0.0/16")
    made = back_to(release, now, service, secrets_of(release.container, service.wish.environment))
    assert list(problems_of(release, made, seen.services[SERVICE], seen, image_there=True)) == []
    assert made.recorded is not None
    assert made.recorded.fields() == release.container
    assert made.recorded.environment["API"] == "hunter22"
    docker = replace(seen.docker.value, images={made.wish.image: made.wish.image})  # type: ignore[union-attr]
    plan = plan_host(sim_host("gpu1"), [made], replace(seen, docker=Present(docker)), stamp="T9", again=True)
    assert plan.refusals == ()
    assert plan.services[0].activation is Activation.NOTHING
    assert plan.services[0].release_id == f"T9-{release.content_hash}"
    assert release_of(plan.services[0], "run").took_back == "feed"


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        ({"config_text": desired(2).config_text}, "does not serve the versions that the record names"),
        ({"id": "T1-0123456789ab"}, "does not fit the hash in its id"),
        ({"service": "other"}, "is one of service 'other'"),
        ({"contents": {"ranker": {1: RecordedVersion("0" * 64, 200)}}}, "is not the one that was proven"),
        (
            {"contents": {"ranker": {1: RecordedVersion(desired(1).models[0].versions[0].manifest.digest, 1)}}},
            "changed",
        ),
        ({"bind": "192.168.0.0/16"}, "it was published on 10.0.0.1"),
        ({"models": {"ranker": (1, 2)}}, "version 2 of ranker is not on the host any more"),
    ],
)
def test_a_record_that_is_not_whole_is_found_out(harm: dict[str, object], words: str) -> None:
    """Each field that matters is held against the host, the configuration or the hash in the id."""
    service = desired(1)
    release, seen = replace(recorded(service), **harm), settled_host(service)  # type: ignore[arg-type]
    made = back_to(release, service.wish, service)
    problems = list(problems_of(release, made, seen.services[SERVICE], seen, image_there=True))
    assert any(words in item.message for item in problems)


def test_a_record_of_another_container_is_found_out() -> None:
    """What stands in it would be made under a name that is not the service's."""
    service = desired(1)
    release, seen = recorded(service), settled_host(service)
    release = replace(release, container={**release.container, "name": "other"})
    made = back_to(release, service.wish, service)
    problems = list(problems_of(release, made, seen.services[SERVICE], seen, image_there=True))
    assert problems[0].message == "its record is one of service 'ranking', container 'other'"


def test_a_file_too_many_is_found_out() -> None:
    """A version with a file that its manifest does not name is not the one that was proven, whatever its size."""
    service = desired(1)
    release, seen = recorded(service), settled_host(service)
    there = seen.services[SERVICE].versions.value["ranker"][1]  # type: ignore[union-attr]
    more = replace(there, sizes_bytes={**there.sizes_bytes, "assets/empty": 0})
    observed = replace(seen.services[SERVICE], versions=Present({"ranker": {1: more}}))
    problems = list(problems_of(release, back_to(release, service.wish, service), observed, seen, image_there=True))
    assert [item.message for item in problems] == [
        "files of version 1 of ranker changed on the host since they were staged"
    ]


def test_what_went_from_the_host_since_is_not_brought_there() -> None:
    """A later look that finds no version, or no image, refuses the host: a way back copies and pulls nothing."""
    service = desired(1)
    made, seen = back_to(recorded(service), service.wish, service), settled_host(service)
    bare = replace(seen.services[SERVICE], versions=Present({}), container=Absent())
    docker = Present(replace(seen.docker.value, images={}))  # type: ignore[union-attr]
    gone = replace(seen, services={SERVICE: bare}, docker=docker, listening=Present(()))
    found = standing_refusals(plan_host(sim_host("gpu1"), [made], gone, stamp="T9", again=True))
    assert [item.message for item in found] == [
        "version 1 of ranker is not on the host any more",
        f"the image {made.recorded.image} ({made.recorded.image_id}) is not on the host any more",  # type: ignore[union-attr]
    ]


def test_files_that_were_elsewhere_are_found_out() -> None:
    """A container is made as it was, with what it mounted: another directory in the inventory has not its files."""
    service = desired(1)
    release, seen = recorded(service), settled_host(service)
    made = back_to(release, replace(service.wish, base_dir=PurePosixPath("/elsewhere")), service)
    problems = list(problems_of(release, made, seen.services[SERVICE], seen, image_there=True))
    assert [item.message for item in problems] == ["its files were in another directory than the inventory's"]


def test_a_container_that_cannot_be_understood_is_an_error() -> None:
    """Fields of another shape are no container."""
    fields = recorded(desired(1)).container
    assert spec_of(fields).fields() == fields
    for harm in ({"ports": [1]}, {"environment": None}, {"memory_bytes": "much"}, {"mounts": [["one"]]}):
        with pytest.raises(ValueError, match="cannot be understood"):
            spec_of({**fields, **harm})


def test_a_secret_that_nobody_knows_refuses_a_new_container_and_nothing_else() -> None:
    """A running container goes on with the value it has; one that must be made needs the very value of the record."""
    service = desired(1, environment={"API": secret("hunter22")})
    release, seen = recorded(service), settled_host(service)
    assert secrets_of(release.container, {"API": secret("another1")}) == {}
    made = back_to(release, service.wish, service)
    assert made.recorded is not None
    assert lacking_secrets(made.recorded) == ("API",)
    docker = replace(seen.docker.value, images={made.wish.image: made.wish.image})  # type: ignore[union-attr]
    container = seen.services[SERVICE].container
    assert isinstance(container, Present)
    labels = {**container.value.labels, "fleetdeploy.spec": made.recorded.spec_hash}
    running = replace(seen.services[SERVICE], container=Present(replace(container.value, labels=labels)))
    stopped = replace(running, container=Present(replace(container.value, labels=labels, status="exited")))
    for service_seen, refused in ((running, 0), (stopped, 1)):
        facts = replace(seen, docker=Present(docker), services={SERVICE: service_seen}, listening=Present(()))
        plan = plan_host(sim_host("gpu1"), [made], facts, stamp="T9", again=True)
        assert plan.refusals == ()
        found = standing_refusals(plan)
        assert len(found) == refused
        assert all("needs the secret API as it was" in item.message for item in found)


def test_the_address_is_the_recorded_one() -> None:
    """The container is made as it was, and not as today's wish would have it."""
    service = desired(1)
    made = back_to(recorded(service), replace(service.wish, bind=ADDRESS), service)
    assert made.recorded == container_spec(service, address=ADDRESS, image_id="sha256:serving:1")
