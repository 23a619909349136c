"""GPU memory added up over the models of a host: in the end, and while new versions take the place of old ones."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from fleetdeploy.domain.gpu_fit import Card, GpuFit, ModelNeed
from fleetdeploy.domain.observed import ContainerFacts, Gpu, ObservedHost, ObservedService, Present, State, Unknown
from fleetdeploy.domain.plan import Activation, Refusal, ServicePlan
from fleetdeploy.domain.service import LABEL_SERVICE, DesiredService, GpuRequest
from fleetdeploy.planning.activation import server_changes
from fleetdeploy.planning.before import configured
from fleetdeploy.planning.gpu_fit import chosen_gpus, gib, misfits
from fleetdeploy.planning.gpu_placement import (
    Versions,
    decided,
    no_room,
    reloading,
    steady,
    swapping,
    without_place,
)

Services = Sequence[tuple[DesiredService, ObservedService]]
Loaded = Callable[[ObservedService], Mapping[str, tuple[int, ...]]]
_ENDED = frozenset({"created", "exited", "dead"})
_MEND = "place a model on other hosts, serve fewer versions, or mend `requires` or `gpus`"


def gpu_fits(services: Services, gpus: Sequence[Gpu], *, loaded: Loaded | None = None) -> tuple[GpuFit, ...]:
    """The sums to be looked at: for the GPUs of each service, and for GPUs that services share in a chain, all of them.

    Each holds what has no other GPU than these: wherever a server places it, its memory comes from there. A service
    that changes its GPUs counts with the old ones until then. Models that require no memory are left out, and services
    without any other; ``loaded`` says what a service has in memory, :func:`in_memory` by default.
    """
    claims = [
        _Claim(
            desired,
            after=frozenset(gpu.index for gpu in chosen_gpus(desired.wish, gpus)),
            before=_gpus_before(desired, seen, gpus),
            loaded=(loaded or in_memory)(seen),
        )
        for desired, seen in services
        if any(model.requires.gpu_memory_bytes for model in desired.wish.models)
    ]
    sets = [item for claim in claims for item in (claim.after, claim.before if claim.loaded else claim.after)]
    areas = dict.fromkeys(sorted((*filter(None, sets), *_chains(sets)), key=sorted))
    by_index = {gpu.index: Card(gpu.index, gpu.name, gpu.memory_bytes, gpu.memory_used_bytes) for gpu in gpus}
    found = []
    for area in areas:
        needs = tuple(need for claim in claims for need in claim.needs(area))
        dropped = tuple(name for claim in claims for name in claim.dropped(area))
        if any(need.wanted for need in needs):
            found.append(GpuFit(tuple(by_index[index] for index in sorted(area)), needs, (), dropped))
    return tuple(found)


@dataclass(frozen=True)
class _Claim:
    """A service with the GPUs that it shall have and those that it has, and with the versions that are in memory."""

    desired: DesiredService
    after: frozenset[int]
    before: frozenset[int]
    loaded: Mapping[str, tuple[int, ...]]

    def needs(self, area: frozenset[int]) -> Iterator[ModelNeed]:
        """What the service needs of ``area`` and of nothing else."""
        shall, has = self.after <= area and bool(self.after), self.before <= area and bool(self.before)
        required = {model.name: model.requires.gpu_memory_bytes for model in self.desired.wish.models}
        for model in self.desired.models:
            wanted = model.wanted if shall else ()
            there = self.loaded.get(model.name, ()) if has else ()
            if required.get(model.name) and (wanted or there):
                cards = tuple(sorted(self.after)), tuple(sorted(self.before))
                yield ModelNeed(self.desired.name, model.name, required[model.name], wanted, there, *cards)

    def dropped(self, area: frozenset[int]) -> Iterator[str]:
        named = {model.name for model in self.desired.models}
        for model, numbers in sorted(self.loaded.items()):
            if numbers and model not in named and self.before and self.before <= area:
                yield f"{self.desired.name}/{model}"


def _gpus_before(desired: DesiredService, observed: ObservedService, gpus: Sequence[Gpu]) -> frozenset[int]:
    """The GPUs that the recorded container was given; those that the service shall have where that is not known."""
    fields = observed.release.value.container if isinstance(observed.release, Present) else {}
    environment = fields.get("environment")
    given = environment.get("NVIDIA_VISIBLE_DEVICES") if isinstance(environment, Mapping) else None
    listed = str(given).split(",")
    if given != "all" and all(item.isdecimal() for item in listed):
        return frozenset(gpu.index for gpu in gpus if str(gpu.index) in listed)
    wish = replace(desired.wish, gpus=GpuRequest(all=True)) if given == "all" else desired.wish
    return frozenset(gpu.index for gpu in chosen_gpus(wish, gpus))


def _chains(sets: Iterable[frozenset[int]]) -> list[frozenset[int]]:
    """Sets that overlap joined until none overlaps another."""
    joined: list[frozenset[int]] = []
    for one in sets:
        apart = [other for other in joined if not other & one]
        joined = [*apart, frozenset(one.union(*(other for other in joined if other & one)))]
    return [one for one in joined if one]


def in_memory(observed: ObservedService) -> Mapping[str, tuple[int, ...]]:
    """The versions of each model that a service's server has in memory, or that the first half of a reload loads again.

    Those are the ones that the configuration on the host lists: a version there that was unloaded without an error is
    loaded again beside the new ones, one that failed is not tried again. Without a configuration of ours the release
    record stands for it. A server that does not run has nothing in memory.
    """
    if not (isinstance(observed.container, Present) and observed.container.value.running):
        return {}
    listed = configured(observed) or _recorded(observed)
    found = {model: set(numbers) for model, numbers in listed.items()}
    for model, reading in observed.served.items():
        for entry in reading.value if isinstance(reading, Present) else ():
            if entry.state is not State.END:
                found.setdefault(model, set()).add(entry.number)
            elif entry.error:
                found.get(model, set()).discard(entry.number)
    return {model: tuple(sorted(numbers)) for model, numbers in found.items()}


def _recorded(observed: ObservedService) -> Mapping[str, tuple[int, ...]]:
    return observed.release.value.models if isinstance(observed.release, Present) else {}


def too_little(fits: Iterable[GpuFit]) -> Iterator[tuple[GpuFit, str]]:
    """GPUs that have not enough memory, or none with room for one of the wanted versions, each with the sums.

    What does not fit a part of some GPUs does not fit all of them either: that is one thing to mend, and told once.
    """
    small: list[set[int]] = []
    for fit in sorted(fits, key=lambda fit: len(fit.cards)):
        area = {card.index for card in fit.cards}
        lack = "" if any(part <= area for part in small) else _lack(fit, fit.steady_bytes, (steady(fit),))
        if lack:
            small.append(area)
            yield fit, f"models require {lack}: {_terms(fit)}"


def memory_refusals(host: str, services: Services, gpus: Sequence[Gpu], observed: ObservedHost) -> Iterator[Refusal]:
    """GPUs whose memory is less than all wanted versions need, or of which other programs hold too much.

    Services with a model that does not fit a card by itself are left to the refusal that says so.
    """
    single = [pair for pair in services if any(misfits(pair[0].wish, gpus))]
    fits = gpu_fits([pair for pair in services if pair not in single], gpus, loaded=lambda _: {})
    found = [Refusal(host, message, _MEND) for _, message in too_little(fits)]
    yield from found
    if found or _ours_may_hold_memory(observed):
        return
    known = set[str]()
    for fit in sorted(fits, key=lambda fit: len(fit.cards)):
        # The first time that a service is met, these GPUs are exactly its own.
        own = [need for need in fit.needs if need.service not in known]
        known.update(fit.services)
        yield from _too_full(host, fit, own)


def _too_full(host: str, fit: GpuFit, own: Iterable[ModelNeed]) -> Iterator[Refusal]:
    """What other programs leave is not enough for everything, or on one GPU not for a model that may be put there."""
    hint = "`nvidia-smi` on the host names these programs: end them, or choose other `gpus`"
    if fit.steady_bytes > fit.free_bytes:
        held = f"of which other programs hold {gib(fit.capacity_bytes - fit.free_bytes)}"
        yield Refusal(host, f"models require {_of(fit, fit.steady_bytes)}, {held}: {_terms(fit)}", hint)
        return
    tight = [(need, card) for need in own for card in fit.cards if need.version_bytes > card.free_bytes]
    for need, card in tight:
        held = f"{gib(card.memory_bytes - card.free_bytes)} of the {gib(card.memory_bytes)}"
        requires = f"a version of {need.model} requires {gib(need.version_bytes)}"
        yield Refusal(host, f"other programs hold {held} of GPU {card.index}, {requires}", hint)
    homeless = "" if tight else without_place(fit, (steady(fit),), free=True)
    if homeless:
        held = f"other programs hold {gib(fit.capacity_bytes - fit.free_bytes)} of {named(fit)}"
        yield Refusal(host, f"{held}, and {no_room(homeless)}: {_terms(fit)}", hint)


def _ours_may_hold_memory(observed: ObservedHost) -> bool:
    """Whether what nvidia-smi counts as used may be our own servers', or nobody can tell."""
    if isinstance(observed.containers, Unknown):
        return True
    listed = observed.containers.value if isinstance(observed.containers, Present) else ()
    found: list[ContainerFacts] = [item for item in listed if LABEL_SERVICE in item.labels]
    for seen in observed.services.values():
        readings = (seen.container, seen.previous)
        found += [reading.value for reading in readings if isinstance(reading, Present)]
    return any(item.status not in _ENDED for item in found)


