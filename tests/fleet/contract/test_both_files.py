"""A service's directory: each case on a simulated host and on one of the lab."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from fleetdeploy.domain.observed import Absent, Present, ProvenRelease, VersionOnDisk
from fleetdeploy.domain.protocols import ServiceFiles
from fleetdeploy.domain.service import ServiceWish
from fleetdeploy.errors import RemoteCommandFailed, TransferFailed, Unreachable
from tests.fleet.contract.places import Place, release

TEXTS = {"empty": "", "no newline at its end": "a", "blank lines": "\n\na\n\n", "other letters": "# größe — 数\n"}


def on_disk(place: Place, wish: ServiceWish) -> dict[str, dict[int, VersionOnDisk]]:
    found = place.seen(wish).versions
    assert isinstance(found, Present)
    return {model: dict(versions) for model, versions in found.value.items()}


def entry(place: Place, number: int) -> VersionOnDisk:
    manifest = place.version(number).manifest
    sizes = {file.path: file.size_bytes for file in manifest.files}
    return VersionOnDisk(number, manifest.digest, sizes, manifest.as_sha256sum())


def test_where_nothing_was_done_everything_is_absent(place: Place) -> None:
    """A service that nobody deployed has nothing, by the host's word, and reading it makes nothing. To read a
    configuration where there is not even a directory is an error: that is no place to conclude anything from.
    """
    wish = place.wish()
    files = place.session.files(wish)
    with pytest.raises(RemoteCommandFailed):
        files.read_config()
    assert files.read_release("r1-00ff") is None
    seen = place.seen(wish)
    assert (seen.config_text, seen.release, seen.versions, seen.history, seen.drained_by) == (Absent(),) * 5
    assert (seen.container, seen.previous, seen.lease, seen.watch) == (Absent(),) * 4
    assert (seen.staging, seen.history_damaged) == ((), 0)
    assert isinstance(seen.disk, Present)


def test_the_first_change_makes_the_directory(place: Place) -> None:
    """From then on it has no versions, and what was not written is absent still."""
    wish = place.wish()
    files = place.session.files(wish)
    files.mark_drained("run-1")
    seen = place.seen(wish)
    assert (seen.versions, seen.drained_by, files.read_config()) == (Present({}), Present("run-1"), None)
    assert (seen.config_text, seen.release, seen.history) == (Absent(),) * 3


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_configuration_is_read_as_it_was_written(place: Place, text: str) -> None:
    """Byte for byte, by a look and by itself; the next one takes its place."""
    wish = place.wish()
    files = place.session.files(wish)
    for each in ("before\n", text):
        files.write_config(each)
    assert (files.read_config(), place.seen(wish).config_text) == (text, Present(text))


def test_staged_versions_are_on_disk(place: Place) -> None:
    """A look shows each with its manifest and sizes, linked files too; staged again it is the same."""
    wish = place.wish()
    files = place.session.files(wish)
    files.stage(place.item(1))
    files.stage(place.item(2, link_from=1))
    files.stage(place.item(2, link_from=1))
    assert on_disk(place, wish) == {"ranker": {1: entry(place, 1), 2: entry(place, 2)}}
    assert place.seen(wish).staging == ()


def test_a_number_with_other_content_is_refused(place: Place) -> None:
    """TransferFailed, and what is there under the number stays."""
    wish = place.wish()
    files = place.session.files(wish)
    files.stage(place.item(1))
    with pytest.raises(TransferFailed):
        files.stage(replace(place.item(1), version=place.changed(1)))
    assert on_disk(place, wish) == {"ranker": {1: entry(place, 1)}}


def test_removed_versions_are_gone(place: Place) -> None:
    """Those that are not there, and those of a model that is not there, are no error; the last one takes its model."""
    wish = place.wish()
    files = place.session.files(wish)
    for number in (1, 2):
        files.stage(place.item(number))
    files.remove_versions("ranker", [1, 4])
    assert on_disk(place, wish) == {"ranker": {2: entry(place, 2)}}
    files.remove_versions("ranker", [2])
    files.remove_versions("ranker", [2])
    files.remove_versions("nobody", [1])
    assert on_disk(place, wish) == {}
    assert place.seen(wish).staging == ()
    files.stage(place.item(1))
    assert on_disk(place, wish) == {"ranker": {1: entry(place, 1)}}


def test_a_release_is_recorded(place: Place) -> None:
    """The record is the current one, reads as it was written, and stands in the history."""
    wish = place.wish()
    files, record = place.session.files(wish), release("r1", wish, text="text\n", spec=place.spec(wish))
    files.write_release(record)
    seen = place.seen(wish)
    assert (seen.release, files.read_release(record.id)) == (Present(record), record)
    assert seen.history == Present((ProvenRelease(record.id, record.models),))


def test_a_history_tells_what_was_proven_when(place: Place) -> None:
    """Oldest first; the same one right after itself is one line, and after another one it is a new line."""
    wish = place.wish()
    files = place.session.files(wish)
    one, two = release("r1", wish), replace(release("r2", wish), took_back="aabb", models={"ranker": (1, 2), "b": ()})
    for each in (one, one, two, one):
        files.write_release(each)
    lines = [ProvenRelease(each.id, each.models, each.took_back) for each in (one, two, one)]
    seen = place.seen(wish)
    assert (seen.history, seen.release) == (Present(tuple(lines)), Present(one))


def test_a_history_keeps_fifty_lines(place: Place) -> None:
    """Of what was proven again the oldest ones go, but the first."""
    wish = place.wish()
    files = place.session.files(wish)
    place.fill_history(wish, 50)
    files.write_release(release("r51", wish))
    history = place.seen(wish).history
    assert isinstance(history, Present)
    assert [line.id for line in history.value] == [f"r{number}-00ff" for number in (1, *range(3, 52))]


def test_records_are_forgotten_but_the_current_one(place: Place) -> None:
    """The current one stays, whatever is asked for; one that is not there is no error; the history stays."""
    wish = place.wish()
    files = place.session.files(wish)
    one, two = release("r1", wish), release("r2", wish)
    files.write_release(one)
    files.write_release(two)
    files.forget_releases([one.id, two.id, "nobody-00ff"])
    files.forget_releases([one.id])
    files.forget_releases([])
    assert (files.read_release(one.id), files.read_release(two.id)) == (None, two)
    seen = place.seen(wish)
    assert seen.release == Present(two)
    assert isinstance(seen.history, Present)
    assert len(seen.history.value) == 2


def test_what_was_left_again_counts_as_never_proven(place: Place) -> None:
    """Line and record of what was left go, for the release that is back and for none; others stay."""
    wish = place.wish()
    files = place.session.files(wish)
    one, two = release("r1", wish), release("r2", wish)
    files.write_release(one)
    files.write_release(two)
    files.write_release(one, left=two.id)
    seen = place.seen(wish)
    assert (seen.release, files.read_release(one.id), files.read_release(two.id)) == (Present(one), one, None)
    assert seen.history == Present((ProvenRelease(one.id, one.models),))
    files.write_release(two)
    files.forget_release(left=two.id)
    seen = place.seen(wish)
    assert (seen.release, files.read_release(one.id), files.read_release(two.id)) == (Absent(), one, None)
    assert seen.history == Present((ProvenRelease(one.id, one.models),))


def test_back_to_nothing_no_release_is_current(place: Place) -> None:
    """Its record and the history stay, also when it is said twice; then the record can be forgotten."""
    wish = place.wish()
    files, record = place.session.files(wish), release("r1", wish)
    files.forget_release()
    files.write_release(record)
    for _ in range(2):
        files.forget_release()
    seen = place.seen(wish)
    assert (seen.release, files.read_release(record.id)) == (Absent(), record)
    assert seen.history == Present((ProvenRelease(record.id, record.models),))
    files.forget_releases([record.id])
    assert files.read_release(record.id) is None


def test_a_drain_is_marked_with_its_run(place: Place) -> None:
    """The last run's mark counts; without one there is nothing to clear, and no error."""
    wish = place.wish()
    files = place.session.files(wish)
    files.clear_drained()
    for run in ("run-1", "run-2"):
        files.mark_drained(run)
    assert place.seen(wish).drained_by == Present("run-2")
    files.clear_drained()
    assert place.seen(wish).drained_by == Absent()


