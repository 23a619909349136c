"""Whole rollbacks: to what a host has proven before, past every way in which that can fail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from unittest import mock

import pytest
from simulation.controller import deploy, desired, plays
from simulation.model_server import Quality
from simulation.rollback import rollback
from simulation.wire import Killed, Trouble
from simulation.world import SERVICE, World, converged

from fleetdeploy.domain.events import Event, Kind
from fleetdeploy.domain.observed import Release
from fleetdeploy.domain.playbook import OnFailure, Quantity
from fleetdeploy.domain.secret import Secret
from fleetdeploy.domain.service import DesiredService, GoldenRequest, ModelWish
from fleetdeploy.errors import InputError

from .fleets import V1, V2, V3, dangers, settled, spoil, untrue
from .test_sweeps import deaths

PAIR = ("gpu1", "gpu2")
NEW_BOTH = desired(2, image="serving:2")
SCENES = {"reload": V2, "replacement": NEW_BOTH}


def upgraded(*wanted: DesiredService, names: tuple[str, ...] = PAIR) -> World:
    """Hosts on which version 1 was deployed, and ``wanted`` after it."""
    world = settled(*names)
    for item in wanted:
        assert deploy(world, item).code == 0
    return world


def content(world: World, at: int, host: str = "gpu1") -> str:
    """The content hash of what was proven at a place of the host's history."""
    history = world.hosts[host].directory(SERVICE).history
    assert history is not None
    return history[at].content_hash


def release(world: World, host: str = "gpu1") -> Release:
    found = world.hosts[host].directory(SERVICE).release
    assert found is not None
    return found


@pytest.mark.parametrize("scene", SCENES)
def test_upgrade_rollback_refusal_and_again(scene: str) -> None:
    """What a rollback left is refused until somebody says that it is meant; that run's record clears it."""
    wanted = SCENES[scene]
    world = upgraded(wanted)
    left = content(world, 1)
    back = rollback(world, wanted)
    assert (back.code, back.last_line) == (0, "OK: 2 of 2 hosts rolled back")
    assert converged(world, V1) == []
    assert dangers(world) == []
    assert release(world).took_back == left
    refused = deploy(world, wanted)
    assert refused.code == 5
    assert f"release {left} of service 'ranking' was taken back by run {release(world).run}" in refused.last_line
    assert refused.acts == []
    assert deploy(world, wanted, again=True).code == 0
    assert converged(world, wanted) == []
    assert release(world).took_back == ""
    assert deploy(world, wanted).acts == []


def test_nothing_is_copied_and_nothing_pulled() -> None:
    """Everything is on the host: with an empty registry the old image and the old version come back."""
    world = upgraded(NEW_BOTH)
    for host in world.hosts.values():
        host.registry.clear()
    run = rollback(world, NEW_BOTH)
    assert run.code == 0
    assert [call for call in run.acts if "stage" in call or "pull" in call] == []
    assert converged(world, V1) == []


def test_twice_goes_back_twice_and_no_further() -> None:
    """Each rollback goes one release further back; where nothing is left it is refused, and both stay taken back."""
    world = upgraded(V2, V3)
    assert rollback(world, V3).code == 0
    assert converged(world, V2) == []
    assert rollback(world, V3).code == 0
    assert converged(world, V1) == []
    third = rollback(world, V3)
    assert (third.code, third.acts) == (5, [])
    assert "nothing good was proven here before" in third.last_line
    assert [deploy(world, wanted).code for wanted in (V2, V3)] == [5, 5]


def test_what_was_taken_back_is_passed_over() -> None:
    """The last good release before the current one is none that a rollback left."""
    world = upgraded(V2)
    assert rollback(world, V2).code == 0
    assert deploy(world, V3).code == 0
    assert rollback(world, V3).code == 0
    assert converged(world, V1) == []


def test_one_host_of_a_fleet_goes_back_and_the_others_stay() -> None:
    """With a limit the others are not contacted; without one they follow to the same release, and it stays there."""
    world = upgraded(V2, V3)
    run = rollback(world, V3, hosts=["gpu2"])
    assert run.code == 0
    assert {host for host, _ in run.calls} <= {"gpu2", "lb"}
    assert [dict(world.serves(name).versions) for name in PAIR] == [{"ranker": (3,)}, {"ranker": (2,)}]
    assert rollback(world, V3).code == 0
    assert converged(world, V2) == []