def without_overlap(
    plans: Sequence[ServicePlan], fits: Sequence[GpuFit], gpus: Sequence[Gpu], *, drained: Collection[str]
) -> tuple[ServicePlan, ...]:
    """The plans, with a replacement for each hot reload under which old and new versions would not fit together.

    ``drained`` names the services that a balancer stops sending requests to. Where what shall be served does not fit
    beside what was last proven, a plan is marked too: a revert must not load the two together either.
    """
    back = gpu_fits([(plan.desired, plan.observed) for plan in plans], gpus, loaded=_recorded)
    return tuple(_apart(plan, fits, back, drained=plan.desired.name in drained) for plan in plans)


def _apart(plan: ServicePlan, fits: Sequence[GpuFit], back: Sequence[GpuFit], *, drained: bool) -> ServicePlan:
    name = plan.desired.name
    over = _overflowing(fits, name)
    if not over:
        return replace(plan, apart=bool(_overflowing(back, name)))
    if plan.activation is not Activation.RELOAD:
        return replace(plan, apart=True)
    how = "swapped while drained" if drained else f"swapped, and {name} does not answer in between"
    return replace(
        plan,
        apart=True,
        activation=Activation.REPLACE,
        reason=f"old and new versions do not fit together: {over}; {how}",
        server=server_changes(plan.desired, plan.observed, Activation.REPLACE),
    )


