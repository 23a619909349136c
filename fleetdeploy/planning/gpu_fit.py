"""Whether GPUs are what models require and what the inventory says, card by card; :mod:`.gpu_sums` adds memory up."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest

from fleetdeploy.domain.inventory import DeclaredGpus
from fleetdeploy.domain.observed import Gpu
from fleetdeploy.domain.service import ModelWish, ServiceWish

Numbers = tuple[int, ...]
_CAPABILITY = re.compile(r"(>=|>|==)?([0-9]+)\.([0-9]+)")
_DRIVER = re.compile(r"(>=|>|==)?([0-9]+(?:\.[0-9]+)*)")
_COMPARE: Mapping[str, Callable[[Numbers, Numbers], bool]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "==": operator.eq,
}

NOMINAL_SHARE = 0.9
"""How much of a card's nominal memory nvidia-smi has to list at least.

A card whose memory has no chips of its own for ECC gives a sixteenth of it to that (Tesla T4: 15360 of 16384 MiB), and
firmware and driver keep up to another fiftieth (H100 80GB: 81559 of 81920 MiB; a T4 under older drivers: 15079 MiB), so
that up to 8 % are missing. A smaller card mostly has a sixth less or more; where it has not, `model` tells them apart.
"""


def chosen_gpus(wish: ServiceWish, gpus: Sequence[Gpu]) -> tuple[Gpu, ...]:
    """The GPUs of its host that the service gets."""
    request = wish.gpus
    wanted = request.devices or range(request.count)
    return tuple(gpu for gpu in gpus if request.all or gpu.index in wanted)


def misfits(wish: ServiceWish, gpus: Sequence[Gpu], *, declared: bool = False) -> Iterator[tuple[ModelWish, str]]:
    """The models of ``wish`` that its GPUs of ``gpus`` are not enough for, each with why in one sentence.

    Every GPU of the service must have room for a version of each model, and the compute capability and the driver that
    it requires, since a server may place a model on any of them. ``declared`` are GPUs of which the inventory says no
    more than it likes: what it leaves open stands against nothing. GPUs that the service asks for and the host lacks
    are nothing to say here.
    """
    if not wish.gpus.wanted:
        for model in wish.models:
            if model.requires.gpu:
                yield model, f"model {model.name!r} requires a GPU, and its service gets none"
        return
    chosen = chosen_gpus(wish, gpus)
    for model in wish.models:
        for text in _misfits_of(model, chosen, declared=declared):
            yield model, f"model {model.name!r} requires {text}"


def _misfits_of(model: ModelWish, gpus: Sequence[Gpu], *, declared: bool) -> Iterator[str]:
    """Cards that are alike in what is wrong with them are told together: a host may have sixteen of them."""
    wants = model.requires
    small = [gpu for gpu in gpus if wants.gpu_memory_bytes > gpu.memory_bytes and (gpu.memory_bytes or not declared)]
    for alike in _alike(small, lambda gpu: gib(gpu.memory_bytes)):
        has = ("has" if len(alike) == 1 else "have") + f" {gib(alike[0].memory_bytes)}"
        yield f"{gib(wants.gpu_memory_bytes)} of GPU memory for each version, {cards(alike)} {has}"
    for what, wanted, of, fits in (
        ("compute capability", wants.compute_capability, _capability_of, capability_fits),
        ("driver", wants.driver, _driver_of, driver_may_fit if declared else driver_fits),
    ):
        wrong = [gpu for gpu in gpus if wanted and not fits(of(gpu), wanted) and (of(gpu) or not declared)]
        for alike in _alike(wrong, of):
            has = "has" if len(alike) == 1 else "have"
            yield f"{what} {wanted}, {cards(alike)} {has} {of(alike[0]) or 'none that can be read'}"


def declared_gpus(declared: DeclaredGpus) -> tuple[Gpu, ...]:
    """The GPUs that the inventory says a host has. Empty texts and 0 stand for what it leaves open."""
    one = declared.model, declared.memory_bytes, 0, declared.compute_capability, declared.driver
    return tuple(Gpu(index, *one) for index in range(declared.count))


def differences(declared: DeclaredGpus, gpus: Sequence[Gpu]) -> Iterator[str]:
    """How the GPUs of a host differ from what the inventory declares, one sentence each; empty when they do not."""
    if len(gpus) != declared.count:
        yield f"the inventory declares {declared.count} GPUs, nvidia-smi lists {len(gpus)}"
    memory = gib(declared.memory_bytes)
    checks: tuple[tuple[str, str, Callable[[Gpu], str], Callable[[Gpu], bool]], ...] = (
        ("model", repr(declared.model), lambda gpu: repr(gpu.name), lambda gpu: _same_name(declared.model, gpu.name)),
        ("memory", memory, lambda gpu: gib(gpu.memory_bytes), lambda gpu: _enough(declared.memory_bytes, gpu)),
        (
            "compute capability",
            declared.compute_capability,
            _capability_of,
            lambda gpu: declared.compute_capability in {"", _capability_of(gpu)},
        ),
        (
            "driver",
            declared.driver,
            _driver_of,
            lambda gpu: not declared.driver or driver_fits(gpu.driver, f"=={declared.driver}"),
        ),
    )
    for what, wanted, of, same in checks:
        for alike in _alike([gpu for gpu in gpus if not same(gpu)], of):
            listed = of(alike[0]) or "none that can be read"
            yield f"the inventory declares {what} {wanted}, nvidia-smi lists {listed} for GPU {indexes(alike)}"


def _enough(declared_bytes: int, gpu: Gpu) -> bool:
    return gpu.memory_bytes >= declared_bytes * NOMINAL_SHARE


def _same_name(declared: str, name: str) -> bool:
    """Names differ in the maker's: nvidia-smi of older drivers leaves it out."""
    here, there = (text.casefold().removeprefix("nvidia ").split() for text in (declared, name))
    return not declared or here == there


