"""Models held against the GPUs of their host."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetdeploy.config.fields.schema import validate
from fleetdeploy.config.reserved import wishes
from fleetdeploy.config.reserved.service_schema import GpusFields
from fleetdeploy.domain.inventory import DeclaredGpus
from fleetdeploy.domain.observed import Gpu
from fleetdeploy.domain.service import GpuRequest, ModelWish, Ports, Requirements, ServiceWish, VersionsWish
from fleetdeploy.lab import gpu as lab_gpu
from fleetdeploy.planning.gpu_fit import (
    capability_fits,
    declared_gpus,
    differences,
    driver_fits,
    driver_may_fit,
    misfits,
)
from fleetdeploy.remote.probe.facts import gpus

GIB = 1024**3
OLD = Gpu(0, "V100", 16 * GIB, 0, "7.0", "550.54.15")
NEW = Gpu(1, "A100", 80 * GIB, 0, "8.0", "550.54.15")
MUTE = Gpu(2, "card", 80 * GIB, 0, "", "[N/A]")


def service(*requires: Requirements, gpus: GpuRequest) -> ServiceWish:
    models = tuple(
        ModelWish(f"m{index}", Path("m"), VersionsWish((1,)), requires=needs) for index, needs in enumerate(requires)
    )
    return ServiceWish("ranking", "serving:1", Ports(1, 2), "10.0.0.1", models, gpus=gpus)


@pytest.mark.parametrize(
    ("requires", "gpus", "said"),
    [
        (Requirements(), GpuRequest(), ()),
        (Requirements(16 * GIB, ">=7.0"), GpuRequest(devices=(0,)), ()),
        (Requirements(16 * GIB + 1), GpuRequest(devices=(0,)), ("GPU 0 (V100) has 16.0 GiB",)),
        (Requirements(40 * GIB), GpuRequest(devices=(1,)), ()),
        (
            Requirements(40 * GIB),
            GpuRequest(count=2),
            ("requires 40.0 GiB of GPU memory for each version, GPU 0 (V100) has 16.0 GiB",),
        ),
        (Requirements(0, ">=8.0"), GpuRequest(count=1), ("requires compute capability >=8.0, GPU 0 (V100) has 7.0",)),
        (Requirements(0, ">=8.0"), GpuRequest(all=True), ("GPU 0", "GPU 2 (card) has none that can be read")),
        (Requirements(40 * GIB, "==8.6"), GpuRequest(devices=(0,)), ("40.0 GiB", "==8.6")),
        (Requirements(1), GpuRequest(), ("requires a GPU, and its service gets none",)),
        (Requirements(0, ">=7.0"), GpuRequest(), ("requires a GPU",)),
        (Requirements(40 * GIB), GpuRequest(devices=(7,)), ()),
        (Requirements(driver=">=550.54"), GpuRequest(devices=(0,)), ()),
        (Requirements(driver=">550"), GpuRequest(count=1), ("requires driver >550, GPU 0 (V100) has 550.54.15",)),
        (Requirements(driver=">=535"), GpuRequest(devices=(2,)), ("driver >=535, GPU 2 (card) has none that can be",)),
        (Requirements(driver=">=535"), GpuRequest(), ("requires a GPU",)),
    ],
)
def test_each_model_is_held_against_each_gpu_of_its_service(
    requires: Requirements, gpus: GpuRequest, said: tuple[str, ...]
) -> None:
    """Only the GPUs that the service gets count, and each of them must have what the model requires."""
    found = [text for _, text in misfits(service(requires, gpus=gpus), (OLD, NEW, MUTE))]
    assert len(found) == len(said)
    assert all(part in text for part, text in zip(said, found, strict=True))


def test_alike_cards_are_told_together() -> None:
    """A host may have sixteen GPUs of one kind, which are one thing to mend."""
    cards = tuple(replace(OLD, index=index) for index in range(3))
    ((model, text),) = misfits(service(Requirements(20 * GIB), gpus=GpuRequest(all=True)), cards)
    assert model.name == "m0"
    assert text.endswith("GPU 0, 1, 2 (V100) have 16.0 GiB")


def test_what_is_not_declared_stands_against_nothing() -> None:
    """Of declared GPUs only what the inventory says counts; of observed ones everything has to be known."""
    wish = service(Requirements(90 * GIB, ">=9.0", ">=535"), gpus=GpuRequest(count=1))
    assert list(misfits(wish, declared_gpus(DeclaredGpus(2)), declared=True)) == []
    assert len(list(misfits(wish, declared_gpus(DeclaredGpus(2))))) == 3
    declared = declared_gpus(DeclaredGpus(2, "A100", 80 * GIB, "8.0", "470.57.02"))
    said = [text for _, text in misfits(wish, declared, declared=True)]
    assert [text.rpartition(" has ")[2] for text in said] == ["80.0 GiB", "8.0", "470.57.02"]


@pytest.mark.parametrize(
    ("has", "wanted", "fits"),
    [
        ("8.0", "8.0", True),
        ("8.6", "8.0", True),
        ("7.5", "8.0", False),
        ("10.0", ">=9.0", True),
        ("9.0", ">=10.0", False),
        ("8.0", ">8.0", False),
        ("8.6", ">8.0", True),
        ("8.6", "==8.0", False),
        ("8.0", "==8.0", True),
        ("", ">=1.0", False),
        ("[N/A]", ">=1.0", False),
        (">=8.0", ">=7.0", False),
        ("8.0", "<9.0", False),
    ],
)
def test_capabilities_compare_as_numbers(has: str, wanted: str, fits: bool) -> None:
    """10.0 is more than 9.0; what is no capability never fits."""
    assert capability_fits(has, wanted) is fits


@given(st.integers(1, 20), st.integers(0, 9), st.integers(1, 20), st.integers(0, 9))
def test_at_least_is_more_or_the_same(major: int, minor: int, other_major: int, other_minor: int) -> None:
    """``>=`` holds exactly where ``>`` or ``==`` does."""
    has, than = f"{major}.{minor}", f"{other_major}.{other_minor}"
    either = capability_fits(has, f">{than}") or capability_fits(has, f"=={than}")
    assert capability_fits(has, f">={than}") is either


@pytest.mark.parametrize(
    ("has", "wanted", "fits"),
    [
        ("535.104.05", "535", True),
        ("535.104.05", ">=535.104.05", True),
        ("535.104.05", ">=535.104.12", False),
        ("535.54.03", ">=535.104", False),
        ("535.104.05", "==535", True),
        ("535.104.05", "==535.54", False),
        ("535.104.05", ">535", False),
        ("550.54", ">535", True),
        ("1000.1", ">=550", True),
        ("470.57", ">=470.57.02", False),
        ("470.57", "==470.57.0", True),
        ("", ">=1", False),
        ("[N/A]", ">=1", False),
        (">=535", ">=1", False),
        ("535", "<600", False),
    ],
)
def test_drivers_compare_part_by_part(has: str, wanted: str, fits: bool) -> None:
    """As numbers and not as text, as far as the requirement goes; what is no driver never fits."""
    assert driver_fits(has, wanted) is fits


@given(st.lists(st.integers(0, 600), min_size=1, max_size=3), st.lists(st.integers(0, 600), min_size=1, max_size=3))
def test_drivers_compare_as_lists_of_numbers(has: list[int], wanted: list[int]) -> None:
    """The comparison is that of the numbers, filled up with zeros and cut to the requirement's length."""
    here, rule = ".".join(map(str, has)), ".".join(map(str, wanted))
    seen = [*has, 0, 0][: len(wanted)]
    assert driver_fits(here, rule) is (seen >= wanted)
    assert driver_fits(here, f">{rule}") is (seen > wanted)
    assert driver_fits(here, f"=={rule}") is (seen == wanted)


