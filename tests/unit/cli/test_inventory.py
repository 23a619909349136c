"""``fleetdeploy inventory``: explain and graph, and the connection variables that are followed."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Project


def refused(project: Project, command: str, *arguments: str) -> str:
    """What a command that ends with exit code 2 says."""
    result = project.run(command, *arguments)
    assert result.code == 2
    return " ".join(result.err.split())


def test_explain_one_key(project: Project) -> None:
    """The value as YAML, the place that set it, and every layer, the weakest first."""
    lines = project.run("inventory", "explain", "gpu1", "rack", "-e", "rack=r9").out.splitlines()
    assert lines[0] == "rack: r9"
    assert lines[1] == "# set at --extra-vars"
    assert lines[2].startswith("#   1. ")
    assert "inventory.yml:" in lines[2]
    assert lines[-1].split() == ["#", f"{len(lines) - 2}.", "-e", "r9", "--extra-vars"]


def test_explain_as_json(project: Project) -> None:
    """The same for programs; without a key, every variable."""
    one = project.run("inventory", "explain", "gpu1", "rack", "--json").json
    assert (one["host"], one["key"], one["value"]) == ("gpu1", "rack", "r1")
    assert one["layers"][-1]["where"] == one["where"]
    every = project.run("inventory", "explain", "gpu1", "--json").json
    assert "rack" in {item["key"] for item in every["variables"]}
    text = project.run("inventory", "explain", "gpu1").out
    assert f"rack: r1    # {one['where']}\n" in text


def test_explain_names_one_host(project: Project) -> None:
    """A pattern for several hosts, an unknown host and an unknown key are bad input."""
    assert "stands for 2 hosts" in refused(project, "inventory", "explain", "gpu")
    assert "the inventory has no host 'gpu9' did you mean 'gpu" in refused(project, "inventory", "explain", "gpu9")
    assert "did you mean 'rack'?" in refused(project, "inventory", "explain", "gpu1", "rakc")


def test_graph_of_a_group(project: Project) -> None:
    """One group can be drawn, with variables; an unknown one is bad input."""
    lines = project.run("inventory", "graph", "gpu", "--vars").out.splitlines()
    assert lines[0] == "@gpu:"
    assert "  |  |--{rack = r1}" in lines
    assert "no group 'gpuu'" in refused(project, "inventory", "graph", "gpuu")


@pytest.mark.parametrize("variable", ["ansible_become: true", "ansible_ssh_common_args: -J ops@gate"])
def test_how_hosts_are_reached_is_followed(variable: str, project: Project) -> None:
    """sudo and jump hosts are part of how a host is reached, and no reason to refuse an inventory."""
    folder = Path(project.path) / "group_vars"
    folder.mkdir()
    (folder / "all.yml").write_text(f"{variable}\n")
    for command in (["inventory", "list"], ["validate"]):
        result = project.run(*command)
        assert result.code == 0, result.err


def test_host_names_one_host(project: Project) -> None:
    """An unknown host is bad input with the hosts there are; a group's name stands for none of its hosts alone."""
    assert "rack: r1" in project.run("inventory", "host", "gpu1").out
    assert "rack: r1" in project.run("inventory", "host", "gpu:!gpu2").out
    assert "the inventory has no host 'nope' hosts: gpu1, gpu2, lb" in refused(project, "inventory", "host", "nope")
    assert "did you mean 'gpu1'?" in refused(project, "inventory", "host", "gpu01")
    assert "'gpu' stands for 2 hosts name one: gpu1, gpu2" in refused(project, "inventory", "host", "gpu")


def test_a_wrong_inventory_path_has_a_suggestion(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The path that was perhaps meant, whichever part of it is wrong; and what is there where nothing is like it."""
    (project.path / "inventories" / "prod").mkdir(parents=True)
    (project.path / "inventories" / "prod" / "hosts.yml").write_text("all: {hosts: {h: }}\n")
    monkeypatch.chdir(project.path)
    for given, hint in (
        ("inventories/prd", "did you mean inventories/prod?"),
        ("inventorys/prod", "did you mean inventories/prod?"),
        ("inventories/prod/host.yml", "did you mean inventories/prod/hosts.yml?"),
        ("inventories/qqq", "in inventories: prod"),
    ):
        assert f"{given}: no such inventory {hint}" in refused(project, "inventory", "list", "-i", given)
    (project.path / "empty").mkdir()
    said = refused(project, "inventory", "list", "-i", "empty/prod")
    assert "empty/prod: no such inventory check the path: empty is empty" in said


def test_explain_shows_what_an_expression_gives(project: Project) -> None:
    """Below the text as it is written: its value, and the variables in it with their places."""
    project.edit("image: serving:1", "image: '{{ serving_image }}'")
    project.edit("rack: r1", "rack: r1\n        serving_image: serving:1")
    lines = project.run("inventory", "explain", "gpu1", "services.ranking.image").out.splitlines()
    assert "# gives serving:1" in lines
    assert lines[-1].startswith("#   serving_image: serving:1    ")
    assert "inventory.yml:10:" in lines[-1]
    one = project.run("inventory", "explain", "gpu1", "services.ranking.image", "--json").json
    assert (one["value"], one["rendered"]) == ("{{ serving_image }}", "serving:1")
    assert one["uses"][0]["key"] == "serving_image"
    assert ", gives serving:1\n" in project.run("inventory", "explain", "gpu1").out
    assert "rendered" not in project.run("inventory", "explain", "gpu1", "rack", "--json").json


def test_two_names_of_one_machine(project: Project) -> None:
    """An address for every host is refused by what reads an inventory, before anything is contacted."""
    said = refused(project, "validate", "-e", "ansible_host=1.2.3.4")
    assert "gpu1 and gpu2 are one machine: 1.2.3.4, port 22" in said


def test_a_balancer_that_is_not_there(project: Project) -> None:
    """Its kind is told with its place."""
    project.edit("kind: haproxy", "kind: nginx")
    said = refused(project, "validate")
    assert "balancer.kind: 'nginx' is no kind of balancer" in said
    assert "inventory.yml:" in said
    assert "there is: haproxy" in said


def test_no_time_for_a_connection(project: Project) -> None:
    """``-T 0`` would let every connection fail."""
    assert "'0' leaves no time" in refused(project, "status", "-T", "0")
