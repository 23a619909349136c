"""How a problem reads that several hosts have."""

from __future__ import annotations

from fleetdeploy.config.inventory.told_once import of_expressions
from fleetdeploy.errors import Problem


def test_hosts_are_told_behind_a_sentence_of_jinjas() -> None:
    """Its full stop goes, as the sentence goes on; one that stands for more does not."""
    of_jinja, more = Problem("No filter named 'nosuch'."), Problem("it was too long...")
    told = of_expressions([("g1", of_jinja), ("g2", of_jinja), ("g1", more)])
    assert [item.message for item in told] == [
        "No filter named 'nosuch', on 2 hosts such as g1",
        "it was too long..., on g1",
    ]
