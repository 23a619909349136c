"""The release record on a host."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetdeploy.domain.observed import ProvenRelease, RecordedVersion, Release
from fleetdeploy.remote.directory.records import history_from_text, history_line, release_from_json, release_to_json

RELEASE = Release(
    "20260131T235900Z-ab", "ranking", "run-1", {"ranker": (7, 8)}, {"ranker": {"stable": 7}}, "a\nb\n", {"image": "x"},
    took_back="cd", bind="10.0.0.0/8", config_shown="a\n***\n", contents={"ranker": {7: RecordedVersion("ef", 12)}},
)  # fmt: skip


def test_a_record_is_read_back_as_it_was_written() -> None:
    """A release survives its way to a host and back."""
    assert release_from_json(release_to_json(RELEASE)) == RELEASE


@pytest.mark.parametrize(
    ("field", "value"),
    [("id", 5), ("models", []), ("models", {"m": ["7"]}), ("models", {"m": [True]}), ("labels", {"m": 3}),
     ("container", None), ("config_text", None), ("took_back", 1), ("contents", []), ("contents", {"m": {"x": {}}}),
     ("contents", {"m": {"7": {"manifest_digest": "ef", "size_bytes": "1"}}})],
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


def test_a_record_of_earlier_days_is_read() -> None:
    """Without what later records tell, it is a record all the same."""
    old = json.loads(release_to_json(RELEASE))
    for name in ("took_back", "bind", "config_shown", "contents"):
        del old[name]
    found = release_from_json(json.dumps(old))
    assert (found.id, found.took_back, found.contents) == (RELEASE.id, "", {})


def test_a_history_is_read_line_by_line() -> None:
    """Lines that mean nothing are counted and passed over, whatever is in them."""
    line = history_line(RELEASE)
    assert line.isascii()
    torn = ["what somebody wrote", line[:-9], "[]", '{"id":"../x","models":{}}', '{"id":"x","models":{"m":7}}']
    found, damaged = history_from_text("\n".join([line, *torn, line, ""]))
    assert found == (ProvenRelease(RELEASE.id, RELEASE.models, "cd"),) * 2
    assert damaged == len(torn)


@given(st.text(max_size=80))
def test_no_history_is_an_error(text: str) -> None:
    """Whatever a host has there, reading it raises nothing."""
    found, damaged = history_from_text(text)
    assert len(found) + damaged <= text.count("\n") + 1