def test_a_sweep_leaves_what_is_worth_going_on_with(place: Place) -> None:
    """Versions half removed and copies of versions in place go; a copy of a version not in place stays."""
    wish = place.wish()
    files = place.session.files(wish)
    files.sweep_staging()
    files.stage(place.item(1))
    digest = "0123456789ab"
    place.leave_in_staging(wish, "removed-ranker-2-77", "odd", f"ranker-1-{digest}", f"ranker-2-{digest}")
    assert len(place.seen(wish).staging) == 4
    for _ in range(2):
        files.sweep_staging()
        assert place.seen(wish).staging == (f"ranker-2-{digest}",)


def test_after_a_lost_answer_each_change_may_be_made_again(place: Place) -> None:
    """It is there although nobody heard so, and made once more it changes nothing further."""
    wish = place.wish()
    files = place.session.files(wish)
    for record in ("r0", "r1"):
        files.write_release(release(record, wish))
    files.mark_drained("run-1")
    files.stage(place.item(1))

    def seen(name: str = "") -> object:
        record = files.read_release("r0-00ff") if name == "forget_releases" else None
        return replace(place.seen(wish), disk=Absent()), record is None

    changes: dict[str, Callable[[ServiceFiles], None]] = {
        "write_config": lambda files: files.write_config("after"),
        "write_release": lambda files: files.write_release(release("r2", wish)),
        "forget_release": lambda files: files.forget_release(),
        "mark_drained": lambda files: files.mark_drained("run-2"),
        "clear_drained": lambda files: files.clear_drained(),
        "remove_versions": lambda files: files.remove_versions("ranker", [1]),
        "forget_releases": lambda files: files.forget_releases(["r0-00ff"]),
    }
    before = seen()
    for name, change in changes.items():
        lossy = place.losing_answers().files(wish)
        with pytest.raises(Unreachable):
            change(lossy)
        after = seen(name)
        assert after != before or name == "forget_releases", name
        change(lossy)
        before = seen(name)
        assert before == after, name
    assert files.read_release("r0-00ff") is None