def test_a_fleet_that_a_failed_rollout_left_mixed_comes_to_one_release() -> None:
    """Hosts that never got the bad release stay on the one that the others go back to, whatever they had before."""
    world = upgraded(V2)
    assert deploy(world, {"gpu1": V3}).code == 0
    run = rollback(world, V3)
    assert run.code == 0
    assert converged(world, V2) == []
    assert not any(act.startswith(("gpu2 containers", "gpu2 serving")) for act in run.acts)


def test_a_release_of_another_run_is_known_by_its_content() -> None:
    """A host that proved the same content in a run of its own goes back with the others, under another id."""
    world = upgraded(V2)
    files = world.hosts["gpu2"].directory(SERVICE)
    assert files.history is not None
    first = files.records.pop(files.history[0].id)
    moved = replace(first, id=f"T9-{first.content_hash}")
    files.records[moved.id] = moved
    files.history[0] = replace(files.history[0], id=moved.id)
    run = rollback(world, V2, content_id(world, 0))
    assert run.code == 0
    assert converged(world, V1) == []


def content_id(world: World, at: int) -> str:
    history = world.hosts["gpu1"].directory(SERVICE).history
    assert history is not None
    return history[at].id


def rot(world: World) -> None:
    world.hosts["gpu2"].directory(SERVICE).versions["ranker"][1].sizes_bytes["saved_model.pb"] = 7  # type: ignore[index]


def lose_version(world: World) -> None:
    del world.hosts["gpu2"].directory(SERVICE).versions["ranker"][1]


def lose_manifest(world: World) -> None:
    versions = world.hosts["gpu2"].directory(SERVICE).versions["ranker"]
    versions[1] = replace(versions[1], manifest_digest="", manifest_text="")


def lose_record(world: World) -> None:
    world.hosts["gpu2"].directory(SERVICE).records.pop(content_id(world, 0))


def damage_record(world: World) -> None:
    records = world.hosts["gpu2"].directory(SERVICE).records
    first = content_id(world, 0)
    records[first] = replace(records[first], container={**records[first].container, "runtime": "runc"})


def lose_image(world: World) -> None:
    world.hosts["gpu2"].images.pop("serving:1")


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (rot, "files of version 1 of ranker changed on the host since they were staged"),
        (lose_version, "version 1 of ranker is not on the host any more"),
        (lose_manifest, "version 1 of ranker on the host is not the one that was proven"),
        (lose_record, "is not on the host any more"),
        (damage_record, "its record does not fit the hash in its id"),
        (lose_image, "its image serving:1 (sha256:serving:1) is not on the host any more"),
    ],
)
def test_what_cannot_be_done_on_one_host_is_done_on_none(harm: Callable[[World], None], words: str) -> None:
    """A record, version or image that is not there as it was proven refuses the whole rollback, exit 5, untouched."""
    world = upgraded(NEW_BOTH)
    harm(world)
    before = world.serves_all()
    run = rollback(world, NEW_BOTH)
    assert (run.code, run.acts) == (5, [])
    assert words in run.last_line
    assert "gpu2" in run.last_line
    assert "gpu1" not in run.last_line.partition("; no release is possible on every host; ")[0]
    assert world.serves_all() == before


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("named", [False, True])
def test_killed_anywhere_the_same_rollback_converges(scene: str, named: bool) -> None:
    """Whatever call the controller died at, the same command brings every host to the same release, and none further.

    Three releases: a host that is back already has one before that to fall to.
    """
    wanted = SCENES[scene]
    first = upgraded(V2, V3, desired(3, image="serving:2")) if scene == "replacement" else upgraded(V2, V3)
    goal, wanted = (V3, desired(3, image="serving:2")) if scene == "replacement" else (V2, V3)
    target = content(first, -2) if named else ""
    calls = rollback(first.copy(), wanted, target).calls
    assert len(calls) > 40
    wrong = []
    for at, call in deaths(calls):
        world = first.copy()
        with pytest.raises(Killed):
            rollback(world, wanted, target, trouble=Trouble("kill", at))
        danger = dangers(world)
        again = rollback(world, wanted, target)
        found = [*converged(world, goal), *danger, *dangers(world)]
        third = rollback(world, wanted, content(first, -2))
        if again.code or found or third.acts or third.code:
            wrong.append((at, call, again.last_line, found, third.acts))
    assert wrong == []


