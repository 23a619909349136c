"""From hosts to what they shall run: models are read from disk, which may take minutes, and templates rendered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from fleetdeploy.cli import options
from fleetdeploy.config.inventory.told_once import of_expressions
from fleetdeploy.config.syntax.suggest import hint_for
from fleetdeploy.config.templates import TemplateSet
from fleetdeploy.domain.inventory import Host
from fleetdeploy.errors import ArtefactRefused, InputError, Problem
from fleetdeploy.planning.resolve import Artefacts, resolve_host
from fleetdeploy.remote.clock import SystemClock
from fleetdeploy.remote.kept_hashes import KeptHashes
from fleetdeploy.rollout.targets import Target


def resolve(hosts: Sequence[Host], project: Path) -> Mapping[str, Target]:
    """Every host's desired services; problems of several hosts are told once each."""
    hashes = KeptHashes(options.cache_home() / "hashes", SystemClock())
    try:
        return _resolved(hosts, TemplateSet(project / "templates"), Artefacts(hashes))
    finally:
        hashes.keep()


def _resolved(hosts: Sequence[Host], templates: TemplateSet, artefacts: Artefacts) -> Mapping[str, Target]:
    found: dict[str, Target] = {}
    problems: dict[Problem, None] = {}
    refused = False
    for host in hosts:
        try:
            found[host.name] = Target(host, resolve_host(host, templates, artefacts))
        except InputError as error:
            refused = refused or isinstance(error, ArtefactRefused)
            problems |= dict.fromkeys(error.problems)
    if problems:
        of_hosts = of_expressions((item.host, replace(item, host="")) for item in problems if item.host)
        shared = [item for item in problems if not item.host]
        raise (ArtefactRefused if refused else InputError)(problems=[*shared, *of_hosts])
    return found


def models_named(names: Sequence[str], targets: Mapping[str, Target]) -> frozenset[str]:
    """The models of --allow-signature-change. Raises InputError for one that no host of the run shall serve."""
    known = {model.name for target in targets.values() for service in target.desired for model in service.models}
    problems = [
        Problem(
            f"--allow-signature-change {name}: no host of this run shall serve a model of that name",
            hint=hint_for(name, known, what="models"),
        )
        for name in names
        if name not in known
    ]
    if problems:
        raise InputError(problems=problems)
    return frozenset(names)
