"""What a model server would do with a new configuration, given what it serves now.

The phases are those that ``activate`` goes through: a reload of :func:`model_config.overlap` and one of the new text,
or the end of a process and the start of another. The rules are those of aspired_versions_manager.cc, basic_manager.cc
and server_core.cc of TF Serving; ``tests/contract`` holds a running server against them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from typing import Final

from fleetdeploy.domain.observed import Present, Reading, State, Unknown, VersionState
from fleetdeploy.domain.plan import Activation
from fleetdeploy.domain.server_changes import (
    BurntVersion,
    Hindrances,
    LabelMove,
    ModelPhase,
    PhaseKind,
    ServerChanges,
    ServerPhase,
)
from fleetdeploy.errors import InputError
from fleetdeploy.tfserving import model_config
from fleetdeploy.tfserving.model_config import ModelEntry

Served = Mapping[str, Reading[tuple[VersionState, ...]]]
Entries = Mapping[str, ModelEntry]
Memory = Mapping[str, Mapping[int, VersionState]]

HELD: Final = frozenset({State.UNKNOWN, State.START, State.LOADING, State.AVAILABLE})
"""States of versions that the server has or is about to have. ``UNKNOWN`` also stands for what it was not asked."""
NOT_OURS: Final = "config/model.config on the host is not one that fleetdeploy writes"


def hindrances(before: str, after: str, served: Served) -> Hindrances:
    """Why no reload brings the process to ``after``. Empty texts and readings hinder nothing."""
    wanted = _entries(after)
    burnt = tuple(
        BurntVersion(model, entry.number, entry.error)
        for model, states in _said(served).items()
        for entry in states
        if model in wanted and entry.number in wanted[model].versions and _failed(entry)
    )
    if not before.strip():
        return Hindrances(burnt)
    if not ours(before):
        return Hindrances(burnt, (NOT_OURS,))
    return Hindrances(burnt, (*_fixed(before, after), *_postponed(_entries(before), wanted, served)))


@lru_cache(maxsize=32)
def ours(text: str) -> bool:
    """Whether ``text`` is a configuration that fleetdeploy may have written, and that a reload can begin from."""
    try:
        model_config.check(model_config.parse(text, where="config/model.config on the host"))
    except InputError:
        return False
    return True


def listed(text: str) -> Entries:
    """What a configuration on a host lists, also one that is not ours; nothing where it cannot be read at all."""
    try:
        return _entries(text)
    except InputError:
        return {}


def simulate(
    activation: Activation,
    *,
    before: str,
    after: str,
    served: Served,
    golden: Mapping[str, Collection[int]],
) -> ServerChanges:
    """What the server does under ``activation``.

    ``before`` is the configuration that the server must be taken to have (see :mod:`.in_force`), empty where it has
    none; ``after`` one that passes :func:`model_config.check`; ``golden`` says to which versions of each model golden
    requests are sent. Raises InputError for a reload from a ``before`` that no reload leads away from (see
    :func:`hindrances`).
    """
    if activation in {Activation.NOTHING, Activation.VERIFY}:
        return ServerChanges()
    old, new = listed(before), _entries(after)
    proven = {model: tuple(sorted(golden[model])) for model in sorted(new) if golden.get(model)}
    removed = tuple(sorted(set(old) - set(new)))
    if activation is Activation.START:
        return ServerChanges((_start(old, new, proven),), removed=removed)
    memory, unread = _memory(old, new, served), _unread(served)
    found = hindrances(before, after, served)
    if activation is Activation.REPLACE:
        return ServerChanges((_stop(memory, new), _start(old, new, proven)), found, removed, unread)
    both = _overlap(before, after)
    phases = [ServerPhase(PhaseKind.TOGETHER, _steps(memory, old, _entries(both), new), proven)]
    if both != after:
        loaded = _settled(memory, _entries(both))
        phases.append(ServerPhase(PhaseKind.FINAL, _steps(loaded, _entries(both), new, new)))
    return ServerChanges(tuple(phases), found, removed, unread)


@lru_cache(maxsize=32)
def _entries(text: str) -> Entries:
    return model_config.wanted(model_config.parse(text or model_config.NO_MODELS, where="model.config"))


@lru_cache(maxsize=32)
def _fixed(before: str, after: str) -> tuple[str, ...]:
    return model_config.reload_obstacles(before, after)


@lru_cache(maxsize=32)
def _overlap(before: str, after: str) -> str:
    return model_config.overlap(before, after)


def _said(served: Served) -> Mapping[str, tuple[VersionState, ...]]:
    return {model: reading.value for model, reading in sorted(served.items()) if isinstance(reading, Present)}


def _unread(served: Served) -> Mapping[str, str]:
    return {model: reading.reason for model, reading in sorted(served.items()) if isinstance(reading, Unknown)}


def _memory(old: Entries, new: Entries, served: Served) -> Memory:
    """Every model's version states; where the server did not say, what it was told to have, in state UNKNOWN."""
    said = _said(served)
    return {
        model: {entry.number: entry for entry in said[model]}
        if model in said
        else {number: VersionState(number, State.UNKNOWN) for number in _versions(old, model)}
        for model in sorted({*old, *new, *said})
    }


