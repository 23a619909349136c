"""``lease.sh`` and the fencing of ``files.sh``, run by this machine's own shell in directories of the test."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from local_host import LocalHost, change, expire, files, leases, lock_of, service

from fleetdeploy.domain.lease import Holder
from fleetdeploy.domain.observed import Absent, Present, Unknown
from fleetdeploy.errors import LeaseLost, LockHeld, RemoteCommandFailed
from fleetdeploy.lab.waiting import wait_until
from fleetdeploy.remote.directory.leases import RemoteLeases, read_lease

ANN = Holder("run-ann", "ann@one")
BOB = Holder("run-bob", "bob@two")
TTL_S = 60.0


@pytest.fixture
def host() -> LocalHost:
    return LocalHost()


def held(host: LocalHost, holder: Holder, *wishes: object, ttl_s: float = TTL_S) -> RemoteLeases:
    found = leases(host)
    found.take(wishes, holder, ttl_s=ttl_s)  # type: ignore[arg-type]
    return found


def numbers(*wishes: object) -> list[int]:
    return [int((lock_of(wish) / "fence").read_text()) for wish in wishes]  # type: ignore[arg-type]


def test_all_services_of_a_host_or_none(host: LocalHost, tmp_path: Path) -> None:
    """Where one service is another run's, it is named, and after a release nothing is held of the others."""
    one, two = service(tmp_path, "a"), service(tmp_path, "b")
    held(host, BOB, two)
    mine = leases(host)
    with pytest.raises(LockHeld, match=r"gpu1: run run-bob of bob@two, for \d s; free in [56]\d s"):
        mine.take([two, one], ANN, ttl_s=TTL_S)
    mine.release([one, two], ANN)
    seen = mine.read([one, two])
    assert seen["a"] == Absent()
    assert isinstance(seen["b"], Present)
    assert seen["b"].value.holder == BOB
    assert host.proof is None


def test_the_same_run_takes_again_what_it_has(host: LocalHost, tmp_path: Path) -> None:
    """A take whose answer was lost is asked again: the number stays, and the lease is whole."""
    wish = service(tmp_path)
    for _ in range(2):
        mine = held(host, ANN, wish)
    assert numbers(wish) == [1]
    assert mine.token(wish.directory) == ("run-ann", "1")
    mine.check()


def test_its_time_alone_frees_it(host: LocalHost, tmp_path: Path) -> None:
    """Before its TTL is over nobody else gets it, afterwards the next one does, with a higher number."""
    wish = service(tmp_path)
    held(host, ANN, wish)
    with pytest.raises(LockHeld):
        held(host, BOB, wish)
    expire(wish)
    held(host, BOB, wish)
    assert numbers(wish) == [2]
    assert "run-bob 2 lease taken by bob@two over from run run-ann of ann@one" in audit(tmp_path)


def test_a_renewal_makes_it_hold_on(host: LocalHost, tmp_path: Path) -> None:
    """A holder that is only late, and whom nobody has overtaken, goes on with the same number."""
    wish = service(tmp_path)
    mine = held(host, ANN, wish)
    expire(wish)
    mine.check()
    change(wish, ttl="60")
    with pytest.raises(LockHeld):
        held(host, BOB, wish)
    assert numbers(wish) == [1]


@pytest.mark.parametrize("ended", ["expired", "broken", "released by the next"])
def test_who_lost_it_changes_nothing_more(host: LocalHost, tmp_path: Path, ended: str) -> None:
    """Every verb that carries an old number is refused and told why, and so is every check; nothing is written."""
    wish = service(tmp_path)
    mine = held(host, ANN, wish)
    directory = files(host, wish, mine)
    directory.act("write", "config/model.config", "2", stdin=b"1\n")
    if ended == "broken":
        leases(host).break_all([wish], BOB, reason="it hangs")
    else:
        expire(wish)
        other = held(host, BOB, wish)
        if ended != "expired":
            other.release([wish], BOB)
    why = "bob@two broke the lease: it hangs" if ended == "broken" else "run run-bob of bob@two"
    before = (lock_of(wish) / "holder").read_text()
    with pytest.raises(LeaseLost, match=why):
        directory.act("write", "config/model.config", "2", stdin=b"2\n")
    for verb in (("remove", "ranker", "7"), ("sweep",), ("clear", "drained"), ("discard", "x")):
        with pytest.raises(LeaseLost):
            directory.act(*verb)
    with pytest.raises(LeaseLost, match=why):
        mine.check()
    mine.release([wish], ANN)
    assert (lock_of(wish) / "holder").read_text() == before
    assert (Path(wish.directory) / "config/model.config").read_text() == "1\n"


