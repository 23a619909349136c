"""The release record on a host."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetdeploy.domain.observed import Release
from fleetdeploy.remote.records import release_from_json, release_to_json

RELEASE = Release(
    "20260131T235900Z-ab", "ranking", "run-1", {"ranker": (7, 8)}, {"ranker": {"stable": 7}}, "a\nb\n", {"image": "x"}
)


def test_a_record_is_read_back_as_it_was_written() -> None:
    """A release survives its way to a host and back."""
    assert release_from_json(release_to_json(RELEASE)) == RELEASE


@pytest.mark.parametrize(
    ("field", "value"),
    [("id", 5), ("models", []), ("models", {"m": ["7"]}), ("models", {"m": [True]}), ("labels", {"m": 3}),
     ("container", None), ("config_text", None)],
)  # fmt: skip
def test_a_damaged_record_is_refused(field: str, value: object) -> None:
    """A record with a field of another type is an error, never a release with a hole."""
    damaged = {**json.loads(release_to_json(RELEASE)), field: value}
    with pytest.raises(ValueError, match="release record"):
        release_from_json(json.dumps(damaged))


@given(st.one_of(st.text(max_size=50), st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps)))
def test_any_other_text_is_refused(text: str) -> None:
    """No other text or JSON is taken for a record, and no other exception comes out."""
    with pytest.raises(ValueError, match="release record"):
        release_from_json(text)
