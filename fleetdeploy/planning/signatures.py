"""Whether what a host shall serve still answers the callers of what it serves now."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from fleetdeploy.domain.observed import Absent, ObservedService, Present
from fleetdeploy.domain.plan import Refusal
from fleetdeploy.domain.service import DesiredModel, DesiredService
from fleetdeploy.domain.signatures import KnownSignatures, SignatureComparison
from fleetdeploy.errors import ArtefactRefused
from fleetdeploy.planning.before import config_in_force
from fleetdeploy.planning.refusals import on_disk
from fleetdeploy.tfserving import status
from fleetdeploy.tfserving.signature_changes import compare
from fleetdeploy.tfserving.signature_reader import GRAPH_FILE
from fleetdeploy.tfserving.simulation import listed


def comparisons(
    desired: DesiredService, observed: ObservedService, *, allowed: frozenset[str] = frozenset()
) -> Iterator[SignatureComparison]:
    """The newest version served of each model against each wanted version that is not served yet, and the two ends of
    every label that moves away from a served version; each pair once.

    ``allowed`` names models whose callers are ready for any change. A model that was never served has no callers. A
    version that comes beside a newer one that goes on being served has none but those of its labels: requests without
    a version go to the newest. What is gone back to was served before, and its source is not read: it is not compared.
    """
    if desired.recorded is not None:
        return
    before = listed(config_in_force(desired, observed))
    for model in desired.models:
        may_change = model.allow_signature_change or model.name in allowed
        served = _served(model, observed)
        new = [number for number in model.wanted if number not in served]
        if served:
            stays = max(served) if max(served) in model.wanted else 0
            moves = _moved(before[model.name].labels if model.name in before else {}, model, served)
            pairs = {(max(served), number) for number in new if number >= stays} | set(moves)
            for pair in sorted(pairs):
                found = _compare(desired.name, model, observed, *pair, allowed=may_change)
                yield replace(found, label=", ".join(moves.get(pair, ())))
        elif _serves_unseen(observed):
            for number in new:
                why = "what the server serves now could not be read"
                yield SignatureComparison(desired.name, model.name, None, number, allowed=may_change, unknown=why)


def signature_refusals(host: str, found: Iterable[SignatureComparison]) -> Iterator[Refusal]:
    """Changes that break callers and that nobody has agreed to."""
    for item in found:
        if item.breaking and not item.allowed:
            rows = "".join(f"\n      {change}" for change in item.breaking)
            yield Refusal(
                host,
                f"version {item.new} of {item.model} breaks callers of {_served_as(item)}:{rows}",
                f"export it with the old signature, or pass --allow-signature-change {item.model} to "
                "`deploy` (or set `allow_signature_change: true` on the model) once callers are ready",
                exit_code=ArtefactRefused.exit_code,
            )


def _served_as(item: SignatureComparison) -> str:
    return f"version {item.served}, which is served" + (f" as {item.labelled}" if item.label else "")


def _moved(
    labels: Mapping[str, int], model: DesiredModel, served: Collection[int]
) -> Mapping[tuple[int, int], Sequence[str]]:
    """The labels that move away from a served version, by where they move from and to."""
    moves: dict[tuple[int, int], list[str]] = {}
    for label, number in sorted(model.labels.items()):
        was = labels.get(label, number)
        if was != number and was in served:
            moves.setdefault((was, number), []).append(label)
    return moves


def _served(model: DesiredModel, observed: ObservedService) -> tuple[int, ...]:
    """The versions that answer now, or where none does those that were last proven."""
    reading = observed.served.get(model.name, Absent())
    available = status.available(reading.value) if isinstance(reading, Present) else ()
    if available or not isinstance(observed.release, Present):
        return available
    return tuple(observed.release.value.models.get(model.name, ()))


def _serves_unseen(observed: ObservedService) -> bool:
    """Whether a server runs of which neither its answer nor a record tells what it serves."""
    running = isinstance(observed.container, Present) and observed.container.value.running
    answers = any(isinstance(reading, Present) for reading in observed.served.values())
    return running and not answers and not isinstance(observed.release, Present)


def _compare(
    service: str, model: DesiredModel, observed: ObservedService, served: int, new: int, *, allowed: bool
) -> SignatureComparison:
    missing = KnownSignatures(problem="it is not in the model's source any more")
    before, after = model.signatures.get(served, missing), model.signatures.get(new, missing)
    here = on_disk(observed, model.name).get(served)
    why = ""
    if before.problem:
        why = f"the signature of version {served} is not known here: {before.problem}"
    elif after.problem:
        why = f"the signature of version {new} is not known: {after.problem}"
    elif here is not None and here.sizes_bytes.get(GRAPH_FILE, before.graph_bytes) != before.graph_bytes:
        why = f"the signature of version {served} is not known here: the host serves another {GRAPH_FILE} than this one"
    changes = () if why else compare(before.signatures, after.signatures)
    return SignatureComparison(service, model.name, served, new, changes, allowed, why)