def capability_fits(has: str, wanted: str) -> bool:
    """Whether ``has``, such as ``8.6``, is what ``wanted`` says: ``>=7.0``, ``>7.0``, ``==7.0`` or ``7.0`` (at least).

    False when either of them is something else: what cannot be told is not taken for granted.
    """
    here, rule = _CAPABILITY.fullmatch(has), _CAPABILITY.fullmatch(wanted)
    if here is None or here[1] or rule is None:
        return False
    return _COMPARE[rule[1] or ">="]((int(here[2]), int(here[3])), (int(rule[2]), int(rule[3])))


def driver_fits(has: str, wanted: str) -> bool:
    """Whether the driver ``has``, such as ``535.104.05``, is what ``wanted`` says: ``>=535``, ``>535``, ``==535.104``.

    Parts are compared as numbers, as many as ``wanted`` has: ``==535`` is any driver of that branch, ``>535`` a later
    branch. A part that ``has`` lacks is 0. False when either is something else.
    """
    here, rule = _DRIVER.fullmatch(has), _DRIVER.fullmatch(wanted)
    if here is None or here[1] or rule is None:
        return False
    pairs = list(zip_longest(_numbers(here[2]), _numbers(rule[2]), fillvalue=0))[: rule[2].count(".") + 1]
    return _COMPARE[rule[1] or ">="](tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs))


def driver_may_fit(has: str, wanted: str) -> bool:
    """Like :func:`driver_fits`, for a driver of which only the first parts may be known, such as its branch ``535``."""
    rule = _DRIVER.fullmatch(wanted)
    if rule is None or has.count(".") >= rule[2].count("."):
        return driver_fits(has, wanted)
    known = ".".join(rule[2].split(".")[: has.count(".") + 1])
    return driver_fits(has, f"{'==' if rule[1] == '==' else '>='}{known}")


def _numbers(text: str) -> Numbers:
    return tuple(map(int, text.split(".")))


def _capability_of(gpu: Gpu) -> str:
    return gpu.compute_capability if _CAPABILITY.fullmatch(gpu.compute_capability) else ""


def _driver_of(gpu: Gpu) -> str:
    return gpu.driver if _DRIVER.fullmatch(gpu.driver) else ""


def _alike(gpus: Iterable[Gpu], of: Callable[[Gpu], str]) -> Iterator[list[Gpu]]:
    """The GPUs in groups of one name and one value."""
    groups: dict[tuple[str, str], list[Gpu]] = {}
    for gpu in gpus:
        groups.setdefault((gpu.name, of(gpu)), []).append(gpu)
    return iter(groups.values())


def cards(gpus: Sequence[Gpu]) -> str:
    """``GPU 0, 1 (NVIDIA H200)``, for GPUs of one name."""
    return f"GPU {indexes(gpus)} ({gpus[0].name})" if gpus[0].name else f"GPU {indexes(gpus)}"


def indexes(gpus: Iterable[Gpu]) -> str:
    """``0, 1``."""
    return ", ".join(str(gpu.index) for gpu in gpus)


def gib(size_bytes: int) -> str:
    """``12.0 GiB``."""
    return f"{size_bytes / 1024**3:.1f} GiB"