@given(
    st.lists(st.integers(1, 9), min_size=3, max_size=3),
    st.integers(1, 3),
    st.lists(st.integers(1, 9), min_size=1, max_size=3),
    st.sampled_from([">=", ">", "=="]),
)
def test_a_declared_branch_never_rules_out_a_driver_of_it(
    has: list[int], known: int, wanted: list[int], how: str
) -> None:
    """Where the whole driver fits, its first parts may fit; where all parts are known, both answers are the same."""
    whole, part = (".".join(map(str, numbers)) for numbers in (has, has[:known]))
    rule = how + ".".join(map(str, wanted))
    assert driver_may_fit(whole, rule) is driver_fits(whole, rule)
    assert driver_may_fit(part, rule) or not driver_fits(whole, rule)


def test_a_declared_branch_can_be_too_old() -> None:
    """What is known of a driver may be enough to refuse it."""
    assert not driver_may_fit("470", ">=535.104")
    assert not driver_may_fit("470", "==535.104")
    assert driver_may_fit("535", ">535.104")


CARDS = sorted(path.stem for path in lab_gpu.CARDS.glob("*.json"))


@pytest.mark.parametrize("slug", CARDS)
@pytest.mark.parametrize("nominal", [True, False])
def test_real_cards_are_what_people_declare(slug: str, nominal: bool) -> None:
    """nvidia-smi lists less than the size a card is sold with, whichever unit people write it in."""
    sold = {"t4": 16, "a100": 80, "h100": 80, "h200": 141}[slug]
    fields = lab_gpu.card(slug).fields
    memory = int(fields["memory.total"].split()[0]) * 1024**2
    card = Gpu(0, fields["name"], memory, 0, fields["compute_cap"], fields["driver_version"])
    size = sold * GIB if nominal else sold * 1000**3
    said = DeclaredGpus(1, fields["name"], size, fields["compute_cap"], "580")
    assert list(differences(said, (card,))) == []


