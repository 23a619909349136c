"""What holds at every step that is planned for a model server, whatever it serves and whatever it shall serve."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fleetdeploy.domain.observed import Present, State, VersionState
from fleetdeploy.domain.plan import Activation
from fleetdeploy.domain.server_changes import PhaseKind, ServerChanges, ServerPhase
from fleetdeploy.tfserving import model_config, stubs
from fleetdeploy.tfserving.simulation import hindrances, simulate

PROPERTY = settings.get_profile("property")
NAMES = ("a", "b", "c")
Models = Mapping[str, tuple[tuple[int, ...], Mapping[str, int]]]

LABELLED = st.lists(st.integers(1, 5), min_size=1, max_size=3, unique=True).flatmap(
    lambda numbers: st.tuples(
        st.just(tuple(numbers)), st.dictionaries(st.sampled_from(["stable", "canary"]), st.sampled_from(numbers))
    )
)
MODELS = st.dictionaries(st.sampled_from(NAMES), LABELLED, min_size=1)
MORE = st.dictionaries(st.sampled_from(NAMES), st.dictionaries(st.integers(1, 7), st.sampled_from(list(State))))


def text_of(models: Models) -> str:
    """``model.config`` of the models."""
    config = stubs.model_server_config_pb2.ModelServerConfig()
    config.model_config_list.SetInParent()
    for name, (versions, labels) in models.items():
        entry = config.model_config_list.config.add(name=name, base_path=f"/models/{name}", model_platform="tensorflow")
        entry.model_version_policy.specific.versions.extend(versions)
        entry.version_labels.update(labels)
    return model_config.to_text(config)


@dataclass
class Server:
    """A server that does what it is told: AVAILABLE versions and labels by model, and which versions have answered."""

    memory: dict[str, set[int]]
    labels: dict[tuple[str, str], int]
    answered: set[tuple[str, int]] = field(default_factory=set)

    @classmethod
    def of(cls, models: Models) -> Server:
        """One that has settled on ``models``, all of which clients use."""
        labels = {(name, label): number for name, (_, found) in models.items() for label, number in found.items()}
        memory = {name: set(numbers) for name, (numbers, _) in models.items()}
        return cls(memory, labels, {(name, number) for name, numbers in memory.items() for number in numbers})

    def does(self, phase: ServerPhase) -> Iterator[str]:
        """One phase: first what arrives, then labels, then what leaves, then golden requests. Yields what is wrong."""
        for step in phase.models:
            held = self.memory.setdefault(step.model, set())
            if held & set(step.loads):
                yield f"{step.model} {step.loads} are loaded and were there"
            held |= {*step.loads, *step.waits}
        for step in phase.models:
            for move in step.labels:
                key = (step.model, move.label)
                if self.labels.get(key) != move.before:
                    yield f"label {key} does not come from {move.before}"
                if move.after is None:
                    self.labels.pop(key, None)
                else:
                    self.labels[key] = move.after
        for step in phase.models:
            self.memory[step.model] -= set(step.unloads)
        for (model, label), number in self.labels.items() if phase.kind is not PhaseKind.STOP else ():
            if number not in self.memory.get(model, ()):
                yield f"{label} of {model} points to {number}, which is not there"
        for model, numbers in phase.golden.items():
            if not set(numbers) <= self.memory.get(model, set()):
                yield f"golden requests to {numbers} of {model}, which are not all there"
            self.answered |= {(model, number) for number in numbers}


def served_by(models: Models) -> dict[str, Present[tuple[VersionState, ...]]]:
    """What a settled server says."""
    return {
        name: Present(tuple(VersionState(number, State.AVAILABLE) for number in numbers))
        for name, (numbers, _) in models.items()
    }


def planned(activation: Activation, old: Models, new: Models) -> ServerChanges:
    golden = {name: numbers for name, (numbers, _) in new.items()}
    served = {**{name: Present[tuple[VersionState, ...]](()) for name in new}, **served_by(old)}
    return simulate(activation, before=text_of(old), after=text_of(new), served=served, golden=golden)


@PROPERTY
@given(old=MODELS, new=MODELS)
def test_what_serves_stays_until_all_that_follows_it_has_answered(old: Models, new: Models) -> None:
    """In no phase of a reload does a version leave memory, or a label move, before the new ones have answered."""
    server = Server.of(old)
    for phase in planned(Activation.RELOAD, old, new).phases:
        wanted = {(name, number) for name, (numbers, _) in new.items() for number in numbers}
        if wanted - server.answered:
            assert not any(step.unloads or step.labels for step in phase.models)
        assert list(server.does(phase)) == []
    assert server == Server(server.memory, Server.of(new).labels, server.answered)
    assert {name: held for name, held in server.memory.items() if held} == Server.of(new).memory


@PROPERTY
@given(old=MODELS, new=MODELS)
def test_a_replacement_has_nothing_twice(old: Models, new: Models) -> None:
    """Everything leaves before anything comes, labels come with the new process, and all of it is proven."""
    server = Server.of(old)
    stop, start = planned(Activation.REPLACE, old, new).phases
    assert (stop.kind, start.kind) == (PhaseKind.STOP, PhaseKind.START)
    assert list(server.does(stop)) == []
    assert not any(server.memory.values())
    assert not any(step.unloads for step in start.models)
    assert list(server.does(start)) == []
    assert ({name: held for name, held in server.memory.items() if held}, server.labels) == (
        Server.of(new).memory,
        Server.of(new).labels,
    )
    assert {(name, number) for name, numbers in Server.of(new).memory.items() for number in numbers} <= server.answered


@PROPERTY
@given(old=MODELS, new=MODELS, more=MORE)
def test_from_any_states_nothing_that_is_listed_is_given_up_early(
    old: Models, new: Models, more: Mapping[str, Mapping[int, State]]
) -> None:
    """Whatever a server says it has, a reload keeps what the file lists until the end, and ends with what is wanted."""
    served = {
        name: Present(tuple(VersionState(number, state) for number, state in more.get(name, {}).items()))
        for name in {*old, *new, *more}
    }
    before, after = text_of(old), text_of(new)
    assume(not hindrances(before, after, served).others)
    found = simulate(Activation.RELOAD, before=before, after=after, served=served, golden={})
    serving = {
        name: {number for number, state in more.get(name, {}).items() if state is State.AVAILABLE} for name in served
    }
    first, *rest = found.phases
    server = Server({name: set(numbers) for name, numbers in serving.items()}, {})
    for phase in (first, *rest):
        for step in phase.models:
            listed = set(old.get(step.model, ((), {}))[0])
            shall = set(new.get(step.model, ((), {}))[0])
            assert not shall & set(step.unloads)
            if phase is first:
                assert not step.labels
                assert not listed & set(step.unloads)
                # The server itself lets go of the last one only for another.
                arrives = {*step.loads, *step.waits, *serving.get(step.model, set())} - set(step.unloads)
                assert not step.unloads or arrives or step.model not in new
            else:
                assert not step.loads
            server.memory.setdefault(step.model, set()).update({*step.loads, *step.waits})
            server.memory[step.model] -= set(step.unloads)
    for name, (numbers, _) in new.items():
        assert set(numbers) <= server.memory.get(name, set())
        assert server.memory[name] <= {*numbers, *more.get(name, {})}
    assert found.removed == tuple(sorted(set(old) - set(new)))


@PROPERTY
@given(old=MODELS, new=MODELS, data=st.data())
def test_the_order_of_models_and_states_decides_nothing(old: Models, new: Models, data: st.DataObject) -> None:
    """A server's states and models in another order give the same phases, in the order of names."""
    served = served_by(old)
    mixed = {
        name: Present(tuple(data.draw(st.permutations(reading.value))))
        for name, reading in data.draw(st.permutations(list(served.items())))
    }
    shuffled = text_of(dict(data.draw(st.permutations(list(new.items())))))
    activation = data.draw(st.sampled_from([Activation.RELOAD, Activation.REPLACE, Activation.START]))
    one = simulate(activation, before=text_of(old), after=text_of(new), served=served, golden={})
    assert simulate(activation, before=text_of(old), after=shuffled, served=mixed, golden={}) == one
    assert all([step.model for step in p.models] == sorted(step.model for step in p.models) for p in one.phases)
