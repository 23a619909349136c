"""The model server: each case on a simulated host and on one of the lab, whose server is the stand-in with real models.

Errors of versions are held against each other by their codes.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from fleetdeploy.domain.measured import ServerLoad
from fleetdeploy.domain.observed import Present
from fleetdeploy.domain.service import LABEL_SERVICE
from fleetdeploy.errors import DeadlineExceeded, HostError, InputError, NotHealthy, ReloadRefused
from fleetdeploy.planning.container import REST_PORT
from tests.fleet.contract.places import Place, Server, config

AVAILABLE, END = "AVAILABLE", "END"
REFUSED = {
    "a model twice": "".join(
        f'config {{ name: "ranker" base_path: "/models/{at}" model_platform: "tensorflow" }} ' for at in "ab"
    ),
    "a relative path": 'config { name: "ranker" base_path: "models/ranker" model_platform: "tensorflow" }',
    "another platform": 'config { name: "ranker" base_path: "/models/ranker" model_platform: "other" }',
}


def test_where_nothing_listens_nobody_is_healthy(place: Place) -> None:
    """Every question to a port on which nothing listens is NotHealthy."""
    client = place.session.serving("127.0.0.1", 9)
    for refused in (
        lambda: client.status("ranker", deadline_s=5),
        lambda: client.reload(config(1), deadline_s=5),
        lambda: client.label("ranker", "stable", deadline_s=5),
        lambda: client.predict("ranker", place.golden(1), version=1, deadline_s=5),
    ):
        with pytest.raises(NotHealthy):
            refused()


def test_a_look_shows_what_is_served(place: Place, server: Server) -> None:
    """The same as the server itself says; a model that it does not know is known to have no versions."""
    seen = place.seen(server.wish)
    assert seen.served == {"ranker": Present(server.states()), "other": Present(())}
    assert server.states("other") == ()
    listening = place.session.observe([]).listening
    assert isinstance(listening, Present)
    assert {8500, 8501} <= set(listening.value)


def test_the_next_version_takes_over(server: Server) -> None:
    """The one before leaves memory and stays known; taken back it is loaded anew."""
    server.reload(config(2))
    server.await_shown(v2=AVAILABLE, v1=END)
    assert [entry.number for entry in server.states()] == [2, 1]
    assert server.answers(2)
    server.reload(config(1))
    server.await_shown(v1=AVAILABLE, v2=END)
    assert server.answers(1)


def test_two_versions_serve_side_by_side(server: Server) -> None:
    """Each answers as itself."""
    server.reload(config(1, 2))
    server.await_shown(v1=AVAILABLE, v2=AVAILABLE)
    assert (server.answers(1), server.answers(2)) == (True, True)


def test_available_does_not_mean_that_it_answers(server: Server) -> None:
    """A version without variables is AVAILABLE, and NotHealthy when it is asked."""
    server.reload(config(1, 3))
    server.await_shown(v1=AVAILABLE, v3=AVAILABLE)
    with pytest.raises(NotHealthy, match="FAILED_PRECONDITION"):
        server.answers(3)


def test_what_is_not_served_does_not_answer(place: Place, server: Server) -> None:
    """A version that was never loaded, one that was unloaded, and a model that nobody knows are not found."""
    server.reload(config(2))
    server.await_shown(v2=AVAILABLE, v1=END)
    request = replace(place.golden(2), dtypes={"x": "float32"})
    for model, number in (("ranker", 1), ("ranker", 7), ("nobody", 1)):
        with pytest.raises(NotHealthy, match="NOT_FOUND"):
            server.client.predict(model, request, version=number, deadline_s=20)


def test_what_cannot_be_loaded_is_burnt(server: Server) -> None:
    """The reload is OK, the version ends in an error, the one before stays; asked for again it is not tried again."""
    server.reload(config(5))
    server.await_shown(v5="END NOT_FOUND", v1=AVAILABLE)
    server.reload(config(1))
    server.await_shown(v5="END NOT_FOUND", v1=AVAILABLE)
    server.reload(config(1, 5))
    server.await_shown(v5="END NOT_FOUND", v1=AVAILABLE)


def test_a_version_that_is_not_on_disk_is_not_there(server: Server) -> None:
    """The reload is OK and the server does not know the number; where nothing else is listed it serves nothing more."""
    server.reload(config(1, 7))
    server.await_shown(v1=AVAILABLE)
    server.reload(config(7))
    server.await_shown(v1=END)
    assert 7 not in server.shown()


def test_the_disk_is_looked_at_again_and_again(place: Place) -> None:
    """A version that is listed and was missing is found by itself; one whose directory goes leaves memory."""
    with place.serving(config(1, 2), 1) as server:
        server.await_shown(v1=AVAILABLE)
        place.session.files(server.wish).stage(place.item(2, link_from=1))
        server.await_shown(v1=AVAILABLE, v2=AVAILABLE)
        place.session.files(server.wish).remove_versions("ranker", [1])
        server.await_shown(v1=END, v2=AVAILABLE)
        place.session.files(server.wish).remove_versions("ranker", [2])
        server.await_shown(v1=END, v2=END)


def test_a_new_model_that_is_not_on_disk_blocks_every_reload(place: Place) -> None:
    """The reload ends with its deadline and not before, and so does each one after it; what serves goes on."""
    with place.serving(config(1), 1, 2) as server:
        server.await_shown(v1=AVAILABLE)
        with pytest.raises(DeadlineExceeded):
            server.reload(config(1, other=(1,)), deadline_s=1)
        with pytest.raises(DeadlineExceeded):
            server.reload(config(2), deadline_s=1)
        assert server.answers(1)
        assert server.states("other") == ()


def test_a_dropped_model_is_known_no_more_to_serve(server: Server) -> None:
    """An empty list takes every version out of memory; what was there is shown as ended."""
    server.reload(config())
    server.await_shown(v1=END)
    with pytest.raises(NotHealthy):
        server.client.predict("ranker", server.place.golden(1), version=1, deadline_s=20)


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_a_refused_list_changes_nothing_that_serves(server: Server, text: str) -> None:
    """ReloadRefused, and the versions of before serve on."""
    with pytest.raises(ReloadRefused):
        server.reload(f"model_config_list {{ {text} }}")
    assert server.available() == {1}
    assert server.answers(1)


def test_what_is_no_configuration_is_never_sent(server: Server) -> None:
    """InputError: no server has to judge it."""
    with pytest.raises(InputError):
        server.reload("model_config_list { nonsense")


def test_a_label_names_a_version(server: Server) -> None:
    """A label may be set on what is AVAILABLE, moves with the next reload, and is nobody's after one without it."""

    def label() -> int | None:
        return server.client.label("ranker", "stable", deadline_s=5)

    assert label() is None
    assert server.client.label("nobody", "stable", deadline_s=5) is None
    server.reload(config(1, 2, labels={"stable": 1}))
    server.await_shown(v1=AVAILABLE, v2=AVAILABLE)
    assert label() == 1
    server.reload(config(1, 2, labels={"stable": 2}))
    assert label() == 2
    server.reload(config(1, 2))
    assert label() is None


