"""Section 3.2 of the contract: polling of the config file."""

import time

import pytest
from contract_server import AVAILABLE, END, ModelStore, Start, model_list, refused, wait_for

_APPLIED = "Finished adding/updating models"


def test_unchanged_file_is_applied_again_and_again(start: Start, models: ModelStore) -> None:
    """The file is applied at every poll, changed or not."""
    models.place("affine", 1)
    server = start("--model_config_file_poll_wait_seconds=1", config=model_list(models.config("affine"))).ready()
    wait_for(lambda: server.log.count("Adding/updating models.") > 3, "several polls")
    assert server.log.count("Loading servable version") == 1


def test_polling_undoes_a_reload(start: Start, models: ModelStore) -> None:
    """What a reload changed is undone by the next poll (from source)."""
    models.place("affine", 1)
    models.place("other", 1)
    server = start("--model_config_file_poll_wait_seconds=1", config=model_list(models.config("affine"))).ready()
    server.reload(model_list(models.config("affine"), models.config("other")))
    wait_for(lambda: server.states("other") == {1: END}, "the file to win over the reload")
    assert server.states("affine") == {1: AVAILABLE}


def test_first_poll_comes_right_after_start(start: Start, models: ModelStore) -> None:
    """However long the interval, the file is read once more right after the start, and then not again."""
    models.place("affine", 1)
    server = start("--model_config_file_poll_wait_seconds=600", config=model_list(models.config("affine"))).ready()
    wait_for(lambda: server.log.count(_APPLIED) == 2, "the first poll")
    time.sleep(1.2)
    assert server.log.count(_APPLIED) == 2


@pytest.mark.parametrize("how", ["rename", "symbolic link"])
def test_replaced_file_is_seen(start: Start, models: ModelStore, how: str) -> None:
    """The file is opened anew at each poll, so that a rename over it, or a link to another file, is seen."""
    models.place("affine", 1)
    models.place("other", 1)
    directory = models.root / "config"
    directory.mkdir()
    (directory / "old").write_text(model_list(models.config("affine")))
    (directory / "new").write_text(model_list(models.config("affine"), models.config("other")))
    path = directory / "models.config"
    if how == "rename":
        (directory / "old").rename(path)
    else:
        path.symlink_to("old")
    server = start(f"--model_config_file={path}", "--model_config_file_poll_wait_seconds=1").ready()
    if how == "rename":
        (directory / "new").rename(path)
    else:
        (directory / "link").symlink_to("new")
        (directory / "link").rename(path)
    wait_for(lambda: server.states("other") == {1: AVAILABLE}, "the model that the new file adds")


def test_stuck_reload_stops_polling(start: Start, models: ModelStore) -> None:
    """While a reload waits for ever no poll is applied."""
    models.place("affine", 1)
    server = start("--model_config_file_poll_wait_seconds=1", config=model_list(models.config("affine"))).ready()
    with refused("DEADLINE_EXCEEDED"):
        server.reload(model_list(models.config("affine"), models.config("absent")), timeout_s=2)
    applied = server.log.count(_APPLIED)
    time.sleep(2.5)  # two polls and more
    assert server.log.count(_APPLIED) == applied
    assert server.y(x=2.0) == 3.0
    models.place("absent", 1)
    wait_for(lambda: server.states("absent") == {1: END}, "the reload to end, and a poll to undo it")


def test_polled_model_that_is_absent_stops_polling(start: Start, models: ModelStore) -> None:
    """A polled file with a model that never appears is waited for, and what the file says later is not seen."""
    models.place("affine", 1)
    path = models.root / "polled.config"
    path.write_text(model_list(models.config("affine")))
    server = start(f"--model_config_file={path}", "--model_config_file_poll_wait_seconds=1").ready()
    path.write_text(model_list(models.config("affine"), models.config("absent")))
    wait_for(lambda: "(Re-)adding model: absent" in server.log, "the poll that begins to wait")
    path.write_text("nonsense")
    time.sleep(2.5)  # two polls and more
    assert "Failed to read ModelServerConfig file" not in server.log
    assert server.y(x=2.0) == 3.0
