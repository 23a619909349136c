"""What a model server would do, step by step: from its configuration, its states and the new configuration."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetdeploy.domain.observed import Absent, Present, Reading, State, Unknown, VersionState
from fleetdeploy.domain.plan import Activation
from fleetdeploy.domain.server_changes import BurntVersion, LabelMove, ModelPhase, PhaseKind, ServerChanges, ServerPhase
from fleetdeploy.errors import InputError
from fleetdeploy.tfserving import model_config, simulation, stubs

Models = Mapping[str, tuple[tuple[int, ...], Mapping[str, int]]]
Seen = Reading[tuple[VersionState, ...]]
LATEST = 'model_config_list { config { name: "m" base_path: "/models/m" model_platform: "tensorflow" EXTRA } }'


def text_of(models: Models, *, base: str = "/models") -> str:
    config = stubs.model_server_config_pb2.ModelServerConfig()
    config.model_config_list.SetInParent()
    for name, (versions, labels) in models.items():
        entry = config.model_config_list.config.add(name=name, base_path=f"{base}/{name}", model_platform="tensorflow")
        entry.model_version_policy.specific.versions.extend(versions)
        entry.version_labels.update(labels)
    return model_config.to_text(config)


def m(*versions: int, **labels: int) -> str:
    """The configuration of one model ``m``."""
    return text_of({"m": (versions, labels)})


def seen(**states: str) -> Present[tuple[VersionState, ...]]:
    """``v1="AVAILABLE", v2="END NOT_FOUND: no"``."""
    pairs = ((int(name[1:]), *text.partition(" ")) for name, text in states.items())
    return Present(tuple(VersionState(number, State(state), error) for number, state, _, error in pairs))


def told(
    before: str,
    after: str,
    served: Mapping[str, Seen],
    *,
    activation: Activation = Activation.RELOAD,
    golden: Mapping[str, tuple[int, ...]] | None = None,
) -> ServerChanges:
    return simulation.simulate(activation, before=before, after=after, served=served, golden=golden or {})


def phases(before: str, after: str, **states: str) -> list[tuple[ModelPhase, ...]]:
    """What a reload does to ``m``, phase by phase."""
    return [phase.models for phase in told(before, after, {"m": seen(**states)}).phases]


def test_a_new_version_is_loaded_beside_the_old_one_and_the_label_follows() -> None:
    """Phase 1 loads and proves, phase 2 moves the label and unloads."""
    found = told(m(1, stable=1), m(2, stable=2), {"m": seen(v1="AVAILABLE")}, golden={"m": (2,), "other": (1,)})
    move = LabelMove("m", "stable", 1, 2)
    assert found.phases == (
        ServerPhase(PhaseKind.TOGETHER, (ModelPhase("m", loads=(2,), beside=(1,)),), {"m": (2,)}),
        ServerPhase(PhaseKind.FINAL, (ModelPhase("m", unloads=(1,), labels=(move,)),)),
    )
    assert found.hindrances == simulation.hindrances(m(1), m(2), {}) == type(found.hindrances)()


def test_labels_come_and_go_in_the_second_phase() -> None:
    """A label that is new comes from nothing, one that is left out goes to nothing, one that stays is not told."""
    first, second = phases(m(1, 2, stable=1, old=1), m(1, 2, stable=1, canary=2), v1="AVAILABLE", v2="AVAILABLE")
    assert first == ()
    assert second == (ModelPhase("m", labels=(LabelMove("m", "canary", None, 2), LabelMove("m", "old", 1, None))),)


def test_a_version_more_takes_one_phase() -> None:
    """Where nothing leaves and no label moves, old and new together are already what is wanted."""
    assert phases(m(1), m(1, 2), v1="AVAILABLE") == [(ModelPhase("m", loads=(2,), beside=(1,)),)]


@pytest.mark.parametrize(
    ("states", "step"),
    [
        ({"v1": "LOADING"}, ModelPhase("m", waits=(1,))),
        ({"v1": "START"}, ModelPhase("m", waits=(1,))),
        ({"v1": "UNLOADING"}, ModelPhase("m", loads=(1,))),
        ({"v1": "END"}, ModelPhase("m", loads=(1,))),
        ({}, ModelPhase("m", loads=(1,))),
        ({"v1": "AVAILABLE", "v2": "AVAILABLE"}, ModelPhase("m", unloads=(2,))),
        ({"v1": "AVAILABLE", "v2": "LOADING"}, ModelPhase("m", unloads=(2,))),
        ({"v2": "AVAILABLE"}, ModelPhase("m", loads=(1,), unloads=(2,))),
    ],
)
def test_the_same_configuration_again(states: dict[str, str], step: ModelPhase) -> None:
    """What is on its way is waited for, what left memory is loaded again, what nobody listed leaves at once."""
    assert phases(m(1), m(1), **states) == [(step,)]


@pytest.mark.parametrize("state", ["AVAILABLE", "UNLOADING", "END", "END NOT_FOUND: no"])
def test_versions_that_nobody_lists_and_that_are_gone_are_no_news(state: str) -> None:
    """END entries stay in the status for ever, and an unload under way is nobody's doing now."""
    expected = [(ModelPhase("m", unloads=(7,)),)] if state == "AVAILABLE" else [()]
    assert phases(m(1), m(1), v1="AVAILABLE", v7=state) == expected


