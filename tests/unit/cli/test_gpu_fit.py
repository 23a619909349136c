"""Requirements against declared and against observed GPUs, from the command line."""

from __future__ import annotations

import pytest

from .conftest import Project


def requires(project: Project, requirement: str, *, gpus: str = "") -> None:
    """Let the model require something of GPU 0, and the hosts declare ``gpus``."""
    project.edit("golden: golden.jsonl}", f"golden: golden.jsonl, requires: {{{requirement}}}}}")
    project.edit("gpus: none", "gpus: {devices: [0]}")
    if gpus:
        project.edit("        rack: r1\n", f"        rack: r1\n        gpus: {{{gpus}}}\n")


@pytest.mark.parametrize("command", ["validate", "plan", "deploy"])
def test_a_declared_misfit_is_found_before_anybody_is_contacted(project: Project, command: str) -> None:
    """Exit 2, once for both hosts, with the line of the requirement; the same for every command that would act."""
    requires(project, "gpu_memory: 90GiB", gpus="count: 1, memory: 80GiB")
    result = project.run(command)
    assert result.code == 2
    line = next(
        n for n, text in enumerate((project.path / "inventory.yml").read_text().splitlines(), 1) if "90G" in text
    )
    assert f"inventory.yml:{line}:" in result.err
    message = (
        "gpu1 and 1 more host: model 'ranker' requires 90.0 GiB of GPU memory for each version, GPU 0 has 80.0 GiB"
    )
    assert result.err.count(message) == 1
    assert not any(wire.calls for wire in project.wires)


def test_status_does_not_care(project: Project) -> None:
    """What is served now has to be seen whatever the inventory asks for."""
    requires(project, "gpu_memory: 90GiB", gpus="count: 1, memory: 80GiB")
    assert "requires" not in project.run("status").err


@pytest.mark.parametrize(
    ("requirement", "gpus", "message"),
    [
        (
            "gpu_memory: 90GiB",
            "",
            "requires 90.0 GiB of GPU memory for each version, GPU 0 (NVIDIA A100-SXM4-80GB) has",
        ),
        ("driver: '>=575'", "", "requires driver >=575, GPU 0 (NVIDIA A100-SXM4-80GB) has 570.00"),
        ("driver: '>=575'", "count: 1", "requires driver >=575"),
        ("driver: '>=535'", "count: 1, driver: '580'", "the inventory declares driver 580, nvidia-smi lists 570.00"),
        (
            "gpu_memory: 1GiB",
            "count: 1, model: H200",
            "the inventory declares model 'H200', nvidia-smi lists 'NVIDIA A1",
        ),
    ],
)
def test_at_plan_time_the_observed_gpus_count(project: Project, requirement: str, gpus: str, message: str) -> None:
    """Exit 5, and nothing was touched; ``validate`` had nothing to say."""
    requires(project, requirement, gpus=gpus)
    assert project.run("validate").code == 0
    result = project.run("plan")
    assert result.code == 5
    assert f"gpu1: REFUSED: {message}" in result.out + result.err or message in result.out + result.err
    assert project.run("deploy").code == 5
    assert project.acts == []


def test_a_swap_is_deployed_as_planned(project: Project) -> None:
    """The plan says replace, and the deploy does that."""
    requires(project, "gpu_memory: 50GiB", gpus="count: 1, model: NVIDIA A100-SXM4-80GB, memory: 80GiB, driver: '570'")
    assert project.run("deploy").code == 0
    project.edit("versions: [1]", "versions: [2]")
    plan = project.run("plan")
    assert "replace, old and new versions do not fit together: 100.0 of 80.0 GiB on GPU 0; swapped while" in plan.out
    assert project.run("deploy").code == 0
    assert not any(act.endswith("serving.reload") for act in project.acts)
    assert {now.versions for now in project.world.serves_all().values()} == {(("ranker", (2,)),)}
