"""Models held against declared GPUs, before any host is contacted."""

from __future__ import annotations

from dataclasses import replace

import pytest
from simulation.controller import sim_host

from fleetdeploy.domain.inventory import DeclaredGpus, Host
from fleetdeploy.domain.service import DesiredService, GpuRequest, Requirements
from fleetdeploy.errors import Problem
from fleetdeploy.planning.gpu_declared import declared_problems

from .gpu_hosts import GIB, needing

TWO = DeclaredGpus(2, "card", 24 * GIB, "8.0", "535")


def with_gpus(gpus: DeclaredGpus | None, *names: str) -> list[Host]:
    return [replace(sim_host(name), gpus=gpus) for name in names or ("gpu1",)]


def problems(service: DesiredService, gpus: DeclaredGpus | None, *names: str) -> tuple[Problem, ...]:
    return declared_problems((host, (service,)) for host in with_gpus(gpus, *names))


def requiring(requires: Requirements, gpus: GpuRequest | None = None) -> DesiredService:
    service = needing({}, ranker=(1,))
    (model,) = service.wish.models
    model = replace(model, requires=requires, places={"requires": "gpu.yml:9:5"})
    wish = replace(service.wish, models=(model,), gpus=gpus or GpuRequest(devices=(0, 1)), where="gpu.yml:3:1")
    return replace(service, wish=wish)


@pytest.mark.parametrize(
    ("requires", "message"),
    [
        (Requirements(24 * GIB, ">=8.0", ">=535.104"), ""),
        (Requirements(25 * GIB), "requires 25.0 GiB of GPU memory for each version, GPU 0, 1 (card) have 24.0 GiB"),
        (Requirements(0, ">=9.0"), "requires compute capability >=9.0, GPU 0, 1 (card) have 8.0"),
        (Requirements(0, "", ">=550"), "requires driver >=550, GPU 0, 1 (card) have 535"),
    ],
)
def test_a_model_that_its_declared_gpus_are_not_enough_for(requires: Requirements, message: str) -> None:
    """The problem stands where the requirement was written and names the host."""
    found = problems(requiring(requires), TWO)
    expected = f"gpu1: model 'ranker' {message} by the inventory"
    assert [(item.message, item.where) for item in found] == ([(expected, "gpu.yml:9:5")] if message else [])
    assert all(item.hint for item in found)


def test_sums_are_held_against_declared_memory() -> None:
    """Every wanted version counts; what is served now is not known yet."""
    service = needing({"ranker": 10, "tagger": 10}, devices=(0, 1), ranker=(1, 2, 3), tagger=(1, 2))
    (found,) = problems(service, TWO)
    assert found.message == (
        "gpu1: models require 50.0 of 48.0 GiB on GPU 0, 1: ranker/1, ranker/2, ranker/3 10.0 GiB each, "
        "tagger/1, tagger/2 10.0 GiB each, by the inventory"
    )
    assert problems(service, replace(TWO, memory_bytes=30 * GIB)) == ()


@pytest.mark.parametrize("gpus", [None, DeclaredGpus(2)])
def test_what_is_not_declared_refuses_nothing(gpus: DeclaredGpus | None) -> None:
    """The hosts are asked at plan time."""
    assert problems(requiring(Requirements(900 * GIB, ">=9.0", ">=999")), gpus) == ()


@pytest.mark.parametrize("gpus", [None, TWO])
def test_a_model_that_needs_a_gpu_and_gets_none(gpus: DeclaredGpus | None) -> None:
    """That is told of any host, whatever it has."""
    (found,) = problems(requiring(Requirements(driver=">=535"), GpuRequest()), gpus)
    assert found.message == "gpu1: model 'ranker' requires a GPU, and its service gets none"


def test_many_hosts_have_one_problem() -> None:
    """A group's mistake is one line, with how many hosts have it."""
    service = requiring(Requirements(25 * GIB))
    (found,) = problems(service, TWO, *(f"gpu{number}" for number in range(300)))
    assert found.message.startswith("gpu0 and 299 more hosts: ")
    (found,) = problems(service, TWO, "gpu1", "gpu2")
    assert found.message.startswith("gpu1 and 1 more host: ")