def _overflowing(fits: Iterable[GpuFit], service: str) -> str:
    """What the first GPUs lack that a hot reload of the service would overfill; empty where none are overfilled."""
    holding = (fit for fit in fits if fit.shall_hold(service))
    lacks = (_lack(fit, fit.reload_bytes(service), reloading(fit, service)) for fit in holding)
    return next(filter(None, lacks), "")


def as_planned(fits: Iterable[GpuFit], plans: Sequence[ServicePlan]) -> tuple[GpuFit, ...]:
    """The sums, with the hot reloads that the plans hold."""
    reloads = [plan.desired.name for plan in plans if plan.activation is Activation.RELOAD]
    found = []
    for fit in fits:
        here = tuple(name for name in reloads if fit.shall_hold(name))
        moments = [steady(fit), *(moment for name in here for moment in reloading(fit, name))]
        found.append(replace(fit, reloads=here, undecided=not all(decided(fit, moment) for moment in moments)))
    return tuple(found)


def transition_refusals(host: str, plans: Iterable[ServicePlan], fits: Sequence[GpuFit]) -> Iterator[Refusal]:
    """Containers that would start while another service still holds memory that it is about to give up.

    In one order of the services it could go well; a revert goes through them in the other one.
    """
    for plan in plans:
        name = plan.desired.name
        if plan.activation not in {Activation.START, Activation.REPLACE}:
            continue
        for fit in fits:
            lack = _lack(fit, fit.swap_bytes(name), swapping(fit, name)) if fit.shall_hold(name) else ""
            if lack:
                yield Refusal(
                    host,
                    f"service {name!r} needs memory that another service still holds: {lack} "
                    f"until both are switched over, {_of(fit, fit.steady_bytes)} then",
                    "deploy it in two steps: first with what gets smaller, then with what gets larger",
                )
                break


def _lack(fit: GpuFit, required_bytes: int, moments: Iterable[Versions]) -> str:
    """What is required of what is there, where it is too much or cannot be placed at some moment; else empty."""
    if required_bytes > fit.capacity_bytes:
        return _of(fit, required_bytes)
    homeless = without_place(fit, moments)
    return f"{_of(fit, required_bytes)}, and {no_room(homeless)}" if homeless else ""


def _of(fit: GpuFit, required_bytes: int) -> str:
    """``36.0 of 24.0 GiB on GPU 0``, with as many digits as it takes to see which is larger."""
    for digits in (1, 2, 3, 6):
        required, there = (f"{size / 1024**3:.{digits}f}" for size in (required_bytes, fit.capacity_bytes))
        if required != there or required_bytes == fit.capacity_bytes:
            break
    return f"{required} of {there} GiB on {named(fit)}"


def named(fit: GpuFit) -> str:
    """``GPU 0, 1``."""
    return f"GPU {', '.join(str(card.index) for card in fit.cards)}"


def _terms(fit: GpuFit) -> str:
    """``ranker/7, ranker/8 12.0 GiB each, embedder/1 4.0 GiB``; where services share GPUs, their names too."""
    prefix = len(fit.services) > 1
    terms = []
    for need in (need for need in fit.needs if need.wanted):
        name = f"{need.service}/{need.model}" if prefix else need.model
        each = " each" if len(need.wanted) > 1 else ""
        terms.append(f"{', '.join(f'{name}/{number}' for number in need.wanted)} {gib(need.version_bytes)}{each}")
    return ", ".join(terms)
