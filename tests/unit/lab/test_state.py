"""What a lab remembers of itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleetdeploy.errors import LabError
from fleetdeploy.lab.state import HostRecord, LabPaths, LabRecord
from fleetdeploy.lab.waiting import wait_until


@pytest.mark.parametrize("name", ["", "a-b", "Lab", "a/b", "..", "x" * 25, "a b"])
def test_a_name_that_could_reach_beyond_its_lab_is_refused(name: str) -> None:
    """A lab's name has only letters and digits, so that no lab's prefix begins another's."""
    with pytest.raises(LabError, match="not usable"):
        LabPaths.of(name)


def test_paths_follow_the_given_homes(tmp_path: Path) -> None:
    """State and cache lie under the homes that are given, and only the cache is shared between labs."""
    one, two = (LabPaths.of(name, state_home=tmp_path / "s", cache_home=tmp_path / "c") for name in ("one", "two"))
    assert one.root == tmp_path / "s/fleetdeploy/lab/one"
    assert one.cache == two.cache == tmp_path / "c/fleetdeploy/lab"
    assert one.root != two.root


def test_paths_follow_the_xdg_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without given homes, XDG_STATE_HOME and XDG_CACHE_HOME decide, and a relative one is ignored as XDG says."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    paths = LabPaths.of("lab")
    assert paths.root == tmp_path / "fleetdeploy/lab/lab"
    assert paths.cache == Path.home() / ".cache/fleetdeploy/lab"


def test_a_record_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    """A record survives its file unchanged, port numbers included."""
    hosts = (HostRecord("gpu1", "gpu", 11, "127.77.3.11", {22: 20022}), HostRecord("lb", "balancer", 10))
    record = LabRecord("lab", "up", hosts, 3, "t4", 2, ("image:1", "image:2"), 42)
    record.save(tmp_path / "lab.json")
    assert LabRecord.load(tmp_path / "lab.json") == record


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format": 2}', '{"format": 1, "name": "x"}', '{"format": 1}'])
def test_a_damaged_record_is_no_record(tmp_path: Path, text: str) -> None:
    """A record that is not whole is taken for none, never half-read."""
    (tmp_path / "lab.json").write_text(text)
    assert LabRecord.load(tmp_path / "lab.json") is None


def test_a_wait_that_reaches_its_deadline_says_what_for() -> None:
    """A wait ends at its deadline with an error that names the condition and carries the detail."""
    with pytest.raises(LabError, match="sshd answers") as caught:
        wait_until(lambda: False, "gpu1: sshd answers", deadline_s=0, on_timeout=lambda: "end of the log")
    assert caught.value.detail == "end of the log"


def test_a_wait_returns_what_it_waited_for() -> None:
    """A wait returns the first true answer."""
    answers = iter([None, 0, "", "ready"])
    assert wait_until(lambda: next(answers), "an answer", deadline_s=5, interval_s=0) == "ready"