def test_an_old_version_that_is_not_there_comes_back_for_a_moment() -> None:
    """Old and new are listed together, so an old version that left memory is loaded once more; a failed one is not."""
    first, second = phases(m(1, 2), m(3), v1="END", v2="END NOT_FOUND: no")
    assert first == (ModelPhase("m", loads=(1, 3)),)
    assert second == (ModelPhase("m", unloads=(1,)),)


def test_a_model_that_is_no_longer_listed_is_unloaded_last() -> None:
    """Its versions are those of the configuration, as nobody asks the server for it; its labels go too."""
    old = text_of({"m": ((1,), {}), "n": ((3, 4), {"stable": 3})})
    found = told(old, m(1), {"m": seen(v1="AVAILABLE")})
    assert found.removed == ("n",)
    assert [phase.models for phase in found.phases] == [
        (),
        (ModelPhase("n", unloads=(3, 4), labels=(LabelMove("n", "stable", 3, None),), unlisted=True),),
    ]


def test_a_new_model_is_loaded_in_the_first_phase_and_labelled_in_the_second() -> None:
    """A server that never heard of a model has nothing of it."""
    new = text_of({"m": ((1,), {}), "n": ((3,), {"stable": 3})})
    found = told(m(1), new, {"m": seen(v1="AVAILABLE"), "n": Present(())})
    assert [phase.models for phase in found.phases] == [
        (ModelPhase("n", loads=(3,)),),
        (ModelPhase("n", labels=(LabelMove("n", "stable", None, 3),)),),
    ]


def test_a_server_that_does_not_answer_may_be_at_what_it_was_told() -> None:
    """Unknown is not nothing: what the configuration lists is waited for, not loaded, and the reason is kept."""
    found = told(m(1), m(1, 2), {"m": Unknown("timeout")})
    assert found.unread == {"m": "timeout"}
    assert [phase.models for phase in found.phases] == [(ModelPhase("m", loads=(2,), beside=(1,), waits=(1,)),)]
    asked = told(m(1), m(1, 2), {"m": Absent()})
    assert asked.unread == {}
    assert asked.phases == found.phases


def test_a_replacement_ends_everything_and_loads_everything() -> None:
    """Also what stays the same: between the two phases nothing serves."""
    found = told(
        m(1, stable=1),
        m(1, 2, stable=2),
        {"m": seen(v1="AVAILABLE", v7="LOADING", v3="END")},
        activation=Activation.REPLACE,
        golden={"m": (1, 2)},
    )
    assert found.phases == (
        ServerPhase(PhaseKind.STOP, (ModelPhase("m", unloads=(1, 7)),)),
        ServerPhase(
            PhaseKind.START,
            (ModelPhase("m", loads=(1, 2), labels=(LabelMove("m", "stable", 1, 2),)),),
            {"m": (1, 2)},
        ),
    )


def test_a_first_start_loads_what_is_configured() -> None:
    """No process, so nothing ends, nothing is burnt and nothing was unread."""
    found = told("", m(1, stable=1), {"m": Unknown("nothing listens")}, activation=Activation.START)
    assert found == ServerChanges(
        (ServerPhase(PhaseKind.START, (ModelPhase("m", loads=(1,), labels=(LabelMove("m", "stable", None, 1),)),)),)
    )


@pytest.mark.parametrize("activation", [Activation.NOTHING, Activation.VERIFY])
def test_what_is_left_as_it_is_does_nothing(activation: Activation) -> None:
    """Whatever the states are."""
    assert told(m(1), m(1), {"m": seen(v1="LOADING")}, activation=activation) == ServerChanges()


def test_a_failed_number_is_burnt() -> None:
    """A wanted version that ended with an error is not loaded by any reload; one that nobody wants hinders nothing."""
    served = {"m": seen(v1="AVAILABLE", v2="END NOT_FOUND: no")}
    found = told(m(1, 2), m(1, 2), served)
    assert found.hindrances.burnt == (BurntVersion("m", 2, "NOT_FOUND: no"),)
    assert [phase.models for phase in found.phases] == [()]
    assert simulation.hindrances(m(1), m(1, 3), served).burnt == ()
    assert simulation.hindrances("", m(2), served).burnt == found.hindrances.burnt


