"""What is refused, and what is hidden, between the arguments and the run."""

from __future__ import annotations

import argparse
from dataclasses import replace

import pytest
from simulation.controller import plays, sim_host

from fleetdeploy.cli.binding.calls import in_order
from fleetdeploy.cli.binding.project import bind
from fleetdeploy.cli.changing.called import command_line
from fleetdeploy.domain.inventory import Group, Inventory
from fleetdeploy.domain.playbook import TaskCall
from fleetdeploy.domain.templated import Templated
from fleetdeploy.errors import InputError


def bound(*names: str, balanced: bool = True) -> None:
    """Bind the project's switching play with other tasks in it."""
    made = next(play for play in plays(["gpu1"], balanced=balanced) if play.touches_traffic)
    play = replace(made.play, tasks=tuple(TaskCall(name) for name in names), always=())
    bind(play, Inventory(made.everyone, {"gpu": Group("gpu", ("gpu1",)), "all": Group("all", ("gpu1",))}), None)


def test_a_failure_domain_is_what_its_expression_gives() -> None:
    """Hosts whose variable is an expression stand in the domains that it gives, and not in one of its text."""
    racks = {"gpu1": "r1", "gpu2": "r1", "gpu3": "r2"}
    (play,) = (item.play for item in plays(list(racks)) if item.touches_traffic)
    everyone = {
        name: replace(sim_host(name), variables={"rack": Templated("{{ zone }}", lambda rack=rack: rack)})  # type: ignore[misc]
        for name, rack in racks.items()
    }
    hosts, domains = in_order(replace(play, spread="rack"), list(racks), everyone)
    assert (hosts, domains) == (("gpu1", "gpu3", "gpu2"), racks)


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["drain", "activate", "verify"], "drains without an `undrain`"),
        (["undrain", "drain", "activate", "verify"], "drains without an `undrain`"),
        (["activate", "verify"], "without a `drain` before"),
        (["activate", "drain", "verify", "undrain"], "without a `drain` before"),
        (["drain", "activate", "undrain"], "without a `verify` behind"),
    ],
)
def test_an_order_of_tasks_that_is_not_safe_is_refused(names: list[str], told: str) -> None:
    """A play that would leave hosts drained, activate under traffic or prove nothing is bad input, not a rollout."""
    with pytest.raises(InputError, match=told):
        bound(*names)


def test_safe_orders_are_taken() -> None:
    """The playbook's own order is fine, and a host that nobody balances needs no drain."""
    bound("stage", "drain", "activate", "verify", "undrain")
    bound("activate", "verify", balanced=False)


@pytest.mark.parametrize("words", [["-e", "pw=a@hunter2"], ["-epw=a@hunter2"], ["--extra-vars=pw=a@hunter2"],
                                   ["-qe", "pw=a@hunter2"]], ids=" ".join)  # fmt: skip
def test_values_of_extra_vars_stay_out_of_the_command_line(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """However ``-e`` is written, the journal and the last line do not repeat its value."""
    monkeypatch.setattr("sys.argv", ["fleetdeploy", "deploy", "-i", "inventories/prod", *words])
    line = command_line(argparse.Namespace(extra_vars=["pw=a@hunter2"]))
    assert "hunter2" not in line
    assert line.startswith("fleetdeploy deploy -i inventories/prod ")


def test_a_variables_file_is_named_as_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    """``-e @FILE`` holds no value itself and is needed to run the command again."""
    monkeypatch.setattr("sys.argv", ["fleetdeploy", "deploy", "-e", "@vars.yml"])
    assert command_line(argparse.Namespace(extra_vars=["@vars.yml"])) == "fleetdeploy deploy -e @vars.yml"
