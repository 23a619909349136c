"""Two controllers with another --limit each: the capacity of a play is that of all its hosts."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleetdeploy.lab.fleet import Lab
from tests.fleet.onlooker import available, most_out
from tests.fleet.project import Project

ROUNDS = 2


@pytest.mark.long
def test_two_controllers_take_out_one_host_between_them(lab: Lab, served: Project, tmp_path: Path) -> None:
    """Started at once on a host each, they never have two out: one ends with exit 6, or they take turns."""
    other = Project(served.lab, tmp_path / "other")
    for number in range(ROUNDS):
        wanted = 2 if number % 2 == 0 else 1
        for each in (served, other):
            each.want(version=wanted)
        with most_out(lab) as out:
            runs = [each.start("deploy", "-l", host) for each, host in ((served, "gpu1"), (other, "gpu2"))]
            ends = [run.end(timeout_s=180) for run in runs]
        codes = [end.code for end in ends]
        assert sorted(codes) in ([0, 0], [0, 6]), [str(end) for end in ends]
        assert max(map(len, out)) == 1, out
        for code, host in zip(codes, ("gpu1", "gpu2"), strict=True):
            assert code == 6 or available(lab, host) == [wanted]
        served.deploy()
