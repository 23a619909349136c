"""GPU memory as a plan shows it: what is required of what is there, and how much more while versions overlap."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from fleetdeploy.domain.gpu_fit import GpuFit, ModelNeed
from fleetdeploy.domain.plan import HostPlan

_GIB = 1024**3


def gpu_lines(host: HostPlan) -> Iterator[Text]:
    """A line for each set of GPUs on which a service that changes needs memory; nothing where nothing is required."""
    changing = {service.desired.name for service in host.services if service.changed}
    for fit in host.gpu_fits:
        if changing & set(fit.services):
            yield Text(f"  {_line(fit)}")


def _line(fit: GpuFit) -> str:
    indexes = ", ".join(str(card.index) for card in fit.cards)
    line = f"GPU {indexes}: {fit.steady_bytes / _GIB:.1f} of {fit.capacity_bytes / _GIB:.1f} GiB required"
    reloading = [need for need in fit.needs if need.service in fit.reloads]
    if fit.peak_bytes > fit.steady_bytes:
        leaving = list(_numbered(fit.needs, leaving=True))
        coming = list(_numbered(reloading, leaving=False))
        loads = "load" if len(coming) > 1 else "loads"
        how = f"while {', '.join(coming)} {loads} beside" if coming else "before the unload of"
        line += f", {fit.peak_bytes / _GIB:.1f} GiB {how} {', '.join(leaving)}"
    dropped = [name.partition("/")[2] for name in fit.dropped if name.partition("/")[0] in fit.reloads]
    if dropped:
        line += f"; not counted: {', '.join(dropped)}, which stays loaded meanwhile and is no longer in the inventory"
    if fit.undecided:
        line += "; not found out whether whole versions can be placed card by card"
    return line


def _numbered(needs: Sequence[ModelNeed], *, leaving: bool) -> Iterator[str]:
    """``ranker/1``: the versions that leave memory, or those that come into it."""
    for need in needs:
        numbers = set(need.loaded) - set(need.wanted) if leaving else set(need.wanted) - set(need.loaded)
        yield from (f"{need.model}/{number}" for number in sorted(numbers))


def gpu_fit_values(fit: GpuFit) -> dict[str, object]:
    """One set of GPUs as JSON values, sizes in bytes. What the ``dropped`` models need is not known."""
    return {
        "gpus": [{"index": card.index, "name": card.name, "memory_bytes": card.memory_bytes} for card in fit.cards],
        "capacity_bytes": fit.capacity_bytes,
        "required_bytes": fit.steady_bytes,
        "peak_bytes": fit.peak_bytes,
        "models": [
            {
                "service": need.service,
                "model": need.model,
                "version_bytes": need.version_bytes,
                "versions": list(need.wanted),
                "loaded": list(need.loaded),
                "required_bytes": need.steady_bytes,
                "together_bytes": need.together_bytes,
            }
            for need in fit.needs
        ],
        "reloads": list(fit.reloads),
        "dropped": list(fit.dropped),
        "undecided": fit.undecided,
    }