@pytest.mark.parametrize("kind", ["refuse", "drop"])
@pytest.mark.parametrize("scene", SCENES)
def test_whatever_call_fails_the_last_line_is_true(scene: str, kind: str) -> None:
    """One call that fails, or whose answer is lost, leaves no healthy host drained and no untrue word."""
    first = upgraded(SCENES[scene])
    wrong = []
    for at, call in enumerate(rollback(first.copy(), SCENES[scene]).calls, 1):
        world = first.copy()
        before = world.serves_all()
        run = rollback(world, SCENES[scene], trouble=Trouble(kind, at))
        found = untrue(world, before, V1, run)
        if found:
            wrong.append((at, call, run.code, run.last_line, found))
    assert wrong == []


@pytest.mark.parametrize("scene", SCENES)
def test_a_release_that_does_not_work_any_more_is_left_again(scene: str) -> None:
    """Where what it goes back to answers nothing, the host serves on what it served: exit 3, nothing taken back."""
    wanted = SCENES[scene]
    world = upgraded(wanted)
    spoil(world, 1, Quality.NO_VARIABLES)
    before = world.serves_all()
    run = rollback(world, wanted)
    assert run.code == 3
    assert "nothing was rolled back; gpu1 reverted, every host serves what it served before" in run.last_line
    assert world.serves_all() == before
    assert dangers(world) == []
    assert release(world).took_back == ""
    assert deploy(world, wanted).code == 0, "nothing was taken back, so nothing is refused"


def test_a_failure_on_a_later_host_leaves_the_fleet_mixed() -> None:
    """A host that went back stays, the one that failed serves what it did: exit 4, and the last line names both."""
    world = upgraded(V2)
    world.hosts["gpu2"].quality[("ranker", 1)] = Quality.NO_VARIABLES
    run = rollback(world, V2)
    assert run.code == 4
    assert run.last_line.startswith("FAILED: gpu2; the fleet is mixed: gpu1 rolled back; mend it, then: ")
    assert [dict(world.serves(name).versions) for name in PAIR] == [{"ranker": (1,)}, {"ranker": (2,)}]


def test_a_host_from_before_there_were_histories_can_go_back() -> None:
    """Its current record is the first line of its history, as soon as another release is proven there."""
    world = settled(*PAIR)
    for host in world.hosts.values():
        host.directory(SERVICE).history = None
    refused = rollback(world, V1)
    assert (refused.code, refused.acts) == (5, [])
    assert deploy(world, V2).code == 0
    assert rollback(world, V2).code == 0
    assert converged(world, V1) == []


def secret(value: str) -> Secret:
    return Secret(lambda: value, note=lambda _: None, where="test")


def with_secret(value: str, *numbers: int, image: str = "serving:1") -> DesiredService:
    return desired(*numbers, image=image, environment={"API": secret(value)})


def test_a_secret_that_changed_since_comes_from_the_kept_container() -> None:
    """The inventory has another value by now: the old one is that of the release's own container, if it is kept."""
    world = settled("gpu1")
    assert deploy(world, with_secret("hunter-one", 2)).code == 0
    now = with_secret("hunter-two", 2, image="serving:2")
    assert deploy(world, now).code == 0
    lost = world.copy()
    lost.hosts["gpu1"].remove("fleetdeploy-ranking.previous")
    refused = rollback(lost, now)
    assert (refused.code, refused.acts) == (5, [])
    assert "needs the secret API as it was" in refused.last_line
    assert "hunter" not in refused.last_line
    run = rollback(world, now)
    assert run.code == 0
    spec = world.hosts["gpu1"].containers["fleetdeploy-ranking"].spec
    assert (spec.image, spec.environment["API"]) == ("serving:1", "hunter-one")
    assert spec.fields() == release(world).container


def test_prune_never_takes_what_a_rollback_needs() -> None:
    """However few releases are kept, after each rollout and prune the one before can be gone back to."""
    world = settled("gpu1")
    for number in range(2, 6):
        wanted = desired(number)
        assert deploy(world, wanted).code == 0
        tried = world.copy()
        assert rollback(tried, wanted).code == 0
        assert converged(tried, desired(number - 1)) == []


def flap(world: World, wanted: DesiredService, times: int) -> None:
    """Rollouts that fail on the last host and are taken back from all of them."""
    spoilt = int(wanted.models[0].wanted[-1])
    world.hosts[PAIR[-1]].quality[("ranker", spoilt)] = Quality.WRONG
    for _ in range(times):
        run = deploy(world, wanted, run_plays=plays(PAIR, serial=(Quantity(1),), on_failure=OnFailure.REVERT_ALL))
        assert run.code == 3
    world.hosts[PAIR[-1]].quality.clear()