def test_a_label_that_is_in_use_moves_only_to_what_is_available(server: Server) -> None:
    """ReloadRefused with FAILED_PRECONDITION; versions and label stay as they are."""
    server.reload(config(1, labels={"stable": 1}))
    with pytest.raises(ReloadRefused, match="FAILED_PRECONDITION"):
        server.reload(config(1, 2, labels={"stable": 2}))
    assert server.client.label("ranker", "stable", deadline_s=5) == 1
    assert server.available() == {1}


def test_a_new_label_may_name_what_is_not_loaded_yet(server: Server) -> None:
    """With our flags the reload is OK, and requests with the label are NotHealthy until the version is AVAILABLE."""
    server.reload(config(1, 7, labels={"next": 7}))
    with pytest.raises(NotHealthy):
        server.client.label("ranker", "next", deadline_s=5)
    server.reload(config(1))
    server.reload(config(1, 2, labels={"next": 2}))
    server.await_shown(v1=AVAILABLE, v2=AVAILABLE)
    assert server.client.label("ranker", "next", deadline_s=5) == 2


def test_a_new_process_reads_its_file(place: Place, server: Server) -> None:
    """What was reloaded and not written is forgotten, and so are versions that have ended."""
    server.write(config(1))
    server.reload(config(2))
    server.await_shown(v2=AVAILABLE, v1=END)
    place.session.containers().stop(server.spec.name, grace_s=1)
    assert server.states() == ()
    place.session.containers().start(server.spec.name)
    server.await_shown(v1=AVAILABLE)
    assert 2 not in server.shown()


def test_a_file_with_labels_starts(place: Place, server: Server) -> None:
    """With our flags a server starts from a file whose labels name what is not loaded at that moment."""
    server.write(config(1, 2, labels={"stable": 2}))
    place.session.containers().stop(server.spec.name, grace_s=1)
    place.session.containers().start(server.spec.name)
    server.await_shown(v1=AVAILABLE, v2=AVAILABLE)
    assert server.client.label("ranker", "stable", deadline_s=5) == 2


def test_a_server_with_metrics_counts_what_it_answers(place: Place) -> None:
    """Answers and its own errors, never looks at it nor a client's mistakes; a new process counts from nothing."""
    with place.serving(config(1, 3), 1, 3, metrics=True) as server:
        server.await_shown(v1=AVAILABLE, v3=AVAILABLE)
        place.seen(server.wish)
        server.client.label("ranker", "stable", deadline_s=5)
        assert counted(server) == ServerLoad()
        assert server.answers(1)
        assert server.answers(1)
        for version in (3, 9):
            with pytest.raises(NotHealthy):
                server.client.predict("ranker", place.golden(1), version=version, deadline_s=20)
        place.seen(server.wish)
        told = counted(server)
        assert (told.answered, told.errors) == (2, 1)
        assert told.spent_s > 0
        assert told.rough_s > 0
        place.session.containers().stop(server.spec.name, grace_s=1)
        with pytest.raises(HostError):
            counted(server)
        place.session.containers().start(server.spec.name)
        server.await_shown(v1=AVAILABLE, v3=AVAILABLE)
        assert counted(server) == ServerLoad()


def test_a_server_without_metrics_does_not_count_for_anybody(server: Server) -> None:
    """NotHealthy, as its page is not there."""
    with pytest.raises(NotHealthy, match="404"):
        counted(server)


def test_a_server_whose_monitoring_file_is_not_there_does_not_start(place: Place) -> None:
    """The flag alone is not enough: its process ends."""
    wish = replace(place.wish(), metrics=True)
    place.session.files(wish).stage(place.item(1))
    place.session.files(wish).write_config(config(1))
    spec, containers = place.spec(wish), place.session.containers()
    containers.create_and_start(spec, {LABEL_SERVICE: wish.name})
    try:

        def ended() -> bool:
            found = containers.inspect(spec.name)
            return found is not None and found.restart_count > 0

        place.until(ended, "the server ends")
    finally:
        containers.remove(spec.name)


def counted(server: Server) -> ServerLoad:
    return server.place.session.counted(*server.spec.ports[REST_PORT], deadline_s=20)
