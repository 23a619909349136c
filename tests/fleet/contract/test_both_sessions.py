"""A session itself, its commands, and what it may do beside others: simulated and in the lab."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fleetdeploy.domain.lease import Holder
from fleetdeploy.domain.observed import Absent, Present
from fleetdeploy.errors import DeadlineExceeded, LeaseLost, Unreachable
from tests.fleet.contract.places import Place

ANN = Holder("run-ann", "ann@one")


def test_a_look_tells_of_the_host(place: Place) -> None:
    """Its name, GPUs, addresses, engine, ports and clock, all of them present; services only those asked for."""
    seen = place.session.observe([])
    assert (seen.name, dict(seen.services)) == (place.host.name, {})
    assert isinstance(seen.docker, Present)
    assert "nvidia" in seen.docker.value.runtimes
    assert isinstance(seen.gpus, Present)
    assert seen.gpus.value[0].index == 0
    assert seen.gpus.value[0].memory_bytes > 0
    assert isinstance(seen.addresses, Present)
    assert "127.0.0.1" in seen.addresses.value
    assert isinstance(seen.listening, Present)
    assert isinstance(seen.containers, Present)
    assert seen.clock_s > 0
    assert seen.boot_id
    two = [place.wish(), place.wish()]
    assert list(place.session.observe(two).services) == [wish.name for wish in two]


def test_a_look_changes_nothing(place: Place) -> None:
    """The second one sees what the first one saw."""
    wish = place.wish()
    first, second = place.seen(wish), place.seen(wish)
    assert replace(second, disk=first.disk) == first


COMMANDS = {
    "succeeds": (["true"], {}, 0, ""),
    "fails": (["false"], {}, 1, ""),
    "fails with words": (["expr", "0"], {}, 1, "0"),
    "prints": (["echo", "a  b; $HOME", "c"], {}, 0, "a  b; $HOME c"),
    "reads a variable": (["printenv", "WORD"], {"WORD": "a='b' $c"}, 0, "a='b' $c"),
    "lacks a variable": (["printenv", "FLEETDEPLOY_NO_WORD"], {}, 1, ""),
}


@pytest.mark.parametrize("case", COMMANDS)
def test_a_command_ends_with_its_status_and_words(place: Place, case: str) -> None:
    """A status is a value; no shell sees the words; variables are there beside those of the host."""
    argv, environment, status, text = COMMANDS[case]
    ended = place.session.command(argv, deadline_s=20, environment=environment)
    # An sshd that an earlier test has told to log everything writes into its sessions, too.
    said = [line for line in ended.text.splitlines() if not line.startswith("debug1: ")]
    assert (ended.status, "\n".join(said)) == (status, text)


def test_a_command_has_its_deadline(place: Place) -> None:
    """What does not end in time is DeadlineExceeded, and the session is good for the next one."""
    with pytest.raises(DeadlineExceeded):
        place.session.command(["sleep", "30"], deadline_s=1)
    assert place.session.command(["sleep", "0"], deadline_s=20).status == 0


def test_a_command_whose_answer_was_lost_was_carried_out(place: Place) -> None:
    """Unreachable; over the same session the next one gets through."""
    session = place.losing_answers()
    with pytest.raises(Unreachable):
        session.command(["true"], deadline_s=20)
    assert session.command(["true"], deadline_s=20).status == 0


def test_a_host_that_is_not_there_is_unreachable(place: Place) -> None:
    """Said when its session is asked for, by its name."""
    away = replace(place.host, name="away", connection=replace(place.host.connection, address="127.77.255.254", port=1))
    with pytest.raises(Unreachable) as failed:
        place.opened().session(away)
    assert failed.value.where == "away"


def test_a_lease_is_seen_read_and_given_back(place: Place) -> None:
    """A look and a reading tell the same holder; afterwards nobody has it, and a release twice is no error."""
    wish, other = place.wish(), place.wish()
    leases = place.controller().leases()
    assert leases.read([wish]) == {wish.name: Absent()}
    leases.check()
    leases.take([wish, other], ANN, ttl_s=300)
    found = place.session.leases().read([wish, other])
    seen = place.seen(wish).lease
    for each in (seen, *found.values()):
        assert isinstance(each, Present)
        assert (each.value.holder, each.value.fence, each.value.live) == (ANN, 1, True)
    for _ in range(2):
        leases.release([wish, other], ANN)
        assert place.seen(wish).lease == Absent()
    assert place.session.leases().break_all([wish], ANN, reason="none") == {}


def test_who_has_no_lease_changes_no_files_of_who_has(place: Place) -> None:
    """Files and watchdogs of that service are closed; those of another one are open, and so is all there is to read."""
    wish, other = place.wish(), place.wish()
    ann = place.controller()
    ann.leases().take([wish], ANN, ttl_s=300)
    ann.files(wish).write_config("hers")
    for refused in (
        lambda: place.session.files(wish).write_config("not hers"),
        lambda: place.session.files(wish).sweep_staging(),
        lambda: place.session.files(wish).mark_drained("run"),
    ):
        with pytest.raises(LeaseLost, match="run-ann of ann@one holds the lease"):
            refused()
    place.session.files(other).write_config("anybody's")
    assert place.session.files(wish).read_config() == "hers"
    assert place.session.watchdog(wish).disarm() is None
    assert place.session.command(["true"], deadline_s=20).status == 0
    ann.leases().release([wish], ANN)
    place.session.files(wish).write_config("anybody's")
