"""What stands against a rollback before any host is touched, by what a first look at the hosts tells."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from simulation.controller import sim_host
from simulation.seen import settled_host
from simulation.world import SERVICE

from fleetdeploy.domain.observed import ObservedHost, ObservedService, Present, ProvenRelease, Unknown
from fleetdeploy.domain.plan import HostPlan, Refusal
from fleetdeploy.domain.secret import Secret
from fleetdeploy.errors import HostError, InputError
from fleetdeploy.rollout.going_back import GoingBack, going_back
from fleetdeploy.rollout.one_way_back import Request
from fleetdeploy.rollout.targets import Target, Targets

from .fleets import V1, V2

PROVEN = settled_host(V1).services[SERVICE].release
NOW = settled_host(V2).services[SERVICE]


@dataclass
class Looked:
    """A fleet whose hosts were looked at, and can do nothing else. ``records`` are by id."""

    seen: Mapping[str, ObservedHost | HostError]
    records: Mapping[str, Any]

    def session(self, host: Any) -> Looked:
        return Looked({"": self.seen[host.name]}, self.records)

    def observe(self, _: object) -> ObservedHost:
        found = self.seen[""]
        if isinstance(found, HostError):
            raise found
        return found

    def files(self, _: object) -> Looked:
        return self

    def containers(self) -> Looked:
        return self

    def image_id(self, image: str) -> str:
        return image

    def environment(self, _: str) -> dict[str, str]:
        return {}

    def read_release(self, release_id: str) -> Any:
        found = self.records.get(release_id)
        if isinstance(found, HostError):
            raise found
        return found


def upgraded(**changes: Any) -> ObservedHost:
    """A host on which version 2 came after version 1, with these differences in what is seen of the service."""
    assert isinstance(PROVEN, Present)
    assert isinstance(NOW.release, Present)
    history = tuple(ProvenRelease(item.value.id, item.value.models) for item in (PROVEN, NOW.release))
    both = {**_versions(settled_host(V1)), **_versions(settled_host(V2))}
    seen = replace(NOW, history=Present(history), versions=Present({"ranker": both}))
    return replace(settled_host(V2), services={SERVICE: replace(seen, **changes)})


def _versions(host: ObservedHost) -> dict[int, Any]:
    found = host.services[SERVICE].versions
    assert isinstance(found, Present)
    return dict(found.value["ranker"])


def went_back(
    *seen: ObservedHost | HostError,
    records: Mapping[str, Any] | None = None,
    wanted: str = "",
    undecided: Callable[[HostPlan], Sequence[Refusal]] = lambda _: (),
) -> GoingBack:
    """Hosts gpu1, gpu2, ... that were seen so."""
    assert isinstance(PROVEN, Present)
    hosts = {f"gpu{at}": found for at, found in enumerate(seen, 1)}
    fleet: Any = Looked(hosts, {PROVEN.value.id: PROVEN.value} if records is None else records)
    bare = {name: Target(replace(sim_host(name), services=(V2.wish,)), ()) for name in hosts}
    request = Request(wanted, 1, lambda _: (), lambda value: Secret(lambda: value, note=lambda _: None, where="here"))
    return going_back(Targets(bare, "T9", undecided=undecided), fleet, request)


def refused(going: GoingBack, host: str = "gpu1") -> list[str]:
    """Why a host is refused, whatever else is planned for it."""
    plan: Any = type("Plan", (), {"host": going.targets.by_name[host].host, "services": ()})
    return [item.message for item in going.targets.undecided(plan)]


def test_a_host_that_can_go_back_is_not_refused() -> None:
    """Its target is the release that was proven there before."""
    going = went_back(upgraded())
    assert refused(going) == []
    (target,) = going.targets.by_name["gpu1"].desired
    assert [model.wanted for model in target.models] == [(1,)]
    assert target.took_back == NOW.release.value.content_hash  # type: ignore[union-attr]


@pytest.mark.parametrize("what", ["history", "release"])
def test_what_could_not_be_read_is_not_taken_for_nothing(what: str) -> None:
    """A host whose past is not known is refused with the reason, however much of it was seen."""
    going = went_back(upgraded(), upgraded(**{what: Unknown("Permission denied")}))
    assert refused(going) == []
    (told,) = refused(going, "gpu2")
    assert told.endswith("of service 'ranking' could not be read: Permission denied")
    assert going.targets.by_name["gpu2"].desired == ()


def test_a_host_that_cannot_be_looked_at_is_refused() -> None:
    """The others are planned all the same, so that all that is wrong is told at once."""
    going = went_back(upgraded(), HostError("no route to host", where="gpu2"))
    assert refused(going) == []
    assert refused(going, "gpu2") == ["it could not be looked at: no route to host"]


def test_damaged_lines_of_a_history_are_told() -> None:
    """They are passed over, and which hosts have them is said in one line."""
    going = went_back(upgraded(history_damaged=2), upgraded(history_damaged=2))
    assert "gpu1, gpu2: ranking: 2 damaged lines of its history were passed over" in going.notes


def test_of_several_services_one_must_be_named() -> None:
    """Without a release or a service nobody knows which of them is wrong."""
    other: ObservedService = replace(upgraded().services[SERVICE], name="other")
    two = replace(upgraded(), services={**upgraded().services, "other": other})
    with pytest.raises(InputError, match="several services could go back: other, ranking"):
        went_back(two)


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (None, "is not on the host any more"),
        (HostError("releases/x.json: not JSON"), "releases/x.json: not JSON"),
        (replace(PROVEN.value, container={"ports": 1}), "its container cannot be understood"),  # type: ignore[union-attr]
    ],
)
def test_a_record_that_cannot_be_had_refuses_its_host(record: Any, words: str) -> None:
    """Gone, not to be read, or not to be understood: the host keeps what it has, and it is told which record."""
    assert isinstance(PROVEN, Present)
    (told,) = refused(went_back(upgraded(), records={PROVEN.value.id: record}))
    assert words in told


def test_the_newest_record_of_a_content_counts() -> None:
    """What was proven in two runs goes back to the record of the later one, and to the earlier one where it is gone."""
    assert isinstance(PROVEN, Present)
    assert isinstance(NOW.release, Present)
    old, now = PROVEN.value, NOW.release.value
    newer = replace(old, id=f"T1-{old.content_hash}")
    history = tuple(ProvenRelease(item.id, item.models) for item in (old, newer, now))
    for records, meant in (({old.id: old, newer.id: newer}, newer), ({old.id: old}, old)):
        going = went_back(upgraded(history=Present(history)), records=records)
        assert f"gpu1: ranking: from {now.id} back to {meant.id}" in going.notes


def test_what_is_there_already_is_not_taken_back_again() -> None:
    """A host that stays on what a rollback brought it keeps the word of what that left."""
    assert isinstance(PROVEN, Present)
    back = replace(PROVEN.value, took_back="feed")
    seen = replace(settled_host(V1).services[SERVICE], release=Present(back))
    stays = replace(settled_host(V1), services={SERVICE: seen})
    (target,) = went_back(stays, wanted=back.content_hash).targets.by_name["gpu1"].desired
    assert target.took_back == "feed"


def test_what_else_stands_against_the_hosts_still_does() -> None:
    """A rollback asks whatever a run asks of its hosts besides."""
    going = went_back(upgraded(), undecided=lambda plan: (Refusal(plan.host.name, "not on a Sunday", "wait"),))
    assert refused(going) == ["not on a Sunday"]
