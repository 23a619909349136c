"""Section 3.3 of the contract: the scan of base paths."""

import itertools
import shutil
from collections.abc import Callable

import pytest
from contract_server import AVAILABLE, END, FAST_RETRIES, ModelServer, ModelStore, Start, model_list, wait_for

Scans = Callable[[ModelServer], None]


@pytest.fixture
def clock(models: ModelStore) -> Scans:
    """Wait for two scans: a model called `clock` is served, and two new versions of it come to serve."""
    models.place("clock", 1)
    numbers = itertools.count(2)

    def wait(server: ModelServer) -> None:
        for number in itertools.islice(numbers, 2):
            models.place("clock", number, from_version=1)
            wait_for(lambda: server.states("clock").get(number) == AVAILABLE, "a scan")  # noqa: B023

    return wait


@pytest.fixture(scope="module")
def found(module_start: Start, module_models: ModelStore) -> list[int]:
    """Versions found under a base path with all kinds of names."""
    names = ["00000123", "+5", " 6", "-4", "0", "9223372036854775807"]
    ignored = ["2.tmp", ".3", "tmp-4", "1e3", "0x10", "7.0", "9223372036854775808", "1_000", "٣", "8 x"]
    for name in (*names, *ignored):
        module_models.place("m", 1).rename(module_models.root / "m" / name)
    elsewhere = module_models.place("elsewhere", 1)
    (module_models.root / "m" / "55").symlink_to(elsewhere)
    config = module_models.config("m", extra="model_version_policy { all { } }")
    server = module_start(config=model_list(config)).ready()
    wait_for(lambda: list(server.states("m").values()) == [AVAILABLE] * (len(names) + 1), "all versions to serve")
    return list(server.states("m"))


@pytest.mark.parametrize("version", [123, 5, 6, -4, 0, 2**63 - 1, 55])
def test_whole_names_that_are_numbers_are_versions(found: list[int], version: int) -> None:
    """Zeros, a sign or a space before the number, the whole range of int64, and symbolic links count."""
    assert version in found


def test_other_names_are_ignored(found: list[int]) -> None:
    """Names that are not entirely a 64-bit decimal number are no versions, so that they are safe for staging."""
    assert len(found) == 7


def test_file_with_a_number_counts(start: Start, models: ModelStore) -> None:
    """A file named by a number is a version, and fails to load."""
    models.place("affine", 1)
    server = start(*FAST_RETRIES, "--model_name=affine", f"--model_base_path={models.root / 'affine'}").ready()
    (models.root / "affine" / "2").write_text("no directory")
    wait_for(lambda: server.states("affine") == {2: END, 1: AVAILABLE}, "the file to fail")


def test_two_names_for_one_number(start: Start, models: ModelStore) -> None:
    """Of two names for one number the one that sorts last is loaded, with a warning."""
    models.place("affine", 1).rename(models.root / "affine" / "007")
    models.place("affine", 7, from_version=2)
    server = start("--model_name=affine", f"--model_base_path={models.root / 'affine'}").ready()
    assert server.states("affine") == {7: AVAILABLE}
    assert server.y(x=2.0) == 12.0
    assert "Version 7 will be loaded from 7, 007 will be ignored" in server.log


def test_specific_version_by_another_name(start: Start, models: ModelStore) -> None:
    """A specific version is found under its plain number first, and else under another name for it."""
    models.place("affine", 1).rename(models.root / "affine" / "0007")
    models.place("plain", 1).rename(models.root / "plain" / "0007")
    models.place("plain", 7, from_version=2)
    server = start(config=model_list(models.config("affine", 7), models.config("plain", 7))).ready()
    assert server.states("affine") == server.states("plain") == {7: AVAILABLE}
    assert (server.y("affine", x=2.0), server.y("plain", x=2.0)) == (3.0, 12.0)
    assert "Duplicate version directories" not in server.log


def test_new_version_is_found(start: Start, models: ModelStore) -> None:
    """A new number in the base path loads by itself; the old version is unloaded afterwards and kept in the status."""
    models.place("affine", 1)
    server = start("--model_name=affine", f"--model_base_path={models.root / 'affine'}").ready()
    models.place("affine", 2)
    wait_for(lambda: server.states("affine") == {2: AVAILABLE, 1: END}, "the new version alone")
    assert server.y(x=2.0) == 12.0


def test_lower_number_is_not_served(start: Start, models: ModelStore, clock: Scans) -> None:
    """A new number below the one that serves is left alone."""
    models.place("affine", 2)
    server = start(config=model_list(models.config("affine"), models.config("clock"))).ready()
    models.place("affine", 1)
    clock(server)
    assert server.states("affine") == {2: AVAILABLE}


def test_one_missing_base_path_stops_the_scan_for_all(start: Start, models: ModelStore) -> None:
    """While the base path of one model is missing no new version of any other is loaded, and what serves, serves on."""
    models.place("affine", 1)
    models.place("other", 1)
    server = start(config=model_list(models.config("affine"), models.config("other"))).ready()
    away = models.root / "away"
    (models.root / "other").rename(away)
    wait_for(lambda: "Could not find base path" in server.log, "a scan without the base path")
    models.place("affine", 2)
    seen = server.log.count("Could not find base path")
    wait_for(lambda: server.log.count("Could not find base path") > seen + 2, "more scans")
    assert server.states("affine") == {1: AVAILABLE}
    assert server.y("other") == 3.0
    away.rename(models.root / "other")
    wait_for(lambda: server.states("affine") == {2: AVAILABLE, 1: END}, "the scan to go on")


def test_base_path_without_versions_unloads_all(start: Start, models: ModelStore, clock: Scans) -> None:
    """A base path that is there but has no versions left unloads the model; others are not touched."""
    models.place("affine", 1)
    server = start(config=model_list(models.config("affine"), models.config("clock"))).ready()
    (models.root / "affine" / "1").rename(models.root / "affine" / "gone")
    wait_for(lambda: server.states("affine") == {1: END}, "the version to be unloaded")
    clock(server)


def test_removed_directory_falls_back_to_the_next_lower(start: Start, models: ModelStore) -> None:
    """When the directory of the latest version goes, the next lower number is loaded in its place."""
    models.place("affine", 1)
    models.place("affine", 2)
    server = start("--model_name=affine", f"--model_base_path={models.root / 'affine'}").ready()
    assert server.states("affine") == {2: AVAILABLE}
    (models.root / "affine" / "2").rename(models.root / "affine" / "2.gone")
    wait_for(lambda: server.states("affine") == {2: END, 1: AVAILABLE}, "version 1 in its place")
    assert server.y(x=2.0) == 3.0


def test_changed_files_are_read_after_a_reload_only(start: Start, models: ModelStore, clock: Scans) -> None:
    """Other files in the directory of a loaded version change nothing until it is unloaded and loaded again."""
    path = models.place("affine", 1)
    config = model_list(models.config("affine"), models.config("clock"))
    server = start(config=config).ready()
    shutil.copytree(models.exported / "affine" / "3", path, dirs_exist_ok=True)
    clock(server)
    assert server.y(x=2.0) == 3.0
    server.reload(model_list(models.config("clock")))
    wait_for(lambda: server.states("affine") == {1: END}, "the unload")
    server.reload(config)
    assert server.y(x=2.0) == 104.0