def test_what_a_rollout_took_back_itself_is_no_last_good_one() -> None:
    """A release that was proven on one host and reverted with the others is gone back to by nobody."""
    world = settled(*PAIR)
    flap(world, V2, 1)
    assert deploy(world, V3).code == 0
    assert rollback(world, V3).code == 0
    assert converged(world, V1) == []


def test_a_release_that_could_not_be_put_back_under_traffic_is_no_last_good_one() -> None:
    """The record that `verify` wrote before the balancer refused counts for nothing, and its file is gone."""
    world = settled(*PAIR)
    world.lies = {"undrain"}

    def heal(event: Event) -> None:
        if event.kind is Kind.REVERT_STARTED:
            world.lies = set()

    assert deploy(world, V2, sinks=[heal]).code == 3
    files = world.hosts["gpu1"].directory(SERVICE)
    assert files.history is not None
    assert [item.models["ranker"] for item in files.history] == [(1,)]
    assert set(files.records) == {item.id for item in files.history}
    assert deploy(world, V3).code == 0
    assert rollback(world, V3).code == 0
    assert converged(world, V1) == []


def test_a_first_release_that_was_reverted_is_no_last_good_one() -> None:
    """Where there was nothing before it, there is nothing to go back to after the next one either."""
    world = World.of(*PAIR)
    flap(world, V1, 1)
    files = world.hosts["gpu1"].directory(SERVICE)
    assert (files.release, files.history, files.records) == (None, [], {})
    assert deploy(world, V2).code == 0
    refused = rollback(world, V2)
    assert (refused.code, refused.acts) == (5, [])
    assert "nothing good was proven here before" in refused.last_line


def test_a_git_revert_is_what_comes_back() -> None:
    """A release that was left by a deploy of an older one is passed over: what served last counts."""
    world = upgraded(V2, V1, V3)
    assert rollback(world, V3).code == 0
    assert converged(world, V1) == []


def test_a_rollout_that_fails_again_and_again_pushes_nothing_out_of_the_history() -> None:
    """Each one leaves the history as it was."""
    world = upgraded(V2)
    before = world.hosts["gpu1"].directory(SERVICE).history
    flap(world, V3, 3)
    assert world.hosts["gpu1"].directory(SERVICE).history == before
    assert rollback(world, V2).code == 0
    assert converged(world, V1) == []


def test_different_last_good_releases_are_refused_without_a_name() -> None:
    """A rollback never makes a mixed fleet of one that is not: exit 5 with the releases of each host."""
    world = settled(*PAIR)
    assert deploy(world, {"gpu1": V2}).code == 0
    assert deploy(world, V3).code == 0
    refused = rollback(world, V3)
    assert (refused.code, refused.acts) == (5, [])
    assert "the last good releases differ from host to host: gpu1 to " in refused.last_line
    assert rollback(world, V3, "ranker=1").code == 0
    assert converged(world, V1) == []


@pytest.mark.parametrize("wanted", [V3, desired(2, image="serving:2")], ids=["versions", "image"])
def test_over_a_deploy_that_was_killed_nobody_goes_back_unnamed(wanted: DesiredService) -> None:
    """Where something runs that no record tells of, the last good release may be what is recorded."""
    world = upgraded(V2)
    calls = deploy(world.copy(), wanted).calls
    at = next(at for at, call in enumerate(calls, 1) if call == ("gpu1", "files.write_release"))
    with pytest.raises(Killed):
        deploy(world, wanted, trouble=Trouble("kill", at))
    refused = rollback(world, wanted)
    assert (refused.code, refused.acts) == (5, [])
    assert "is neither" in refused.last_line
    named = world.copy()
    assert rollback(named, wanted, content(named, 0)).code == 0
    assert converged(named, V1) == []
    assert rollback(world, wanted, content(world, -1)).code == 0
    assert converged(world, V2) == []


def test_a_damaged_golden_file_holds_up_no_rollback() -> None:
    """AVAILABLE has to do then, as where there is no golden file."""
    world = upgraded(V2)

    def damaged(wish: ModelWish) -> tuple[GoldenRequest, ...]:
        raise InputError(f"golden/{wish.name}.jsonl:3: not JSON")

    with mock.patch("simulation.rollback._golden", damaged):
        run = rollback(world, V2)
    assert run.code == 0
    assert converged(world, V1) == []
