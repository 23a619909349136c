"""Every record of a run's journal x every way to be cut off there: the same command again ends what was begun.

`make crash-table` does all of it and prints the table; here it is a part of each row, another one for each kind.
"""

from __future__ import annotations

import os
import sys

import pytest

from fleetdeploy.domain.events import Kind

from .crash_scenes import CELLS, KINDS, MAIN, SCENES, Cut, cuts_of

pytestmark = pytest.mark.simulation
EVERY_ROW = "FLEETDEPLOY_CRASH_TABLE" in os.environ
STEPS = {True: 4, False: 24}
"""Of how many records one is taken, in the scenes that every release must survive and in the others."""


def chosen(scene: str, kind: str) -> list[Cut]:
    """The cases of one cell that are tried; kinds take turns, so that all records have theirs."""
    found = cuts_of(scene, kind)
    step = 1 if EVERY_ROW else STEPS[scene in MAIN]
    return found[KINDS.index(kind) * step // len(KINDS) :: step]


@pytest.mark.parametrize(("scene", "kind"), CELLS)
def test_cut_off_anywhere_the_same_command_ends_it(scene: str, kind: str) -> None:
    """I1 to I6 hold, the second run begins with the first unfinished host, and the third changes nothing."""
    cuts = chosen(scene, kind)
    assert cuts
    wrong = [(cut.at, "late" if cut.late else "", found) for cut in cuts if (found := cut.check())]
    if EVERY_ROW:
        sys.stdout.write(f"{scene:28}{kind:12}{len(cuts):5} cases{len(wrong):5} failures\n")
    assert wrong == []


def test_every_kind_of_record_is_one_that_a_run_is_cut_off_at() -> None:
    """Only what the command line writes around a run, and what needs a second controller, is in no scene."""
    elsewhere = {Kind.RUN_STARTED, Kind.RUN_FINISHED, Kind.PLAN_MADE, Kind.LEASE_LOST, Kind.STEP_PROGRESS}
    elsewhere |= {Kind.COPY_PROGRESSED, Kind.TRAFFIC_SAMPLED, Kind.NOTIFIED}
    assert {kind for scene in SCENES.values() for kind in scene.kinds()} >= set(Kind) - elsewhere


def test_the_table_is_large_enough() -> None:
    """The rollouts of the fault list alone have more than 400 cases."""
    assert sum(len(cuts_of(scene, kind)) for scene in MAIN for kind in KINDS) > 400
