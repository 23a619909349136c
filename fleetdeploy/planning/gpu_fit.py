"""Whether the models of a service fit the GPUs it gets: what they declare in ``requires`` against nvidia-smi's rows."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from fleetdeploy.domain.observed import Gpu
from fleetdeploy.domain.service import ModelWish, ServiceWish

Capability = tuple[int, int]
_CAPABILITY = re.compile(r"(>=|>|==)?([0-9]+)\.([0-9]+)")
_COMPARE: Mapping[str, Callable[[Capability, Capability], bool]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "==": operator.eq,
}


def chosen_gpus(wish: ServiceWish, gpus: Sequence[Gpu]) -> tuple[Gpu, ...]:
    """The GPUs of its host that the service gets."""
    request = wish.gpus
    wanted = request.devices or range(request.count)
    return tuple(gpu for gpu in gpus if request.all or gpu.index in wanted)


def misfits(wish: ServiceWish, gpus: Sequence[Gpu]) -> tuple[str, ...]:
    """Why the models of ``wish`` do not fit a host with ``gpus``, one sentence each; empty when they fit.

    Every GPU of the service must have the memory and the compute capability that each model requires, since a server
    may place a model on any of them; together they must have the memory that all models require. What other programs
    hold on a GPU is not counted. GPUs that the service asks for and the host lacks are nothing to say here.
    """
    chosen = chosen_gpus(wish, gpus)
    if not chosen:
        without = () if wish.gpus.wanted else wish.models
        return tuple(
            f"model {model.name!r} requires a GPU, and its service gets none"
            for model in without
            if model.requires.gpu_memory_bytes or model.requires.compute_capability
        )
    found = [text for model in wish.models for gpu in chosen for text in _misfits_of(model, gpu)]
    required = sum(model.requires.gpu_memory_bytes for model in wish.models)
    there = sum(gpu.memory_bytes for gpu in chosen)
    if not found and required > there:
        found.append(f"its models require {_gib(required)} of GPU memory together, its GPUs have {_gib(there)}")
    return tuple(found)


def _misfits_of(model: ModelWish, gpu: Gpu) -> Iterator[str]:
    memory, capability = model.requires.gpu_memory_bytes, model.requires.compute_capability
    if memory > gpu.memory_bytes:
        yield (
            f"model {model.name!r} requires {_gib(memory)} of GPU memory, GPU {gpu.index} ({gpu.name}) has "
            f"{_gib(gpu.memory_bytes)}"
        )
    if capability and not capability_fits(gpu.compute_capability, capability):
        yield (
            f"model {model.name!r} requires compute capability {capability}, GPU {gpu.index} ({gpu.name}) has "
            f"{gpu.compute_capability or 'one that it does not say'}"
        )


def capability_fits(has: str, wanted: str) -> bool:
    """Whether ``has``, such as ``8.6``, is what ``wanted`` says: ``>=7.0``, ``>7.0``, ``==7.0`` or ``7.0`` (at least).

    False when either of them is something else: what cannot be told is not taken for granted.
    """
    here, rule = _CAPABILITY.fullmatch(has), _CAPABILITY.fullmatch(wanted)
    if here is None or here[1] or rule is None:
        return False
    return _COMPARE[rule[1] or ">="]((int(here[2]), int(here[3])), (int(rule[2]), int(rule[3])))


def _gib(size_bytes: int) -> str:
    return f"{size_bytes / 1024**3:.1f} GiB"