def _settled(memory: Memory, target: Entries) -> Memory:
    """What is in memory once the server has done what ``target`` asks, as far as it ever will."""
    return {
        model: {
            number: entry if entry and _failed(entry) else VersionState(number, State.AVAILABLE)
            for number in _versions(target, model)
            for entry in [memory.get(model, {}).get(number)]
        }
        for model in sorted({*memory, *target})
    }


def _steps(memory: Memory, old: Entries, target: Entries, new: Entries) -> tuple[ModelPhase, ...]:
    """What a reload of ``target`` does, with the labels of ``old`` in force; ``new`` is what is waited for."""
    steps = []
    for model in sorted({*memory, *target}):
        states, asked = memory.get(model, {}), _versions(target, model)
        held = {number for number, entry in states.items() if entry.state in HELD}
        # A version that is on its way out is loaded again once it is gone.
        loads = tuple(n for n in asked if n not in held and not (n in states and _failed(states[n])))
        coming = {number for number in held if states[number].state is not State.AVAILABLE}
        steps.append(
            ModelPhase(
                model,
                loads=loads,
                beside=tuple(sorted(held & set(asked))) if loads else (),
                waits=tuple(sorted(coming & set(asked) & set(_versions(new, model)))),
                unloads=tuple(sorted(held - set(asked))),
                labels=tuple(_moves(model, old, target)),
                unlisted=model not in new,
            )
        )
    return tuple(step for step in steps if step.happens)


def _stop(memory: Memory, new: Entries) -> ServerPhase:
    held = {
        model: tuple(sorted(n for n, entry in states.items() if entry.state in HELD))
        for model, states in memory.items()
    }
    gone = tuple(ModelPhase(model, unloads=numbers, unlisted=model not in new) for model, numbers in held.items())
    return ServerPhase(PhaseKind.STOP, tuple(step for step in gone if step.happens))


def _start(old: Entries, new: Entries, golden: Mapping[str, tuple[int, ...]]) -> ServerPhase:
    steps = tuple(
        ModelPhase(
            model,
            loads=_versions(new, model),
            labels=tuple(_moves(model, old, new)),
            unlisted=model not in new,
        )
        for model in sorted({*old, *new})
    )
    return ServerPhase(PhaseKind.START, tuple(step for step in steps if step.happens), golden)


def _moves(model: str, old: Entries, new: Entries) -> Iterator[LabelMove]:
    was = old[model].labels if model in old else {}
    shall = new[model].labels if model in new else {}
    for label in sorted({*was, *shall}):
        if was.get(label) != shall.get(label):
            yield LabelMove(model, label, was.get(label), shall.get(label))


def _postponed(old: Entries, new: Entries, served: Served) -> Iterator[str]:
    """Wanted versions that are in memory only because everything that was listed instead of them has failed.

    The server puts off every list that names such a version until it is gone, which it never is: it would go once a
    listed version is there to take its place.
    """
    for model, states in _said(served).items():
        told, shall = _versions(old, model), _versions(new, model)
        failed = [entry.number for entry in states if entry.number in told and _failed(entry)]
        # Of several versions that are not listed the server keeps the highest.
        kept = max((entry.number for entry in states if entry.state is State.AVAILABLE), default=0)
        if told and len(failed) == len(told) and kept in shall:
            yield (
                f"the server keeps version {kept} of {model} only because version {max(failed)} failed, and puts off "
                "every list that names it"
            )


def _versions(entries: Entries, model: str) -> tuple[int, ...]:
    return entries[model].versions if model in entries else ()


def _failed(entry: VersionState) -> bool:
    return entry.state is State.END and bool(entry.error)