def test_without_a_lease_only_what_nobody_holds_is_changed(host: LocalHost, tmp_path: Path) -> None:
    """A verb without a number works in a free directory, and is refused while a run holds it."""
    wish = service(tmp_path)
    free = files(host, wish, leases(host))
    free.act("write", "drained", "2", stdin=b"x\n")
    held(host, ANN, wish)
    with pytest.raises(LeaseLost, match="run run-ann of ann@one holds the lease"):
        free.act("clear", "drained")
    expire(wish)
    free.act("clear", "drained")


def test_numbers_only_grow(host: LocalHost, tmp_path: Path) -> None:
    """Taken, released, expired and broken in any order, no number is given out twice."""
    wish, given_out = service(tmp_path), []
    for holder in (ANN, BOB, ANN):
        mine = held(host, holder, wish)
        given_out += numbers(wish)
        mine.release([wish], holder)
        held(host, Holder(f"{holder.run}-2", "x@y"), wish)
        given_out += numbers(wish)
        leases(host).break_all([wish], Holder("op", "op@here"), reason="a test")
        given_out += numbers(wish)
    assert given_out == sorted(set(given_out))
    (lock_of(wish) / "holder").unlink()
    held(host, ANN, wish)
    assert numbers(wish)[0] > given_out[-1]


def test_a_reboot_gives_its_holder_the_ttl_once_more(host: LocalHost, tmp_path: Path) -> None:
    """A lease of an earlier boot counts as renewed when the host came up; its time is over when the uptime is."""
    wish = service(tmp_path)
    mine = held(host, ANN, wish)
    change(wish, boot="another-boot", renewed="999999999", since="999999999", ttl="999999999")
    seen = mine.read([wish])["ranking"]
    assert isinstance(seen, Present)
    assert seen.value.live
    with pytest.raises(LockHeld):
        held(host, BOB, wish)
    mine.check()
    change(wish, boot="another-boot", ttl="1")
    held(host, BOB, wish)


def test_who_holds_the_lock_of_the_same_controller_does_not_wait(host: LocalHost, tmp_path: Path) -> None:
    """Of the same origin is only whoever has the very lock that the holder had: it takes over at once; others wait."""
    wish = service(tmp_path)
    mine = held(host, Holder("run-1", "me@here", "0123abc"), wish)
    with pytest.raises(LockHeld):
        held(host, Holder("run-2", "me@here", "another"), wish)
    with pytest.raises(LockHeld):
        held(host, Holder("run-2", "me@here"), wish)
    held(host, Holder("run-2", "me@here", "0123abc"), wish)
    with pytest.raises(LeaseLost):
        mine.check()


@pytest.mark.parametrize("damage", ["", "half a li", "fence 3\nrun x\n", "state held\nfence x\n", "\0\0\0"])
def test_a_damaged_holder_is_unknown_and_holds_nobody_up(host: LocalHost, tmp_path: Path, damage: str) -> None:
    """What a power cut left half is neither read as a lease nor in the way of the next one; the number grows on."""
    wish = service(tmp_path)
    mine = held(host, ANN, wish)
    (lock_of(wish) / "holder").write_text(damage)
    seen = mine.read([wish])["ranking"]
    assert isinstance(seen, Absent if damage.strip("\0") == "" else Unknown)
    with pytest.raises(LeaseLost):
        mine.check()
    held(host, BOB, wish)
    assert numbers(wish)[0] > 1


def test_a_number_that_cannot_be_read_is_not_made_up(host: LocalHost, tmp_path: Path) -> None:
    """Without the highest number nobody gets the lease, and the message says where to find it."""
    wish = service(tmp_path)
    held(host, ANN, wish).release([wish], ANN)
    (lock_of(wish) / "fence").write_text("x")
    with pytest.raises(RemoteCommandFailed, match=r"audit\.log"):
        held(host, ANN, wish)