def test_changes_that_no_reload_makes() -> None:
    """Another base path, and a configuration that nobody here has written."""
    moved = text_of({"m": ((1,), {})}, base="/elsewhere")
    (why,) = simulation.hindrances(moved, m(1), {}).others
    assert "base_path from '/elsewhere/m' to '/models/m'" in why
    for theirs in ("model_config_list {", LATEST.replace("EXTRA", "")):
        assert simulation.hindrances(theirs, m(1), {}).others == (simulation.NOT_OURS,)
    with pytest.raises(InputError):
        told(moved, m(1), {"m": seen(v1="AVAILABLE")})
    assert told(moved, m(1), {}, activation=Activation.REPLACE).hindrances.others == (why,)


def test_labels_of_a_configuration_that_is_not_ours() -> None:
    """They are in force all the same."""
    theirs = LATEST.replace("EXTRA", 'version_labels { key: "stable" value: 1 }')
    _, start = told(theirs, m(2, stable=2), {"m": seen(v1="AVAILABLE")}, activation=Activation.REPLACE).phases
    assert start.models[0].labels == (LabelMove("m", "stable", 1, 2),)


@pytest.mark.parametrize(
    ("before", "after", "states", "postponed"),
    [
        (m(2), m(1, 3), {"v1": "AVAILABLE", "v2": "END NOT_FOUND: no"}, True),
        (m(2), m(1), {"v1": "AVAILABLE", "v2": "END NOT_FOUND: no"}, True),
        (m(2), m(3), {"v1": "AVAILABLE", "v2": "END NOT_FOUND: no"}, False),
        (m(1, 2), m(1, 3), {"v1": "AVAILABLE", "v2": "END NOT_FOUND: no"}, False),
        (m(2), m(1, 3), {"v1": "AVAILABLE", "v2": "LOADING"}, False),
        (m(2, 4), m(1, 3), {"v1": "AVAILABLE", "v2": "END NOT_FOUND: no", "v4": "AVAILABLE"}, False),
        (m(2), m(1), {"v0": "AVAILABLE", "v1": "AVAILABLE", "v2": "END NOT_FOUND: no"}, True),
        (m(2), m(1), {"v1": "AVAILABLE", "v3": "AVAILABLE", "v2": "END NOT_FOUND: no"}, False),
    ],
)
def test_a_version_that_is_only_kept_because_others_failed(
    before: str, after: str, states: dict[str, str], postponed: bool
) -> None:
    """The server puts off every list that names it, so that a reload would wait for ever."""
    found = simulation.hindrances(before, after, {"m": seen(**states)}).others
    expected = "the server keeps version 1 of m only because version 2 failed, and puts off every list that names it"
    assert found == ((expected,) if postponed else ())


LABELLED = st.lists(st.integers(1, 5), min_size=1, max_size=3, unique=True).flatmap(
    lambda numbers: st.tuples(
        st.just(tuple(numbers)), st.dictionaries(st.sampled_from(["stable", "canary"]), st.sampled_from(numbers))
    )
)
MODELS = st.dictionaries(st.sampled_from(["a", "b", "c"]), LABELLED, max_size=3)
STATES = st.dictionaries(st.integers(1, 6), st.sampled_from(list(State)), max_size=4)


@given(old=MODELS, new=MODELS, states=st.dictionaries(st.sampled_from(["a", "b", "c"]), STATES))
def test_what_holds_for_every_reload(old: Models, new: Models, states: Mapping[str, Mapping[int, State]]) -> None:
    """Nothing wanted ever leaves memory, nothing is loaded and labels move in the second phase alone."""
    served: dict[str, Seen] = {
        name: Present(tuple(VersionState(number, state) for number, state in found.items()))
        for name, found in states.items()
    }
    found = told(text_of(old), text_of(new), served)
    first, *rest = found.phases
    assert len(rest) == (model_config.overlap(text_of(old), text_of(new)) != text_of(new))
    for step in first.models:
        listed = {*old.get(step.model, ((),))[0], *new.get(step.model, ((),))[0]}
        assert set(step.loads) <= listed
        assert not listed & set(step.unloads)
        assert not step.labels
    for phase in rest:
        for step in phase.models:
            wanted = new.get(step.model, ((), {}))[0]
            assert not step.loads
            assert not step.waits
            assert not set(wanted) & set(step.unloads)
