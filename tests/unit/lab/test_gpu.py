"""The recorded GPUs."""

from __future__ import annotations

import pytest

from fleetdeploy.errors import LabError
from fleetdeploy.lab import gpu

CARDS = sorted(path.stem for path in gpu.CARDS.glob("*.json"))


@pytest.mark.parametrize(("slug", "name", "memory", "capability", "gib"), [
    ("h200", "NVIDIA H200", "143771 MiB", "9.0", 140),
    ("h100", "NVIDIA H100 80GB HBM3", "81559 MiB", "9.0", 79),
    ("a100", "NVIDIA A100-SXM4-80GB", "81920 MiB", "8.0", 80),
    ("t4", "Tesla T4", "15360 MiB", "7.5", 15),
])  # fmt: skip
def test_recorded_cards_say_what_real_ones_say(slug: str, name: str, memory: str, capability: str, gib: int) -> None:
    """Name, memory and compute capability are those that real cards answer; the inventory rounds memory down."""
    card = gpu.card(slug)
    assert (card.fields["name"], card.fields["memory.total"], card.fields["compute_cap"]) == (name, memory, capability)
    assert gpu.inventory_facts(card, 4) == {
        "count": 4, "model": name, "memory": f"{gib}GiB", "compute_capability": capability,
    }  # fmt: skip


@pytest.mark.parametrize("slug", CARDS)
def test_a_table_has_a_value_for_every_field_of_every_gpu(slug: str) -> None:
    """Every line of the table has as many columns as there are fields, and titles carry the unit in brackets."""
    fields, titles, *gpus = [line.split("\t") for line in gpu.table(gpu.card(slug), 8, host="gpu1").splitlines()]
    assert len(gpus) == 8
    assert {len(line) for line in (titles, *gpus)} == {len(fields)}
    assert titles[fields.index("memory.total")] == "memory.total [MiB]"
    assert titles[fields.index("name")] == "name"
    assert all(all(value for value in line) for line in gpus)


@pytest.mark.parametrize("field", ["uuid", "pci.bus_id"])
def test_no_two_gpus_of_a_host_share_an_identity(field: str) -> None:
    """UUIDs and bus numbers are unique on a host, and UUIDs differ between hosts."""
    tables = [gpu.table(gpu.card("h200"), 16, host=host).splitlines() for host in ("gpu1", "gpu2")]
    column = tables[0][0].split("\t").index(field)
    values = [[line.split("\t")[column] for line in lines[2:]] for lines in tables]
    assert len(set(values[0])) == 16
    assert field != "uuid" or not set(values[0]) & set(values[1])


def test_an_unknown_card_is_an_error_that_lists_the_known_ones() -> None:
    """A card that was never recorded is refused."""
    with pytest.raises(LabError, match="b300") as caught:
        gpu.card("b300")
    assert "a100, h100, h200, t4" in caught.value.hint
