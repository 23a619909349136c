"""What stays in service, whatever hosts do and in whatever order their threads come."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetdeploy.domain.playbook import Quantity
from fleetdeploy.errors import RolloutFailed
from fleetdeploy.planning.waves import Floor, split
from fleetdeploy.rollout.capacity.capacity import Capacity

from .capacity_scenes import End, Scene, played
from .turns import Turns

PROPERTY = settings.get_profile("property")
SHARES = st.builds(Quantity, st.sampled_from([1, 34, 50, 67, 100]), st.just(True))


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    """Up to seven hosts in up to three domains, in any state, with any rules."""
    names = [f"h{at}" for at in range(draw(st.integers(1, 7)))]
    named = draw(st.sampled_from(["", "xy", "xyz"]))
    domains = {name: draw(st.sampled_from(named)) for name in names} if named else {}
    states = {name: draw(st.sampled_from(["serves", "serves", "serves", "down", "new"])) for name in names}
    down, new = (frozenset(name for name in names if states[name] == state) for state in ("down", "new"))
    least = draw(st.builds(Quantity, st.integers(0, 4)) | SHARES)
    busy = [name for name in draw(st.permutations(names)) if draw(st.integers(0, 4))]
    first = down | new if least.amount else down
    serial = draw(st.lists(st.builds(Quantity, st.integers(1, 4)) | SHARES, max_size=3))
    return Scene(
        domains={name: domains.get(name, "") for name in names},
        down=down,
        new=new,
        waves=split(sorted(busy, key=lambda name: name not in first), serial),
        # A new host that nothing was done on: see the last test of this file.
        ends={name: draw(st.sampled_from([end for end in End if end is not End.UNTOUCHED or name not in new]))
              for name in names},
        most=draw(st.integers(0, 4)),
        least=least,
        forks=draw(st.integers(1, 4)),
        stop_after=draw(st.sampled_from([99, 99, 3])),
    )  # fmt: skip


@settings(PROPERTY, max_examples=4 * PROPERTY.max_examples)
@given(scene=scenes(), chance=st.randoms(use_true_random=False))
def test_no_order_of_threads_takes_out_too_many(scene: Scene, chance: random.Random) -> None:
    """Never are more than ``max_unavailable`` out, or fewer than ``min_available`` of a domain in service, by a host
    that was taken out; nobody waits for ever, and nobody is given up who could be taken out.
    """
    truth, capacity = played(scene, chance.choice)
    assert capacity.out == truth.away - truth.new - scene.new


@PROPERTY
@given(scene=scenes(), chance=st.randoms(use_true_random=False))
def test_a_play_in_which_all_goes_well_brings_everybody_back(scene: Scene, chance: random.Random) -> None:
    """Without a failure every busy host serves afterwards, or was given up because of hosts that stay out."""
    well = replace(scene, ends=dict.fromkeys(scene.ends, End.SERVES), stop_after=99)
    truth, capacity = played(well, chance.choice)
    stay = scene.down - set(scene.busy)
    if len(stay) < scene.most and not scene.least.amount:
        assert truth.away == capacity.out == stay
        assert truth.new == scene.new - set(scene.busy)


def test_a_new_host_that_nothing_was_done_on_still_does_not_serve() -> None:
    """A new host that failed untouched is as it was before the play, so that its domain cannot count on it."""
    names = ("new", "a", "b")
    capacity = Capacity(
        out=(), uncounted={"new"}, max_unavailable=3, coming_back=names, floor=Floor(names, Quantity(2), {})
    )
    capacity.begin(names)
    capacity.settle("new", serves=None)
    with pytest.raises(RolloutFailed, match="min_available is 2"):
        capacity.take("a", lambda: None)


def test_an_order_that_is_given_up_leaves_no_thread_behind() -> None:
    """Whoever chooses the order may end in the middle of it, as a search does that has seen enough."""
    before = set(threading.enumerate())

    def enough(_: Sequence[int]) -> int:
        raise KeyError("enough")

    with pytest.raises(KeyError):
        Turns(enough).run([lambda: None] * 3)
    assert set(threading.enumerate()) == before
