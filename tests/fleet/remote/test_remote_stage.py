"""Staging and the other file verbs over a real sshd, with the real rsync."""

from __future__ import annotations

import os
import shutil
from functools import partial
from pathlib import Path

import pytest

from fleetdeploy.domain.measured import CopyProgress
from fleetdeploy.domain.observed import Absent, Present, Release, Unknown
from fleetdeploy.domain.service import (
    ServiceWish,
)
from fleetdeploy.errors import RemoteCommandFailed, TransferFailed
from fleetdeploy.remote.fleet import SshFleet
from tests.fleet.remote.private_sshd import PrivateSshd
from tests.fleet.remote.staging_files import FILES, stage_item, version


def test_a_version_is_put_in_place_whole_and_verified(
    sshd: PrivateSshd, fleet: SshFleet, service: ServiceWish, tmp_path: Path
) -> None:
    """A staged version has the source's files, readable modes and its manifest; staging it again changes nothing."""
    session, item = fleet.session(sshd.host()), version(tmp_path / "src", 7, FILES)
    session.files(service).stage(stage_item(item))
    placed = Path(service.directory) / "models/ranker/7"
    found = {str(path.relative_to(placed)): path.read_bytes() for path in placed.rglob("*") if path.is_file()}
    assert found == FILES
    assert {path.stat().st_mode & 0o777 for path in placed.rglob("*")} == {0o644, 0o755}
    before = placed.stat().st_ino, (placed / "saved_model.pb").stat().st_mtime_ns
    session.files(service).stage(stage_item(item))
    assert (placed.stat().st_ino, (placed / "saved_model.pb").stat().st_mtime_ns) == before
    assert not list((Path(service.directory) / "staging").iterdir())
    seen = session.observe([service]).services["ranking"]
    assert isinstance(seen.versions, Present)
    assert seen.versions.value["ranker"][7].manifest_digest == item.manifest.digest
    assert seen.versions.value["ranker"][7].sizes_bytes == {name: len(content) for name, content in FILES.items()}


def test_unchanged_files_are_linked_by_content(
    sshd: PrivateSshd, fleet: SshFleet, service: ServiceWish, tmp_path: Path
) -> None:
    """A file with the same content is hard-linked although its time is another; one that rotted is copied instead."""
    files = fleet.session(sshd.host()).files(service)
    files.stage(stage_item(version(tmp_path / "src", 7, FILES)))
    files.stage(stage_item(version(tmp_path / "src", 8, {**FILES, "saved_model.pb": b"GRAPH"}), link_from=7))
    models = Path(service.directory) / "models/ranker"
    assert (models / "8/variables/variables.index").stat().st_nlink == 2
    assert (models / "8/saved_model.pb").read_bytes() == b"GRAPH"
    (models / "8/variables/variables.index").unlink()
    (models / "8/variables/variables.index").write_bytes(b"rotte")
    files.stage(stage_item(version(tmp_path / "src", 9, FILES), link_from=8))
    assert (models / "9/variables/variables.index").read_bytes() == b"index"


def test_an_interrupted_copy_is_resumed_and_swept(
    sshd: PrivateSshd, fleet: SshFleet, service: ServiceWish, tmp_path: Path
) -> None:
    """What an interrupted copy left is kept by a sweep, used by the next stage, and its rubbish never gets in place."""
    files, item = fleet.session(sshd.host()).files(service), version(tmp_path / "src", 7, FILES)
    staging = Path(service.directory) / "staging"
    files.sweep_staging()
    half = staging / f"ranker-7-{item.manifest.digest[:12]}"
    (half / "variables" / ".fleetdeploy-partial").mkdir(parents=True)
    (half / "variables" / ".fleetdeploy-partial" / "variables.index").write_bytes(b"ind")
    (half / ".saved_model.pb.AbC123").write_bytes(b"gra")
    (staging / "removed-ranker-3-99").mkdir()
    (staging / "junk").write_text("x")
    files.sweep_staging()
    assert [path.name for path in staging.iterdir()] == [half.name]
    files.stage(stage_item(item))
    placed = Path(service.directory) / "models/ranker/7"
    assert {str(path.relative_to(placed)) for path in placed.rglob("*") if path.is_file()} == set(FILES)
    assert not list(staging.iterdir())


def test_a_file_that_the_manifest_does_not_name_is_never_in_place(
    sshd: PrivateSshd, fleet: SshFleet, service: ServiceWish, tmp_path: Path
) -> None:
    """A file that got into a half-done copy does not get into the version: it is copied anew, from the source alone."""
    files, item = fleet.session(sshd.host()).files(service), version(tmp_path / "src", 7, FILES)
    files.sweep_staging()
    half = Path(service.directory) / "staging" / f"ranker-7-{item.manifest.digest[:12]}"
    (half / "variables").mkdir(parents=True)
    (half / "variables" / "stray.data").write_bytes(b"somebody else's")
    files.stage(stage_item(item))
    placed = Path(service.directory) / "models/ranker/7"
    assert {str(path.relative_to(placed)) for path in placed.rglob("*") if path.is_file()} == set(FILES)


