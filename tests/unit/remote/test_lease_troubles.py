"""``lease.sh`` and ``files.sh`` where the host is in trouble: full or failing disks, locks that fail, odd digits."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from local_host import LocalHost, change, expire, files, leases, lock_of, service

from fleetdeploy.domain.lease import Holder
from fleetdeploy.domain.observed import Present, Unknown
from fleetdeploy.domain.service import ServiceWish
from fleetdeploy.errors import HostError, LeaseLost, NoSpace, RemoteCommandFailed
from fleetdeploy.remote.directory.leases import RemoteLeases
from fleetdeploy.remote.directory.verbs import ServiceDirectory

ANN, BOB = Holder("run-ann", "ann@one", "aa"), Holder("run-bob", "bob@two", "bb")
SHELLS = [argv for argv in (("dash",), ("busybox", "sh"), ("bash", "--posix")) if Path("/usr/bin", argv[0]).exists()]
OF_PATH = [argv for argv in SHELLS if argv[0] != "busybox"]
"""Those that run the programs of the test: busybox has its own within."""
FULL = '[ $# -gt 0 ] || { echo "cat: write error: No space left on device" >&2; exit 1; }'


@pytest.fixture(params=SHELLS, ids=lambda argv: argv[0])
def shell(request: pytest.FixtureRequest) -> tuple[str, ...]:
    return tuple(request.param)


@pytest.fixture(params=OF_PATH, ids=lambda argv: argv[0])
def of_path(request: pytest.FixtureRequest) -> tuple[str, ...]:
    return tuple(request.param)


def host_with(tmp_path: Path, shell: tuple[str, ...] = ("sh",), **tools: str) -> LocalHost:
    """A host on which these programs do something of their own first."""
    folder = tmp_path / "tools"
    folder.mkdir(exist_ok=True)
    for name, text in tools.items():
        (folder / name).write_text(f'#!/bin/sh\n{text}\nexec /usr/bin/{name} "$@"\n')
        (folder / name).chmod(0o755)
    return LocalHost(shell, {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"})


def taken(host: LocalHost, holder: Holder, *wishes: ServiceWish) -> RemoteLeases:
    found = leases(host)
    found.take(wishes, holder, ttl_s=60.0)
    return found


def told(host: LocalHost, mine: RemoteLeases) -> RemoteLeases:
    """The same run's leases, over a host in another condition."""
    found = leases(host)
    found._holder, found._ttl_s, found._fences = mine._holder, mine._ttl_s, mine._fences
    return found


def due(wish: ServiceWish, *, left_s: int) -> None:
    """Its renewal has been due for long, and it still holds for ``left_s``."""
    uptime_s = int(float(Path("/proc/uptime").read_text().split()[0]))
    change(wish, since="0", renewed="0", ttl=str(uptime_s + left_s))


def names(wish: ServiceWish) -> list[str]:
    return sorted(path.name for path in lock_of(wish).iterdir())


def test_on_a_full_disk_a_lease_holds_for_the_time_it_has(tmp_path: Path, of_path: tuple[str, ...]) -> None:
    """What was begun can be taken back while the lease is live; then it is refused for space, and nothing is left."""
    wish = service(tmp_path)
    mine = taken(LocalHost(of_path), ANN, wish)
    due(wish, left_s=60)
    before = (lock_of(wish) / "holder").read_text()
    full = told(host_with(tmp_path, of_path, cat=FULL), mine)
    full.check()
    assert (lock_of(wish) / "holder").read_text() == before
    assert names(wish) == ["fence", "guard", "holder"]
    expire(wish)
    with pytest.raises(NoSpace):
        full.check()
    with pytest.raises(NoSpace):
        full.release([wish], ANN)
    assert names(wish) == ["fence", "guard", "holder"]


@pytest.mark.parametrize("word", ["Input/output error", "No space left on device"])
def test_a_disk_that_loses_what_it_was_given_is_an_error(tmp_path: Path, of_path: tuple[str, ...], word: str) -> None:
    """Where a file alone can be synced its failure ends the verb, and no half-kept file takes another one's place."""
    wish = service(tmp_path)
    mine = taken(LocalHost(of_path), ANN, wish)
    files(LocalHost(of_path), wish, mine).act("write", "config/model.config", "2", stdin=b"1\n")
    bad = host_with(
        tmp_path, of_path, sync=f'case "$*" in *ranking*) echo "sync: error syncing: {word}" >&2; exit 1 ;; esac'
    )
    with pytest.raises(NoSpace if "space" in word else RemoteCommandFailed):
        files(bad, wish, mine).act("write", "config/model.config", "2", stdin=b"2\n")
    assert (Path(wish.directory) / "config/model.config").read_text() == "1\n"
    assert [path.name for path in (Path(wish.directory) / "config").iterdir()] == ["model.config"]
    with pytest.raises(HostError, match="cannot write"):
        taken(bad, ANN, wish)


def test_where_no_file_alone_can_be_synced_everything_is(tmp_path: Path, of_path: tuple[str, ...]) -> None:
    """An old sync, and a file system without it for a directory, are no errors."""
    wish = service(tmp_path)
    for text in (
        '[ $# -eq 0 ] || { echo "sync: unknown operand" >&2; exit 1; }',
        'case "$*" in *ranking*) echo "sync: error syncing: Invalid argument" >&2; exit 1 ;; esac',
    ):
        host = host_with(tmp_path, of_path, sync=f"{text}\n[ $# -gt 0 ] || echo all >>{tmp_path}/synced")
        mine = taken(host, ANN, wish)
        ServiceDirectory(host, wish.directory, token=mine.token).act("write", "config/x", "2", stdin=b"1\n")  # type: ignore[arg-type]
        assert (tmp_path / "synced").read_text().startswith("all\n")
        (tmp_path / "synced").unlink()


