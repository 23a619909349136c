"""``prune``: remove old version directories, never one that serves, is wanted or pinned, or was the last good one.

Docker images are never removed: a host that goes back has to have its image, and other containers may need it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ConfigDict, Field

from fleetdeploy.domain.observed import ObservedService, Present, ProvenRelease, State, Unknown
from fleetdeploy.domain.plan import ServicePlan
from fleetdeploy.planning.before import configured
from fleetdeploy.planning.rollback import last_good, past_of, proven_here, taken_back
from fleetdeploy.tasks.step import Step

RECORDS = 20
"""How many of the newest release records stay, whatever versions they are of."""

Versions = Mapping[str, tuple[int, ...]]


class Arguments(BaseModel):
    """``prune: {keep: 3}``."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    keep: int = Field(
        default=3,
        ge=1,
        description="how many of the newest proven releases of each model keep their versions, what a rollback took "
        "back behind all others; where the host has no history of releases, how many of the newest versions stay",
    )


def prunable(plan: ServicePlan, keep: int) -> Versions:
    """Versions on the host that nothing needs, by model.

    Kept are those of the ``keep`` releases of the model proven last, what was taken back behind all others, of the
    recorded release and the last good one before it, what is wanted or pinned, what the server has in memory or its
    file on the host lists, and what has no manifest of ours. Nothing is prunable where the history could not be read
    whole.
    """
    if not isinstance(plan.observed.versions, Present) or why_not(plan.observed):
        return {}
    return _spare(plan, keep)


def why_not(observed: ObservedService) -> str:
    """Why nobody can tell what was proven on the host; empty where somebody can."""
    if isinstance(observed.history, Unknown):
        return f"the history of releases could not be read: {observed.history.reason}"
    if observed.history_damaged:
        return f"{observed.history_damaged} lines of the history of releases are damaged; the next release drops them"
    return ""


def _spare(plan: ServicePlan, keep: int) -> Versions:
    observed = plan.observed
    on_disk = observed.versions.value if isinstance(observed.versions, Present) else {}
    wanted = {model.name: set(model.wanted) for model in plan.desired.models}
    pinned = {model.name: set(model.pinned) for model in plan.desired.wish.models}
    proven, listed = _proven(observed, keep), configured(observed)
    found = {}
    for model, versions in on_disk.items():
        served = observed.served.get(model)
        needed = wanted.get(model, set()) | pinned.get(model, set()) | proven.get(model, set())
        needed |= set(listed.get(model, ()))
        if not isinstance(observed.history, Present):
            needed |= set(sorted(versions)[-keep:])
        if isinstance(served, Present):
            needed |= {item.number for item in served.value if item.state is not State.END}
        elif model in wanted:
            continue
        ours = {number for number, item in versions.items() if item.manifest_digest}
        spare = tuple(sorted(ours - needed))
        if spare:
            found[model] = spare
    return found


def _proven(observed: ObservedService, keep: int) -> Mapping[str, set[int]]:
    """The versions of the last ``keep`` releases of each model, and of what a rollback needs now.

    Releases of a model with the same versions are one: a new image must not push the versions before it out. One that
    was taken back comes behind all others, as nobody goes back to it by itself: it must not push a good one out.
    """
    releases, found = proven_here(observed), dict[str, set[int]]()
    left = taken_back(releases)
    last_first = releases[::-1]
    best_first = sorted(last_first, key=lambda release: release.content_hash in left)
    for model in {model for release in releases for model in release.models}:
        newest = dict.fromkeys(release.models.get(model, ()) for release in best_first)
        newest.pop((), None)
        found[model] = {number for numbers in list(newest)[:keep] for number in numbers}
    past = past_of(observed)
    for release in releases:
        if release.content_hash in {past.current, last_good(past)}:
            for model, numbers in release.models.items():
                found[model] |= set(numbers)
    return found


def forgettable(plan: ServicePlan, keep: int) -> tuple[str, ...]:
    """Release records that nothing needs: none of the newest, so not the current one, none of a version that stays."""
    observed, gone = plan.observed, prunable(plan, keep)
    if why_not(observed) or not isinstance(observed.history, Present) or not isinstance(observed.versions, Present):
        return ()
    there = {model: set(versions) - set(gone.get(model, ())) for model, versions in observed.versions.value.items()}
    ids = list(dict.fromkeys(release.id for release in reversed(proven_here(observed))))[RECORDS:]
    last = {release.id: release for release in proven_here(observed)}
    return tuple(item for item in ids if not _stays(last[item], there))


def _stays(release: ProvenRelease, there: Mapping[str, set[int]]) -> bool:
    return any(set(numbers) & there.get(model, set()) for model, numbers in release.models.items())


class Prune:
    """Only directories with a manifest of ours are looked at, so nothing else is ever removed."""

    name = "prune"
    arguments = Arguments
    touches_traffic = False
    prepares = False
    per_host = False
    delegable = False
    optional = True
    commands = ()
    looks_only = False
    no_undo = "what it removes can be staged again from the source"

    def summary(self, plan: ServicePlan, balanced: bool, arguments: Arguments) -> str:  # noqa: ARG002
        if self.only_tells(plan, arguments):
            return f"nothing: {why_not(plan.observed)}"
        return ", ".join(f"{model}/{number}" for model, number in _listed(prunable(plan, arguments.keep)))

    def only_tells(self, plan: ServicePlan, arguments: Arguments) -> bool:
        """Whether there may be something to remove, and it stays because nobody can tell what was proven."""
        return bool(why_not(plan.observed) and _spare(plan, arguments.keep))

    def act(self, step: Step, arguments: Arguments) -> None:
        if self.only_tells(step.plan, arguments):
            return
        records = forgettable(step.plan, arguments.keep)
        for model, numbers in prunable(step.plan, arguments.keep).items():
            step.files.remove_versions(model, numbers)
        if records:
            step.files.forget_releases(records)

    def undo(self, step: Step, arguments: Arguments) -> None:
        """Removed versions were needed by nothing."""

    def longest_s(self, plan: ServicePlan, arguments: Arguments) -> float:  # noqa: ARG002
        return 0.0


def _listed(versions: Versions) -> Sequence[tuple[str, int]]:
    return [(model, number) for model, numbers in versions.items() for number in numbers]


TASK = Prune()
