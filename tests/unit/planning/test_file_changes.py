"""A version's files held against those of a version on the host, by manifest alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from simulation.controller import desired, sim_host, version
from simulation.seen import on_disk, settled_host

from fleetdeploy.domain.observed import Present, State, VersionState
from fleetdeploy.domain.plan import FileKind, StageItem
from fleetdeploy.domain.service import Manifest, ManifestFile, ModelVersion
from fleetdeploy.planning.file_changes import file_changes
from fleetdeploy.planning.host import plan_host

HASHES = {letter: letter * 64 for letter in "abc"}
FILES = st.dictionaries(
    st.sampled_from(["saved_model.pb", "variables/a", "variables/b", "assets/two words.txt", "fingerprint.pb"]),
    st.tuples(st.sampled_from(sorted(HASHES)), st.integers(0, 99)),
    max_size=5,
)


def manifest(files: dict[str, tuple[str, int]]) -> Manifest:
    return Manifest(tuple(ManifestFile(path, size, HASHES[kind]) for path, (kind, size) in sorted(files.items())))


@settings(deadline=None)
@given(old=FILES, new=FILES)
def test_every_file_is_in_one_place(old: dict[str, tuple[str, int]], new: dict[str, tuple[str, int]]) -> None:
    """Added, changed, removed and the same are what the two sets of files say, with their sizes."""
    found = file_changes(manifest(new), on_disk(ModelVersion(1, Path(), manifest(old))))
    paths = {kind: {change.path: change.size_bytes for change in found.of(kind)} for kind in FileKind}
    both = old.keys() & new.keys()
    same = {path for path in both if old[path][0] == new[path][0]}
    assert paths[FileKind.ADDED] == {path: new[path][1] for path in new.keys() - old.keys()}
    assert paths[FileKind.CHANGED] == {path: new[path][1] for path in both - same}
    # A version without any file has no manifest to hold anything against.
    assert paths[FileKind.REMOVED] == {path: old[path][1] for path in old.keys() - new.keys()}
    assert (found.same_count, found.same_bytes) == (len(same), sum(new[path][1] for path in same))
    assert [change.path for change in found.changes] == sorted(change.path for change in found.changes)
    assert found.against == 1


def staged(*, served: int | None, known: tuple[int, ...], without_manifest: tuple[int, ...] = ()) -> StageItem:
    """What version 9 is held against on a host with the versions ``known``."""
    service = desired(9)
    seen = settled_host(desired(*known)).services["ranking"]
    assert isinstance(seen.versions, Present)
    there = {number: on_disk(version("ranker", number)) for number in known}
    there |= {number: replace(there[number], manifest_text="", manifest_digest="") for number in without_manifest}
    states = () if served is None else (VersionState(served, State.AVAILABLE), VersionState(1, State.END))
    seen = replace(seen, versions=Present({"ranker": there}), served={"ranker": Present(states)})
    host = replace(settled_host(desired(*known)), services={"ranking": seen})
    (item,) = plan_host(sim_host("gpu1"), [service], host, stamp="T1").services[0].stage
    return item


def test_it_is_held_against_what_is_served() -> None:
    """The newest served version, else the newest on the host; what has no manifest is passed over."""
    assert staged(served=2, known=(1, 2, 3)).files.against == 2
    assert staged(served=None, known=(1, 2, 3)).files.against == 3
    assert staged(served=None, known=(1, 2, 3), without_manifest=(3,)).files.against == 2
    assert staged(served=3, known=(1, 2, 3), without_manifest=(3,)).files.against == 2
    first = staged(served=None, known=(1,), without_manifest=(1,)).files
    assert first.against is None
    assert {change.kind for change in first.changes} == {FileKind.ADDED}
