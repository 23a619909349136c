"""What rsync says while it copies, as numbers; and that nothing it says can cost the copy."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetdeploy.domain.measured import CopyProgress
from fleetdeploy.remote.directory import rsync
from fleetdeploy.remote.directory.copy_process import TELLS, CopyMeter, run_copy

# What rsync 3.5 printed for files of 30,000,000 bytes that were there, of 2, and of 20,000,000 over a slow link.
SAID = (
    b".f          30000000\n>f+++++++++ 2\n\r              2   0%    0.00kB/s    0:00:00  "
    b"\r              2   0%    0.00kB/s    0:00:00 (xfr#1, to-chk=4/6)\n"
    b"cd+++++++++ 4096\n>f+++++++++ 20000000\n\r        8716294  17%    8.04MB/s    0:00:05  "
    b"\r       17399814  34%    8.02MB/s    0:00:03  "
    b"\r       20000002  40%    8.02MB/s    0:00:02 (xfr#2, to-chk=0/6)\n"
)
TOTAL = 50_000_002


class Seen(list[CopyProgress]):
    """What a meter told, with a second between any two looks at the clock."""

    def __init__(self, total_bytes: int = TOTAL, step_s: float = 1.0) -> None:
        super().__init__()
        self.meter = CopyMeter("ranker", 7, total_bytes, tell=self.append, now=clock(step_s).__next__)

    @property
    def done(self) -> list[int]:
        return [item.done_bytes for item in self]


def clock(step_s: float) -> Iterator[float]:
    return (at * step_s for at in itertools.count())


def lines(data: bytes) -> list[bytes]:
    return [data[at : at + 40] for at in range(0, len(data), 40)]


def test_bytes_and_their_rate() -> None:
    """What is sent grows on top of what an earlier copy had brought, and the rate is that of what was sent since."""
    seen = Seen(step_s=2.0)
    for part in SAID.replace(b"\r", b"\n\r").splitlines(keepends=True):
        seen.meter.hear(part)
    assert seen.done[-1] == TOTAL
    assert seen.done == sorted(seen.done)
    assert {30_000_002 + 8_716_292, 30_000_000 + 17_399_814} <= set(seen.done)
    at = seen.done.index(47_399_814)
    assert seen[at].bytes_per_s == (17_399_814 - 8_716_294) / 2
    assert {(item.model, item.version, item.total_bytes) for item in seen} == {("ranker", 7, TOTAL)}


@given(st.lists(st.integers(0, len(SAID)), max_size=20))
def test_it_does_not_matter_where_it_is_cut(cuts: list[int]) -> None:
    """However the pipe cuts what rsync says, the end is the same and nothing is counted twice."""
    seen, places = Seen(), [0, *sorted(cuts), len(SAID)]
    for start, end in itertools.pairwise(places):
        seen.meter.hear(SAID[start:end])
    assert seen.done[-1] == TOTAL
    assert seen.done == sorted(seen.done)


@given(st.lists(st.binary(max_size=200) | st.sampled_from([b"\r", b"\n", b" 5 3% ", b".f 7", b"9" * 30]), max_size=20))
def test_odd_output_is_passed_over(parts: list[bytes]) -> None:
    """Whatever rsync, its ssh or a login shell prints, bytes never fall and never exceed what is to be copied."""
    seen = Seen(total_bytes=100)
    for part in parts:
        seen.meter.hear(part)
    seen.meter.all_there()
    assert seen.done == sorted(seen.done)
    assert seen.done[-1] == 100
    assert all(0 <= done <= 100 for done in seen.done)


def test_a_line_without_an_end_is_not_kept() -> None:
    """Output without a newline costs no memory."""
    seen = Seen()
    for _ in range(100):
        seen.meter.hear(b"x" * 65536)
    assert len(seen.meter._rest) <= 4096


def test_it_is_told_about_once_a_second() -> None:
    """However often rsync tells, those who show it are told at first, and then once a second."""
    seen = Seen(step_s=0.1)
    for sent in range(1, 41):
        seen.meter.hear(b"\r  %d   1%%  1kB/s 0:00:01  " % (sent * 1000))
        seen.meter.hear(b"\r")
    assert 4 <= len(seen) <= 9


def test_another_attempt_does_not_count_twice() -> None:
    """After a broken link the count stays where it was until the new rsync, which begins at nothing, is past it."""
    seen = Seen(total_bytes=1000)
    seen.meter.begin()
    seen.meter.hear(b"\r 600  60% 1kB/s 0:00:01\r")
    seen.meter.begin()
    seen.meter.hear(b".f   300\n\r 100  10% 1kB/s 0:00:01\r")
    assert seen[-1] == CopyProgress("ranker", 7, 600, 1000, 0.0)
    seen.meter.hear(b"\r 500  50% 1kB/s 0:00:01\r")
    assert seen[-1].done_bytes == 800


def test_what_fails_to_be_shown_is_still_read() -> None:
    """A view that fails costs neither the copy nor what is read of it, and rsync's own words are kept."""
    said: list[int] = []

    def fail(copy: CopyProgress) -> None:
        said.append(copy.done_bytes)
        raise ZeroDivisionError

    meter = CopyMeter("ranker", 7, 10**9, tell=fail, now=clock(1.0).__next__)
    program = "import sys; [print(f'\\r {n} 1% x', flush=True) for n in range(40000)]; sys.stderr.write('end')"
    assert run_copy([sys.executable, "-c", program], b"", timeout_s=60, host="gpu1", meter=meter) == (0, "end")
    assert len(said) == 1


def test_it_listens_while_rsync_runs(tmp_path: Path) -> None:
    """How far the copy is comes while it goes on, not at its end."""
    heard = tmp_path / "heard"
    seen: list[int] = []

    def tell(copy: CopyProgress) -> None:
        seen.append(copy.done_bytes)
        heard.touch()

    meter = CopyMeter("ranker", 7, 10, tell=tell)
    script = f"printf '\\r 5  50%% x\\r'; until [ -e '{heard}' ]; do sleep 0.05; done"
    assert run_copy(["sh", "-c", script], b"", timeout_s=60, host="gpu1", meter=meter)[0] == 0
    assert seen == [5]


@pytest.mark.parametrize(("versions", "expected"), [(("3.1.0", "3.1.3"), True), (("3.0.9", "3.2.7"), False),
                                                    (("3.2.7", "3.0.9"), False), (("3.2.7", ""), False)])  # fmt: skip
def test_old_rsyncs_are_not_asked(versions: tuple[str, str], expected: bool) -> None:
    """An rsync that does not know `--info=progress2` is not given it: the copy goes on without numbers."""
    known = rsync._know(rsync._PROGRESS, *versions)
    assert known is expected
    words = rsync.rsync_argv(Path("/c"), Path("/m"), PurePosixPath("/t"), fsync=False, remote="rsync", tells=known)
    assert (set(TELLS) <= set(words)) is expected
