"""Sections 2.3, 3.1 and 3.5 of the contract as one: a server does what a plan tells of its two reloads."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import grpc
import pytest
from contract_server import AVAILABLE, END, FAST_RETRIES, ModelServer, ModelStore, Start, model_list, wait_for

from fleetdeploy.domain.observed import Present, State, VersionState
from fleetdeploy.domain.plan import Activation
from fleetdeploy.domain.server_changes import ServerPhase
from fleetdeploy.tfserving import model_config, simulation

LABELS_AHEAD = "--allow_version_labels_for_unavailable_models=true"
MODELS = ("affine", "other")
LOADED = re.compile(r"Successfully loaded servable version \{name: (\w+) version: (\d+)\}")
UNLOADED = re.compile(r"Done unloading servable version \{name: (\w+) version: (\d+)\}")

Wish = Mapping[str, tuple[Sequence[int], Mapping[str, int]]]


@dataclass(frozen=True)
class Case:
    """``before`` is what the server starts with, ``then`` what it is told without a plan, ``after`` what a plan wants.

    ``spoilt`` versions do not load; ``burnt`` and ``postponed`` are what a plan has to tell of them.
    """

    before: Wish
    after: Wish
    then: Sequence[Wish] = ()
    spoilt: Sequence[int] = ()
    postponed: bool = False
    burnt: Sequence[int] = ()


def one(*versions: int, **labels: int) -> Wish:
    return {"affine": (versions, labels)}


CASES = {
    "a new version, and the label follows": Case(one(1, stable=1), one(2, stable=2)),
    "a version more": Case(one(1, stable=1), one(1, 2, stable=1)),
    "a version less": Case(one(1, 2, stable=1), one(1, stable=1)),
    "back to a version that left": Case(one(1), one(1, stable=1), then=[one(2)]),
    "labels swap": Case(one(1, 2, stable=1, canary=2), one(1, 2, stable=2, canary=1)),
    "labels come and go": Case(one(1, 2, stable=1, old=2), one(1, 2, stable=1, canary=2)),
    "two for two": Case(one(1, 2, stable=2), one(3, 4, stable=3, canary=4)),
    "a model comes": Case(one(1), {**one(1), "other": ((1, 2), {"stable": 2})}),
    "a model goes": Case({**one(1, stable=1), "other": ((1,), {"stable": 1})}, one(2, stable=2)),
    "one model for another": Case(one(1, stable=1), {"other": ((2,), {"stable": 2})}),
    "the same again": Case(one(1, stable=1), one(1, stable=1)),
    "a version that nobody listed": Case(one(1), one(1), then=[one(1, 3)]),
    "a version that failed stays listed": Case(one(1), one(1, 2), then=[one(1, 2)], spoilt=[2], burnt=[2]),
    "a version that failed is dropped": Case(one(1), one(3, stable=3), then=[one(1, 2)], spoilt=[2]),
    "a version is kept because another failed": Case(one(1), one(1, 3), then=[one(2)], spoilt=[2], postponed=True),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_server_does_what_is_told_of_it(start: Start, models: ModelStore, case: Case) -> None:
    """Loads, unloads and labels of both reloads, from the states that the server tells and the list it was given."""
    for model in MODELS:
        for version in range(1, 5):
            if model == "affine" and version in case.spoilt:
                models.spoil(model, version, missing="saved_model.pb")
            else:
                models.place(model, version, from_version=1)
    server = start(*FAST_RETRIES, LABELS_AHEAD, config=text(models, case.before)).ready()
    for wish in case.then:
        server.reload(text(models, wish))
        settle(server, wish)
    # What the server was told and then loaded stands in no file; what failed was in one, as after a run that failed.
    before = text(models, case.then[-1] if case.spoilt else case.before)
    after = text(models, case.after)
    served = {model: Present(states(server, model)) for model in MODELS}
    told = simulation.simulate(Activation.RELOAD, before=before, after=after, served=served, golden={})
    assert [item.number for item in told.hindrances.burnt] == list(case.burnt)
    assert bool(told.hindrances.others) is case.postponed
    labels = dict(in_force(server))
    texts = [model_config.overlap(before, after), after][: len(told.phases)]
    for sent, phase in zip(texts, told.phases, strict=True):
        seen = len(server.log)
        server.reload(sent)
        if case.postponed:
            settle_witness(server, models, sent)
            assert done(server, LOADED, seen) == {("witness", 1)}
            assert done(server, UNLOADED, seen) == set()
            return
        settle(server, wanted_of(sent))
        assert done(server, LOADED, seen) == pairs(phase, "loads")
        assert done(server, UNLOADED, seen) == pairs(phase, "unloads")
        labels = moved(labels, phase)
        assert in_force(server) == labels


def text(models: ModelStore, wish: Wish) -> str:
    """A list in the form that plans have."""
    entries = [
        models.config(
            model,
            *versions,
            extra=" ".join(f'version_labels {{ key: "{label}" value: {n} }}' for label, n in labels.items()),
        )
        for model, (versions, labels) in wish.items()
    ]
    return model_config.to_text(model_config.parse(model_list(*entries), where="test"))


def wanted_of(sent: str) -> Wish:
    found = model_config.wanted(model_config.parse(sent, where="test"))
    return {model: (entry.versions, entry.labels) for model, entry in found.items()}


def states(server: ModelServer, model: str) -> tuple[VersionState, ...]:
    """As a probe reads them."""
    by_number = {10: "START", 20: "LOADING", 30: "AVAILABLE", 40: "UNLOADING", 50: "END"}
    return tuple(
        VersionState(int(entry.version), State(by_number[entry.state]), entry.status.error_message)
        for entry in (server.status(model) if server.states(model) else ())
    )


def settle(server: ModelServer, wish: Wish) -> None:
    """Wait until everything listed has loaded or failed, and what is not listed has left where something serves."""

    def settled() -> bool:
        for model in MODELS:
            listed = wish[model][0] if model in wish else ()
            now = server.states(model)
            if any(now.get(version) not in {AVAILABLE, END} for version in listed):
                return False
            serving = any(now[version] == AVAILABLE for version in listed)
            if any(now[version] != END for version in now if version not in listed and (serving or not listed)):
                return False
            # A version that has left before is END already: it has to come back.
            failed = {entry.number for entry in states(server, model) if entry.error}
            if any(now[version] == END and version not in failed for version in listed):
                return False
        return True

    wait_for(settled, f"the server to settle on {wish}")


def settle_witness(server: ModelServer, models: ModelStore, sent: str) -> None:
    """Let the server scan and act: another model is loaded meanwhile."""
    models.place("witness", 1, of="affine")
    both = model_config.parse(sent, where="test")
    both.MergeFrom(model_config.parse(model_list(models.config("witness", 1)), where="test"))
    server.reload(model_config.to_text(both))
    wait_for(lambda: server.states("witness") == {1: AVAILABLE}, "another model to be loaded")


def done(server: ModelServer, what: re.Pattern[str], since: int) -> set[tuple[str, int]]:
    return {(model, int(version)) for model, version in what.findall(server.log[since:])}


def pairs(phase: ServerPhase, what: str) -> set[tuple[str, int]]:
    return {(step.model, number) for step in phase.models for number in getattr(step, what)}


def moved(labels: Mapping[tuple[str, str], int], phase: ServerPhase) -> dict[tuple[str, str], int]:
    moves = {(move.model, move.label): move.after for step in phase.models for move in step.labels}
    return {key: number for key, number in {**labels, **moves}.items() if number is not None}


def in_force(server: ModelServer) -> dict[tuple[str, str], int]:
    """Every label that a request may name, with the version that answers."""
    found = {}
    for model in MODELS:
        for label in ("stable", "canary", "old"):
            try:
                found[model, label] = server.metadata(model, "signature_def", label=label).model_spec.version.value
            except grpc.RpcError as problem:
                if problem.code() is not grpc.StatusCode.INVALID_ARGUMENT:
                    raise
    return found
