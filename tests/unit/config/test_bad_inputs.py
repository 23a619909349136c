"""Every file of ``cases/bad_*`` is refused, in the words that its ``expect:`` lines give."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from fleetdeploy.config.inventory.load import load_inventory
from fleetdeploy.config.playbook.load import load_playbook
from fleetdeploy.config.syntax import yaml
from fleetdeploy.config.templates import TemplateSet
from fleetdeploy.errors import InputError

CASES = Path(__file__).parent / "cases"
TASKS = ("activate", "drain", "preflight", "prune", "stage", "undrain", "verify")
CONTEXT = {
    "service": "ranking",
    "models": [{"name": "ranker", "base_path": "/models/ranker", "versions": [7], "labels": {}}],
    "host": {"nothing": None},
}


def cases(folder: str) -> list[Path]:
    found = sorted((CASES / folder).iterdir())
    assert len(found) > 15
    return found


def refused(error: InputError, case: Path) -> None:
    """The error says everything the case expects, names the case's file in every place, and each place once."""
    expected = re.findall(r"# expect: (.+?)(?: #\})?$", case.read_text(), re.MULTILINE)
    text = "\n".join(map(str, error.problems))
    assert expected
    for fragment in expected:
        assert fragment in text, text
    for problem in error.problems:
        assert problem.where.startswith(str(case)), problem
    assert len(set(error.problems)) == len(error.problems)
    assert error.exit_code == 2


@pytest.mark.parametrize("case", cases("bad_yaml"), ids=lambda case: case.stem)
def test_yaml(case: Path) -> None:
    """What is not plain, unambiguous YAML is refused with the place and what to do about it."""
    with pytest.raises(InputError) as caught:
        yaml.load(case)
    refused(caught.value, case)


@pytest.mark.parametrize("case", cases("bad_inventory"), ids=lambda case: case.stem)
def test_inventory(case: Path) -> None:
    """An inventory that cannot be meant as written is refused before any host is contacted."""
    with pytest.raises(InputError) as caught:
        load_inventory([case])
    refused(caught.value, case)


@pytest.mark.parametrize("case", cases("bad_playbook"), ids=lambda case: case.stem)
def test_playbook(case: Path) -> None:
    """A playbook with unknown keys, unknown tasks or values out of range is refused, all its problems at once."""
    with pytest.raises(InputError) as caught:
        load_playbook(case, task_names=TASKS)
    refused(caught.value, case)


@pytest.mark.parametrize("case", cases("bad_templates"), ids=lambda case: case.stem)
def test_template(case: Path) -> None:
    """A template that fails, or asks for too much, is refused quickly and with its line."""
    begin = time.monotonic()
    with pytest.raises(InputError) as caught:
        TemplateSet(case.parent).render(case.name, CONTEXT)
    refused(caught.value, case)
    assert time.monotonic() - begin < 60, "a limit ends it, long before what it asks for is done"
