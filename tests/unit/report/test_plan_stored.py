"""The plan file itself: what is written is read back, and whatever else is there is refused by our own error."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleetdeploy.errors import InputError, PlanFileRefused
from fleetdeploy.report.plan_file import stored
from fleetdeploy.report.plan_file.plain import digest
from fleetdeploy.report.plan_file.stored import Inputs, StoredPlan

TEXTS = st.lists(st.text(max_size=5), max_size=3)
INPUTS = st.builds(
    Inputs,
    directory=st.text(max_size=9), inventory=TEXTS, playbook=st.text(max_size=9), project=st.text(max_size=9),
    limit=st.none() | st.text(max_size=9),
    tags=TEXTS, skip_tags=TEXTS, start_at_task=st.text(max_size=9), allow_remove=st.booleans(),
    allow_signature_change=TEXTS, extra_vars=TEXTS, forks=st.integers(1, 99),
)  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
DOCUMENTS = st.fixed_dictionaries({"hosts": st.dictionaries(st.text(max_size=5), VALUES, max_size=3), "more": VALUES})
PLANS = st.builds(
    StoredPlan, INPUTS, DOCUMENTS, DOCUMENTS, DOCUMENTS, st.just("2026-01-31T00:00:00Z"), st.just("0.1.0")
)
quick = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
EMPTY = StoredPlan(
    Inputs(
        directory="/srv/project", inventory=["inventory.yml"], playbook="deploy.yml", project=".", limit=None,
        tags=[], skip_tags=[], start_at_task="", allow_remove=False, allow_signature_change=[], extra_vars=[], forks=20,
    ),
    {"hosts": {}}, {"hosts": {}}, {"hosts": {}}, "2026-01-31T00:00:00Z", "0.1.0",
)  # fmt: skip


@quick
@given(plan=PLANS)
def test_what_is_written_is_read_back(tmp_path: Path, plan: StoredPlan) -> None:
    """Any inputs and documents come back the same, over an older file too; nobody else can read it."""
    path = tmp_path / "next.plan"
    stored.write(path, plan)
    assert stored.read(path) == plan
    assert stored.is_plan_file(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


@quick
@given(data=st.data())
def test_a_file_that_was_changed_anywhere_is_refused(tmp_path: Path, data: st.DataObject) -> None:
    """Whatever bytes stand in place of others: our own error, or the very same content."""
    path = tmp_path / "next.plan"
    path.unlink(missing_ok=True)
    stored.write(path, EMPTY)
    before = path.read_bytes()
    start = data.draw(st.integers(0, len(before)))
    end = data.draw(st.integers(start, len(before)))
    path.write_bytes(before[:start] + data.draw(st.binary(max_size=8)) + before[end:])
    refused: PlanFileRefused | None = None
    try:
        found = stored.read(path)
    except PlanFileRefused as error:
        refused = error
    if refused:
        assert (refused.where, bool(refused.hint)) == (str(path), True)
    else:
        assert found == EMPTY


@quick
@given(key=st.sampled_from(["made", "inputs", "wanted", "observed", "plan"]), value=VALUES)
def test_a_file_that_somebody_signed_anew_is_checked(tmp_path: Path, key: str, value: Any) -> None:
    """The digest is no signature: with a right one, the shape is still looked at."""
    content = {**EMPTY.as_json(), key: value}
    del content["digest"]
    path = tmp_path / "next.plan"
    path.write_text(json.dumps({**content, "digest": digest(content)}), encoding="utf-8")
    if key == "made":
        assert stored.read(path).inputs == EMPTY.inputs
    elif not (isinstance(value, dict) and isinstance(value.get("hosts"), dict)):
        with pytest.raises(PlanFileRefused):
            stored.read(path)


def test_what_is_no_plan_file(tmp_path: Path) -> None:
    """A playbook, another JSON file, an empty one, a directory and nothing at all are left to who reads playbooks."""
    for name, text in {"a": "- hosts: all\n", "b": "{}", "c": "", "d": '["fleetdeploy-plan"]'}.items():
        (tmp_path / name).write_text(text)
        assert not stored.is_plan_file(tmp_path / name)
    assert not stored.is_plan_file(tmp_path)
    assert not stored.is_plan_file(tmp_path / "nothing")


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When it cannot be written the plan of before is still there, whole, and nothing else is."""
    path = tmp_path / "next.plan"
    stored.write(path, EMPTY)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(InputError, match="No space left"):
        stored.write(path, StoredPlan(EMPTY.inputs, {"hosts": {"a": 1}}, {"hosts": {}}, {"hosts": {}}, "", ""))
    assert stored.read(path) == EMPTY
    assert list(tmp_path.iterdir()) == [path]