def test_what_is_not_what_the_manifest_says_is_never_in_place(
    sshd: PrivateSshd, fleet: SshFleet, service: ServiceWish, tmp_path: Path
) -> None:
    """A source that changed after it was read is refused by name, and a number never gets a second content."""
    files, item = fleet.session(sshd.host()).files(service), version(tmp_path / "src", 7, FILES)
    (item.directory / "saved_model.pb").write_bytes(b"grapH")
    with pytest.raises(TransferFailed, match="not what the manifest says") as refused:
        files.stage(stage_item(item))
    assert str(item.directory / "saved_model.pb") in refused.value.hint
    assert not (Path(service.directory) / "models/ranker/7").exists()
    files.stage(stage_item(version(tmp_path / "src", 7, FILES)))
    with pytest.raises(TransferFailed, match="other content"):
        files.stage(stage_item(version(tmp_path / "src", 7, {"saved_model.pb": b"other"})))
    (tmp_path / "src/8").mkdir()
    gone = version(tmp_path / "src", 8, {"a": b"a", "b": b"b"})
    (gone.directory / "b").unlink()
    with pytest.raises(TransferFailed, match="status 23"):
        files.stage(stage_item(gone))


def test_a_directory_that_is_not_ours_is_left_alone(
    sshd: PrivateSshd, fleet: SshFleet, service: ServiceWish, tmp_path: Path
) -> None:
    """Nothing is written into a directory without our marker, nor through a symbolic link in ours."""
    files, directory = fleet.session(sshd.host()).files(service), Path(service.directory)
    directory.mkdir(parents=True)
    (directory / "precious").write_text("x")
    with pytest.raises(RemoteCommandFailed, match="not made by fleetdeploy"):
        files.write_config("x")
    assert [path.name for path in directory.iterdir()] == ["precious"]
    shutil.rmtree(directory)
    files.write_config("x")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for part in ("config", "models", "staging", "releases", "manifests"):
        shutil.rmtree(directory / part)
        (directory / part).symlink_to(elsewhere)
        remove = partial(files.remove_versions, "ranker", [7])
        for work in (partial(files.write_config, "y"), remove, files.sweep_staging):
            with pytest.raises(RemoteCommandFailed, match="symbolic link"):
                work()
        (directory / part).unlink()
    assert not list(elsewhere.iterdir())


def test_what_is_written_is_what_the_probe_reads(
    sshd: PrivateSshd, fleet: SshFleet, service: ServiceWish, tmp_path: Path
) -> None:
    """Configuration, release and drain marker come back as they went, and are gone when they were cleared."""
    session = fleet.session(sshd.host())
    files = session.files(service)
    release = Release("20260131T235900Z-ab", "ranking", "run-1", {"ranker": (7,)}, {}, "é\n\n", {"name": "x"})
    empty = session.observe([service]).services["ranking"]
    assert (empty.config_text, empty.release, empty.versions, empty.drained_by) == (Absent(),) * 4
    files.write_config("é\n\n")
    files.write_release(release)
    files.mark_drained("run-1")
    for number in (7, 8):
        files.stage(stage_item(version(tmp_path / "src", number, FILES)))
    files.remove_versions("ranker", [7, 99])
    seen = session.observe([service]).services["ranking"]
    assert seen.config_text == Present("é\n\n")
    assert seen.release == Present(release)
    assert seen.drained_by == Present("run-1")
    assert isinstance(seen.versions, Present)
    assert list(seen.versions.value["ranker"]) == [8]
    assert seen.staging == ()
    files.clear_drained()
    (Path(service.directory) / "releases/current").write_text("../../etc/passwd\n")
    seen = session.observe([service]).services["ranking"]
    assert seen.drained_by == Absent()
    assert isinstance(seen.release, Unknown)


def test_a_copy_tells_how_far_it_is(sshd: PrivateSshd, fleet: SshFleet, service: ServiceWish, tmp_path: Path) -> None:
    """The total is what is not linked, bytes only grow up to it, and a resumed copy begins with what was there."""
    files = fleet.session(sshd.host()).files(service)
    files.stage(stage_item(version(tmp_path / "src", 7, FILES)))
    noise = os.urandom(200_000)
    item = stage_item(version(tmp_path / "src", 8, {**FILES, "a.data": noise, "b.data": noise[::-1]}), link_from=7)
    half = Path(service.directory) / "staging" / f"ranker-8-{item.version.manifest.digest[:12]}"
    half.mkdir()
    shutil.copy2(item.version.directory / "a.data", half / "a.data")
    told: list[CopyProgress] = []
    files.stage(item, progress=told.append)
    assert {(copy.model, copy.version, copy.total_bytes) for copy in told} == {("ranker", 8, 400_000)}
    done = [copy.done_bytes for copy in told]
    assert done == sorted(done)
    assert done[0] >= 200_000
    assert done[-1] == 400_000
    told.clear()
    files.stage(item, progress=told.append)
    assert told == []
