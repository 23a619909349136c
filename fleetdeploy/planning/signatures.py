"""Whether what a host shall serve still answers the callers of what it serves now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fleetdeploy.domain.observed import Absent, ObservedService, Present
from fleetdeploy.domain.plan import Refusal
from fleetdeploy.domain.service import DesiredModel, DesiredService
from fleetdeploy.domain.signatures import KnownSignatures, SignatureComparison
from fleetdeploy.errors import ArtefactRefused
from fleetdeploy.planning.refusals import on_disk
from fleetdeploy.tfserving import status
from fleetdeploy.tfserving.signature_changes import compare
from fleetdeploy.tfserving.signature_reader import GRAPH_FILE


def comparisons(
    desired: DesiredService, observed: ObservedService, *, allowed: frozenset[str] = frozenset()
) -> Iterator[SignatureComparison]:
    """The newest version served of each model against each wanted version that is not served yet.

    ``allowed`` names models whose callers are ready for any change. A model that was never served has no callers, and
    neither has a version that comes beside a newer one that goes on being served: requests without a version go there.
    """
    for model in desired.models:
        may_change = model.allow_signature_change or model.name in allowed
        served = _served(model, observed)
        new = [number for number in model.wanted if number not in served]
        if served:
            stays = max(served) if max(served) in model.wanted else 0
            for number in new:
                if number < stays:
                    continue
                yield _compare(desired.name, model, observed, max(served), number, allowed=may_change)
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
                f"version {item.new} of {item.model} breaks callers of version {item.served}, which is served:{rows}",
                f"export it with the old signature, or pass --allow-signature-change {item.model} (or set "
                "`allow_signature_change: true` on the model) once callers are ready",
                exit_code=ArtefactRefused.exit_code,
            )


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
