"""Case files: what is wanted, what was seen, and the plan that must come of it. The keys: ``cases/README.md``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from simulation.controller import desired, sim_host, version
from simulation.seen import empty_host, on_disk, settled_host

from fleetdeploy.domain.inventory import DeclaredGpus
from fleetdeploy.domain.observed import (
    Absent,
    Disk,
    DockerFacts,
    ObservedHost,
    ObservedService,
    Present,
    Reading,
    State,
    Unknown,
    VersionState,
)
from fleetdeploy.domain.plan import HostPlan
from fleetdeploy.domain.service import DesiredService, GpuRequest, Manifest
from fleetdeploy.planning.host import plan_host

FOLDER = Path(__file__).parent / "cases"


def wanted(spec: dict[str, Any]) -> DesiredService:
    """A service from ``{models: {name: [versions]}, labels, image, gpus, bind, runtime}``."""
    spec = dict(spec)
    models = {name: tuple(numbers) for name, numbers in spec.pop("models", {"ranker": [1]}).items()}
    image, labels, flags = spec.pop("image", "serving:1"), spec.pop("labels", {}), spec.pop("flags", {})
    service = desired(models=models, image=image, labels=labels, flags=flags)
    if "gpus" in spec:
        spec["gpus"] = GpuRequest(devices=tuple(spec["gpus"]))
    return replace(service, wish=replace(service.wish, **spec))


def reading(value: Any) -> Reading[Any]:
    """``absent``, ``{unknown: reason}`` or a value."""
    if value == "absent":
        return Absent()
    if isinstance(value, dict) and "unknown" in value:
        return Unknown(value["unknown"])
    return Present(value)


@dataclass(frozen=True)
class Case:
    """One case file."""

    name: str
    body: dict[str, Any]

    def plan(self) -> HostPlan:
        service = wanted(self.body.get("want", {}))
        before = self.body.get("deployed")
        host = empty_host(service) if before is None else settled_host(wanted(before))
        host = self._changed(host, service)
        target = sim_host("gpu1")
        if "declared_gpus" in self.body:
            target = replace(target, gpus=DeclaredGpus(self.body["declared_gpus"]))
        allow = self.body.get("allow_remove", False)
        return plan_host(target, [service], host, stamp="T1", allow_remove=allow)

    def _changed(self, host: ObservedHost, service: DesiredService) -> ObservedHost:
        seen, changes = host.services[service.name], dict(self.body.get("observed", {}))
        for key in ("docker", "addresses", "gpus", "listening"):
            if key in changes:
                value = reading(changes.pop(key))
                if isinstance(value, Present) and isinstance(value.value, list):
                    value = Present(tuple(value.value))
                host = replace(host, **{key: value})
        if "images" in changes:
            docker = DockerFacts("29.0", ("runc", "nvidia"), changes.pop("images"))
            host = replace(host, docker=Present(docker))
        if "runtimes" in changes:
            assert isinstance(host.docker, Present)
            host = replace(host, docker=Present(replace(host.docker.value, runtimes=tuple(changes.pop("runtimes")))))
        for key, value in changes.items():
            seen = _service_change(seen, key, value)
        return replace(host, services={service.name: seen})


def _service_change(seen: ObservedService, key: str, value: Any) -> ObservedService:
    if key == "served":
        return replace(seen, served={model: _served(states) for model, states in value.items()})
    if key == "container" and isinstance(value, dict) and "unknown" not in value:
        assert isinstance(seen.container, Present)
        return replace(seen, container=Present(replace(seen.container.value, **value)))
    if key == "on_disk":
        found = {model: {n: on_disk(version(model, n)) for n in numbers} for model, numbers in value.items()}
        return replace(seen, versions=Present(found))
    if key == "other_content":
        assert isinstance(seen.versions, Present)
        found = {model: dict(there) for model, there in seen.versions.value.items()}
        for model, number in value.items():
            found[model][number] = replace(on_disk(version(model, number)), manifest_digest=Manifest(()).digest)
        return replace(seen, versions=Present(found))
    if key == "disk" and isinstance(value, dict) and "free_mib" in value:
        return replace(seen, disk=Present(Disk(value["free_mib"] << 20, 10**6)))
    return replace(seen, **{key: reading(value)})


def _served(states: Any) -> Reading[tuple[VersionState, ...]]:
    """``{7: AVAILABLE, 8: "END NOT_FOUND: no"}`` or a reading."""
    if not isinstance(states, dict) or "unknown" in states:
        return reading(states)
    pairs = ((number, *text.partition(" ")) for number, text in sorted(states.items(), reverse=True))
    return Present(tuple(VersionState(number, State(state), error) for number, state, _, error in pairs))


def load() -> list[Case]:
    """Every case of every file: a file is a list of cases, or one."""
    found = []
    for path in sorted(FOLDER.glob("*.yaml")):
        for name, body in yaml.safe_load(path.read_text(encoding="utf-8")).items():
            found.append(Case(f"{path.stem}: {name}", body))
    return found