@pytest.mark.parametrize("closed", ["lock", "ranking"])
def test_a_lock_that_may_not_be_entered_is_not_nobodys(tmp_path: Path, closed: str) -> None:
    """Whoever asks without the right to look gets Unknown and no Absent, and a break is an error."""
    wish = service(tmp_path)
    mine = taken(LocalHost(), ANN, wish)
    tmp_path.chmod(0o755)
    for path in tmp_path.parents:
        if path.stat().st_uid == 0 and path.is_relative_to("/tmp") and path != Path("/tmp"):
            path.chmod(path.stat().st_mode | 0o055)
    root = Path(wish.directory)
    root.chmod(0o755)
    (root if closed == "ranking" else root / "lock").chmod(0o700)
    other = LocalHost(("setpriv", "--reuid=65534", "--clear-groups", "sh")) if os.getuid() == 0 else LocalHost()
    if os.getuid():
        (root / "lock").chmod(0o000)
    try:
        seen = leases(other).read([wish])["ranking"]
        assert isinstance(seen, Unknown)
        assert "cannot be entered" in seen.reason
        with pytest.raises(RemoteCommandFailed, match="cannot be entered"):
            leases(other).break_all([wish], BOB, reason="a test")
    finally:
        (root / "lock").chmod(0o755)
    mine.check()


def test_one_machine_under_two_names_is_refused(tmp_path: Path) -> None:
    """One run that takes a lease for a second host of its inventory is told what that means; it asks again freely."""
    wish = service(tmp_path)
    for _ in range(2):
        taken(LocalHost(), ANN, wish)
    with pytest.raises(RemoteCommandFailed, match="two hosts of the inventory are one machine"):
        taken(LocalHost(), Holder(ANN.run, ANN.owner, "another"), wish)
    seen = leases(LocalHost()).read([wish])["ranking"]
    assert isinstance(seen, Present)
    assert seen.value.holder == ANN


def test_only_what_was_seen_is_broken(tmp_path: Path) -> None:
    """A lease that has another number by now stays whole, whether its time is over or not."""
    wish = service(tmp_path)
    taken(LocalHost(), ANN, wish)
    expire(wish)
    bob = taken(LocalHost(), BOB, wish)
    for late in (False, True):
        if late:
            expire(wish)
        assert leases(LocalHost()).break_all([wish], ANN, reason="x", seen={"ranking": 1}) == {}
        bob.check()
    broken = leases(LocalHost()).break_all([wish], ANN, reason="x", seen={"ranking": 2})
    assert broken["ranking"].holder == BOB
    with pytest.raises(LeaseLost):
        bob.check()


def test_a_guard_that_cannot_be_opened_is_told(tmp_path: Path, shell: tuple[str, ...]) -> None:
    """The script says what it cannot write, whichever shell runs it."""
    wish = service(tmp_path)
    mine = taken(LocalHost(shell), ANN, wish)
    (lock_of(wish) / "guard").unlink()
    (lock_of(wish) / "guard").mkdir()
    with pytest.raises(RemoteCommandFailed, match=r"cannot write to .*/lock"):
        mine.check()


def test_a_lock_that_fails_is_not_busy(tmp_path: Path) -> None:
    """What flock(1) complains of is an error at once, with its words; only a busy lock is waited for."""
    wish = service(tmp_path)
    mine = taken(LocalHost(), ANN, wish)
    for status in (1, 71):
        words = f'echo "flock: 9: No locks available" >&2; exit {status}'
        bad = told(host_with(tmp_path, flock=f"echo x >>{tmp_path}/asked; {words}"), mine)
        with pytest.raises(RemoteCommandFailed, match="cannot be locked: flock: 9: No locks available"):
            bad.check()
        assert (tmp_path / "asked").read_text() == "x\n"
        (tmp_path / "asked").unlink()


@pytest.mark.parametrize("digits", ["0089", "9" * 19, "9" * 40])
@pytest.mark.parametrize("name", ["fence", "since", "renewed", "ttl"])
def test_damaged_digits_end_no_verb(tmp_path: Path, shell: tuple[str, ...], name: str, digits: str) -> None:
    """They are read as damage by everybody, a break clears them, and the next run gets the lease."""
    wish, host = service(tmp_path), LocalHost(shell)
    taken(host, ANN, wish)
    change(wish, **{name: digits})
    assert isinstance(leases(host).read([wish])["ranking"], Unknown)
    leases(host).break_all([wish], BOB, reason="damage")
    assert "state broken" in (lock_of(wish) / "holder").read_text()
    change(wish, **{name: digits, "state": "held"})
    taken(host, BOB, wish).check()


def test_a_taker_that_was_cut_off_is_not_ourselves(tmp_path: Path) -> None:
    """Where only the number has grown, its last holder is told that another one began, and not its own name."""
    wish = service(tmp_path)
    mine = taken(LocalHost(), ANN, wish)
    (lock_of(wish) / "fence").write_text("2\n")
    with pytest.raises(LeaseLost, match="another run began to take over with number 2") as error:
        mine.check()
    assert "run-ann" not in error.value.message


def test_one_that_cannot_be_let_go_of_keeps_no_other(tmp_path: Path) -> None:
    """Of two services of a host the one whose lock is spoilt is an error, and the other one is free."""
    one, two = service(tmp_path, "a"), service(tmp_path, "b")
    mine = taken(LocalHost(), ANN, one, two)
    (lock_of(one) / "fence").write_text("x\n")
    with pytest.raises(RemoteCommandFailed):
        mine.release([one, two], ANN)
    taken(LocalHost(), BOB, two)
