"""F9: what a host was asked to write is on its disk once the answer has come, whatever happens to its power then."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from fleetdeploy.domain.observed import Release
from fleetdeploy.domain.service import ServiceWish
from fleetdeploy.remote.directory.files import RemoteFiles
from fleetdeploy.remote.fleet import SshFleet
from tests.fleet.faults.power import CrashDisk
from tests.fleet.remote.private_sshd import PrivateSshd
from tests.fleet.remote.staging_files import FILES, stage_item, version

pytestmark = pytest.mark.fault("F9")
CONFIG = 'model_config_list { config { name: "ranker" base_path: "/models/ranker" } }\n'
RELEASE = Release("20260131T235900Z-ab", "ranking", "run-1", {"ranker": (7,)}, {}, CONFIG, {"name": "x"})


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[CrashDisk]:
    made = CrashDisk(tmp_path)
    yield made
    made.close()


@pytest.fixture
def files(disk: CrashDisk, sshd: PrivateSshd, fleet: SshFleet, service: ServiceWish) -> RemoteFiles:
    """The service's files, its directory on a disk that can lose its power."""
    wish = replace(service, base_dir=PurePosixPath(disk.place))
    return fleet.session(sshd.host()).files(wish)


def test_an_unflushed_file_does_not_survive(disk: CrashDisk) -> None:
    """The means itself: a file that nobody flushed is gone after the power was cut, one that was flushed is there."""
    (disk.place / "lost").write_text("lost")
    kept = disk.place / "kept"
    kept.write_text("kept")
    with disk.after_power_loss() as seen:
        assert not (seen / "lost").exists() or (seen / "lost").read_text() == ""


def _config(files: RemoteFiles) -> None:
    files.write_config(CONFIG)


def _drained(files: RemoteFiles) -> None:
    files.mark_drained("run-1")


def _release(files: RemoteFiles) -> None:
    files.write_release(RELEASE)


@pytest.mark.parametrize(
    ("write", "path", "text"),
    [
        (_config, "config/model.config", CONFIG),
        (_drained, "drained", "run-1\n"),
        (_release, "releases/current", f"{RELEASE.id}\n"),
    ],
    ids=["config", "drained", "release"],
)
def test_what_was_written_survives(
    disk: CrashDisk, files: RemoteFiles, write: Callable[[RemoteFiles], None], path: str, text: str
) -> None:
    """A configuration, a drain marker and a release are there, whole, when the power goes right after the answer."""
    write(files)
    with disk.after_power_loss() as seen:
        assert (seen / "ranking" / path).read_text() == text
        if path == "releases/current":
            assert (seen / "ranking" / f"releases/{RELEASE.id}.json").read_text().endswith("}\n")


def test_what_was_taken_away_stays_away(disk: CrashDisk, files: RemoteFiles) -> None:
    """A cleared drain marker does not come back with the power: the host would be drained in nobody's name."""
    files.mark_drained("run-1")
    files.clear_drained()
    with disk.after_power_loss() as seen:
        assert not (seen / "ranking/drained").exists()


def test_a_staged_version_survives_whole(disk: CrashDisk, files: RemoteFiles, tmp_path: Path) -> None:
    """A version whose staging was answered has every byte of every file after the power was cut."""
    files.stage(stage_item(version(tmp_path / "src", 7, FILES)))
    with disk.after_power_loss() as seen:
        placed = seen / "ranking/models/ranker/7"
        found = {str(path.relative_to(placed)): path.read_bytes() for path in placed.rglob("*") if path.is_file()}
        assert found == FILES
        assert (seen / "ranking/manifests/ranker/7.sha256").read_text()