def test_killed_at_any_write_the_next_one_gets_it(tmp_path: Path) -> None:
    """Wherever a take dies, the next run takes the lease after the TTL, with a number that nobody had."""
    for at in range(1, 12):
        wish = service(tmp_path, f"s{at}")
        held(LocalHost(), ANN, wish)
        expire(wish)
        tools = tmp_path / f"tools{at}"
        dying(tools, at)
        host = LocalHost(environment={**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"})
        try:
            held(host, BOB, wish)
        except (LockHeld, RemoteCommandFailed):
            finished = False
        else:
            finished = True
        used = int((lock_of(wish) / "fence").read_text())
        if "held" in (lock_of(wish) / "holder").read_text():
            expire(wish)
        held(LocalHost(), Holder("run-next", "x@y"), wish)
        assert numbers(wish)[0] >= max(2, used)
        if finished:
            assert at > 4
            return
    raise AssertionError("no take came to its end")


def dying(folder: Path, at: int) -> None:
    """``mv`` and ``sync`` that end the shell which calls them, instead of doing anything, at the ``at``-th call."""
    folder.mkdir()
    for name in ("mv", "sync", "rm"):
        tool = folder / name
        tool.write_text(
            f'#!/bin/sh\necho x >>"{folder}/count"\n'
            f'[ "$(wc -l <"{folder}/count")" -lt {at} ] || {{ kill -s KILL "$PPID"; exit 1; }}\n'
            f'exec /bin/{name} "$@"\n'
        )
        tool.chmod(0o755)


@contextmanager
def at_work(wish: object, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Somebody who changes the directory now, and so holds its guard, until the block ends."""
    guard = lock_of(wish) / "guard"  # type: ignore[arg-type]
    ready = tmp_path / "ready"
    words = ["flock", "-s", str(guard), "sh", "-c", 'echo >"$0"; exec sleep 600', str(ready)]
    process = subprocess.Popen(words, start_new_session=True)
    try:
        wait_until(ready.exists, "the guard is held", deadline_s=30)
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)


def test_a_step_is_done_before_the_lease_changes_hands(host: LocalHost, tmp_path: Path) -> None:
    """While a verb of the last holder is at work the lease is not given out, its time over or not; renewals go on."""
    wish = service(tmp_path)
    mine = held(host, ANN, wish)
    with at_work(wish, tmp_path):
        mine.check()
        expire(wish)
        with pytest.raises(LockHeld, match="a step of run run-ann of ann@one is still at work"):
            held(host, BOB, wish)
        assert numbers(wish) == [1]
    held(host, BOB, wish)


def test_two_at_once_never_both(host: LocalHost, tmp_path: Path) -> None:
    """Of many runs that want a new directory at the same moment exactly one gets it."""
    for round_ in range(4):
        wish = service(tmp_path, f"s{round_}")

        def one(number: int, wish: object = wish) -> bool:
            try:
                held(host, Holder(f"run-{number}", "x@y"), wish)
            except LockHeld:
                return False
            return True

        with ThreadPoolExecutor(6) as pool:
            assert sum(pool.map(one, range(6))) == 1


def test_who_breaks_and_why_is_kept(host: LocalHost, tmp_path: Path) -> None:
    """What was broken is returned and written down with its holder and the reason; what nobody holds is not broken."""
    one, two = service(tmp_path, "a"), service(tmp_path, "b")
    held(host, ANN, one)
    by = Holder("run-op", "op@desk")
    broken = leases(host).break_all([two, one], by, reason="it hangs\nsince noon")
    assert {name: lease.holder for name, lease in broken.items()} == {"a": ANN}
    assert "lease of run run-ann of ann@one, number 1 broken by op@desk: it hangs since noon" in audit(tmp_path, "a")
    assert not Path(two.directory).exists()
    assert leases(host).break_all([one, two], by, reason="once more") == {}


def test_reading_changes_nothing(host: LocalHost, tmp_path: Path) -> None:
    """A look at leases makes no directory where none is."""
    wish = service(tmp_path)
    assert leases(host).read([wish]) == {"ranking": Absent()}
    assert not Path(wish.directory).exists()


def test_a_link_in_place_of_the_lock_is_refused(host: LocalHost, tmp_path: Path) -> None:
    """Nothing is written through a symbolic link that somebody put there."""
    wish, elsewhere = service(tmp_path), tmp_path / "elsewhere"
    held(host, ANN, wish).release([wish], ANN)
    (lock_of(wish)).rename(elsewhere)
    lock_of(wish).symlink_to(elsewhere)
    with pytest.raises(RemoteCommandFailed, match="symbolic link"):
        held(host, BOB, wish)


def test_a_connection_made_again_has_to_prove_the_lease(host: LocalHost, tmp_path: Path) -> None:
    """From take to release the connection knows what to ask first when it was lost."""
    wish = service(tmp_path)
    mine = held(host, ANN, wish)
    assert host.proof == mine.check
    mine.release([wish], ANN)
    assert host.proof is None


@given(st.text(max_size=200), st.text(alphabet="0123456789abcdef- ", max_size=20), st.floats())
def test_whatever_a_host_says_is_a_lease_or_a_value_error(text: str, boot_id: str, uptime_s: float) -> None:
    """The text of a host raises nothing else, whatever is in it."""
    for each in (text, f"state held\n{text}"):
        try:
            read_lease(each, boot_id=boot_id, uptime_s=uptime_s)
        except (ValueError, LookupError):
            continue


def audit(base: Path, name: str = "ranking") -> str:
    return next(base.rglob(f"{name}/audit.log")).read_text()