@pytest.mark.parametrize("slug", CARDS)
def test_the_lab_declares_what_its_nvidia_smi_lists(slug: str) -> None:
    """What `lab up` writes into its inventory is taken for what its hosts have."""
    facts = lab_gpu.inventory_facts(lab_gpu.card(slug), 3)
    said = validate(GpusFields, facts)
    columns, _, *rows = [line.split("\t") for line in lab_gpu.table(lab_gpu.card(slug), 3, host="gpu1").splitlines()]
    wanted = ("index", "uuid", "name", "memory.total", "memory.used", "compute_cap", "driver_version")
    listed = (", ".join(row[columns.index(name)].removesuffix(" MiB") for name in wanted) for row in rows)
    assert list(differences(wishes.declared_gpus(said), gpus("\n".join(listed)))) == []


A100 = Gpu(0, "NVIDIA A100-SXM4-80GB", 80 * GIB, 0, "8.0", "580.159.03")


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        (DeclaredGpus(1), ""),
        (DeclaredGpus(1, "A100-SXM4-80GB"), ""),
        (DeclaredGpus(1, "nvidia a100-sxm4-80gb"), ""),
        (DeclaredGpus(1, "NVIDIA H200"), "declares model 'NVIDIA H200', nvidia-smi lists 'NVIDIA A100-SXM4-80GB' for"),
        (DeclaredGpus(1, memory_bytes=40 * GIB), ""),
        (DeclaredGpus(1, memory_bytes=88 * GIB), ""),
        (DeclaredGpus(1, memory_bytes=89 * GIB), "declares memory 89.0 GiB, nvidia-smi lists 80.0 GiB"),
        (DeclaredGpus(1, memory_bytes=96 * GIB), "declares memory 96.0 GiB, nvidia-smi lists 80.0 GiB for GPU 0"),
        (DeclaredGpus(1, compute_capability="9.0"), "declares compute capability 9.0, nvidia-smi lists 8.0 for GPU 0"),
        (DeclaredGpus(1, driver="580"), ""),
        (DeclaredGpus(1, driver="580.159.03"), ""),
        (DeclaredGpus(1, driver="580.159.04"), "declares driver 580.159.04, nvidia-smi lists 580.159.03 for GPU 0"),
        (DeclaredGpus(1, driver="535"), "declares driver 535, nvidia-smi lists 580.159.03"),
        (DeclaredGpus(2), "declares 2 GPUs, nvidia-smi lists 1"),
    ],
)
def test_declared_gpus_are_held_against_observed_ones(declared: DeclaredGpus, said: str) -> None:
    """A difference says both sides; what is not declared differs from nothing."""
    found = list(differences(declared, (A100,)))
    assert bool(found) is bool(said)
    assert all(said in text for text in found)


def test_what_a_card_does_not_say_differs_from_what_is_declared() -> None:
    """A property that is declared and cannot be read is no match."""
    (text,) = differences(DeclaredGpus(1, compute_capability="8.0"), (replace(A100, compute_capability="[N/A]"),))
    assert text == ("the inventory declares compute capability 8.0, nvidia-smi lists none that can be read for GPU 0")


def test_a_difference_names_its_gpus() -> None:
    """Of several cards the ones that differ, those of one kind together."""
    cards = (A100, replace(A100, index=1, name="NVIDIA H200"), replace(A100, index=2, name="NVIDIA H200"))
    (text,) = differences(DeclaredGpus(3, A100.name), cards)
    assert text.endswith("nvidia-smi lists 'NVIDIA H200' for GPU 1, 2")
