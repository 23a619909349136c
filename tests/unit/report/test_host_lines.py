"""Lines of many hosts with their prefixes."""

from __future__ import annotations

from fleetdeploy.report.host_lines import Prefixes, block
from fleetdeploy.rollout.reaching.commands import Done


def test_a_service_is_named_where_there_are_several() -> None:
    """And all prefixes are as wide as the widest."""
    alone = Prefixes({"gpu1": ["ranking"], "gpu10": ["ranking"]})
    assert [alone.line(name, "ranking", "x").plain for name in ("gpu1", "gpu10")] == ["gpu1  | x", "gpu10 | x"]
    several = Prefixes({"gpu1": ["ranking"], "gpu2": ["search"]})
    assert several.line("gpu1", "ranking", "x").plain == "gpu1/ranking | x"


def test_each_host_has_its_own_colour_and_none_has_that_of_a_failure() -> None:
    """A host keeps it for all that it says."""
    made = Prefixes({"gpu1": (), "gpu2": ()})
    styles = [str(made.line(name, "", "x").spans[0].style) for name in ("gpu1", "gpu2", "gpu1")]
    assert styles[0] == styles[2] != styles[1]
    assert "red" not in styles
    assert [span.end for span in made.line("gpu1", "", "x").spans] == [len("gpu1 | ")]


def test_a_block_says_what_was_left_out() -> None:
    """Nobody shall take the rest for the whole."""
    told = [line.plain for line in block(Done("gpu1", status=0, seconds=1.25, lines=("b",), left_out=7))]
    assert told == ["gpu1: ok, 1.2 s", "    7 lines before these left out; --stream shows all", "b"]
