"""The GPUs that are there against what the inventory declares and what services and models want."""

from __future__ import annotations

from collections.abc import Iterator

from fleetdeploy.domain.checkup import Finding, HostFacts, known
from fleetdeploy.gates.doctor.check import Check, Group, bad, fine
from fleetdeploy.planning.gpu_fit import differences, indexes, misfits


def look(facts: HostFacts) -> Iterator[Finding]:
    """A host that declares none and whose services want none may have any."""
    host = facts.host
    wanted = [service for service in host.services if service.gpus.wanted]
    if host.gpus is None and not wanted:
        return
    gpus = known(facts.observed.gpus) or ()
    wrong = False
    for text in differences(host.gpus, gpus) if host.gpus else ():
        wrong = True
        yield bad(
            text,
            why="a rollout refuses such a host",
            fix="find out what happened to the host (`dmesg | grep -i nvrm` there), or mend `gpus` in the inventory",
        )
    here = {gpu.index for gpu in gpus}
    for service in wanted:
        lacking = sorted(set(service.gpus.devices or range(service.gpus.count)) - here)
        if lacking or not here:
            wrong = True
            yield bad(
                f"service {service.name} wants GPU {', '.join(map(str, lacking)) or 'all'}, the host has "
                f"{indexes(gpus) or 'none'}",
                fix="mend `gpus` of the service, or the host",
            )
        for _, text in misfits(service, gpus) if gpus else ():
            wrong = True
            yield bad(text, fix="place the model on other hosts, or mend `requires`")
    if not wrong:
        yield fine(f"GPUs are as declared: {len(gpus)} x {gpus[0].name}" if gpus else "no GPUs, and none are wanted")


CHECK = Check(Group.GPUS, "which GPUs the host has", look, "ssh {host} nvidia-smi -L")
