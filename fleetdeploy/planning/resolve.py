"""From wishes to resolved desired state: numbers instead of ``latest``, manifests read, templates rendered.

Everything here happens before any host is contacted. Model directories and templates are read, nothing else is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from fleetdeploy.config.secrets.for_templates import for_templates, special
from fleetdeploy.config.templates import TemplateSet
from fleetdeploy.domain.inventory import Host
from fleetdeploy.domain.redaction import Redactor
from fleetdeploy.domain.secret import Secret
from fleetdeploy.domain.service import (
    DesiredModel,
    DesiredService,
    GoldenRequest,
    ModelVersion,
    ModelWish,
    ServiceWish,
    VersionsWish,
)
from fleetdeploy.domain.signatures import KnownSignatures
from fleetdeploy.errors import ArtefactRefused, InputError, Problem
from fleetdeploy.planning.container import MODELS_TARGET
from fleetdeploy.tfserving import golden, manifest, model_config, saved_model, signature_reader
from fleetdeploy.tfserving.version_names import versions_in


class Artefacts:
    """Model versions and golden requests read from disk, each once however many hosts want it. Files that ``hashes``
    knows are not even read once.
    """

    def __init__(self, hashes: manifest.Hashes | None = None) -> None:
        self._hashes = hashes
        self._versions: dict[tuple[Path, int, bool], ModelVersion] = {}
        self._golden: dict[Path, tuple[GoldenRequest, ...]] = {}
        self._signatures: dict[Path, Mapping[int, KnownSignatures]] = {}

    def version(self, wish: ModelWish, number: int) -> ModelVersion:
        """One version of a model, checked and with its manifest. Raises ArtefactRefused."""
        key = (wish.source, number, wish.accept_incomplete)
        if key not in self._versions:
            directory = wish.source / str(number)
            if not directory.is_dir():
                raise ArtefactRefused(
                    f"model {wish.name!r} has no version {number}: {directory} is not a directory",
                    where=wish.where("versions"),
                    hint=f"versions there: {', '.join(map(str, numbers_in(wish.source))) or 'none'}",
                )
            found = saved_model.problems(saved_model.inspect(directory))
            if wish.accept_incomplete:
                found = tuple(item for item in found if not isinstance(item, saved_model.IncompleteVariables))
            if found:
                raise ArtefactRefused(problems=found)
            self._versions[key] = ModelVersion(number, directory, manifest.read_manifest(directory, self._hashes))
        return self._versions[key]

    def signatures(self, source: Path) -> Mapping[int, KnownSignatures]:
        """The signatures of all versions in a model's source: which of them hosts serve now is not known yet."""
        if source not in self._signatures:
            self._signatures[source] = {
                number: signature_reader.read(source / str(number)) for number in numbers_in(source)
            }
        return self._signatures[source]

    def golden(self, path: Path) -> tuple[GoldenRequest, ...]:
        """The golden requests of one file. Raises InputError."""
        if path not in self._golden:
            self._golden[path] = golden.load(path)
        return self._golden[path]


def numbers_in(source: Path) -> tuple[int, ...]:
    """The version numbers under a model's source directory, ascending, by TF Serving's naming rule."""
    _check_source(source)
    try:
        return versions_in(source)
    except OSError as error:
        raise ArtefactRefused(
            f"model source {source} cannot be listed: {error.strerror}", hint="check its owner and mode"
        ) from None


def _check_source(source: Path, *, where: str = "") -> None:
    if not source.is_dir():
        raise ArtefactRefused(
            f"model source {source} is not a directory",
            where=where,
            hint="`source` is relative to the inventory that sets it",
        )


def resolve_numbers(wish: VersionsWish, source: Path, *, where: str = "") -> tuple[int, ...]:
    """The explicit numbers a wish, written at ``where``, stands for, ascending."""
    if wish.numbers:
        return tuple(sorted(wish.numbers))
    found = numbers_in(source)
    if len(found) < wish.latest:
        raise ArtefactRefused(
            f"{source} has {len(found)} numeric version directories, {wish.latest} wanted",
            where=where,
            hint="a version directory is named by a plain positive number",
        )
    return found[-wish.latest :]


def resolve_host(host: Host, templates: TemplateSet, artefacts: Artefacts) -> tuple[DesiredService, ...]:
    """Everything ``host`` shall run. Raises InputError with all problems of the host at once."""
    desired, problems, refused = [], list[Problem](), False
    for wish in host.services:
        try:
            desired.append(resolve_service(wish, host, templates, artefacts))
        except InputError as error:
            refused = refused or isinstance(error, ArtefactRefused)
            problems += error.problems
    if problems:
        raise (ArtefactRefused if refused else InputError)(problems=problems)
    return tuple(desired)


def resolve_service(wish: ServiceWish, host: Host, templates: TemplateSet, artefacts: Artefacts) -> DesiredService:
    """One service of one host: versions read, labels checked, configuration rendered and parsed back."""
    models, problems, refused = [], list[Problem](), False
    for model in wish.models:
        try:
            models.append(resolve_model(model, artefacts))
        except InputError as error:
            refused = refused or isinstance(error, ArtefactRefused)
            problems += [replace(item, where=item.where or wish.where) for item in error.problems]
    if problems:
        raise (ArtefactRefused if refused else InputError)(problems=problems)
    _open(wish)
    rendered = Redactor()
    try:
        text = _rendered(wish, models, host, templates, rendered)
    except InputError as error:
        raise InputError(problems=[replace(item, host=host.name) for item in error.problems]) from None
    shown = rendered.text(text)
    return DesiredService(wish, tuple(models), text, shown if shown != text else "")


def _rendered(wish: ServiceWish, models: list[DesiredModel], host: Host, templates: TemplateSet, used: Redactor) -> str:
    """The text of a service's model.config, checked. Raises InputError with the template's place."""
    where, context = templates.place_of(wish.template), _context(wish, models, host, used)
    text = templates.render(wish.template, context, where=wish.where)
    place_in = partial(templates.place_in, wish.template, context)
    config = model_config.parse(text, where=where, place_in=place_in)
    model_config.check(config, where=where)
    _check_rendered(model_config.wanted(config), models, where)
    return model_config.to_text(config)


def _open(wish: ServiceWish) -> None:
    """Find out the secrets of a service's environment, before any host is contacted and any thread is started."""
    problems: list[Problem] = []
    for value in wish.environment.values():
        if isinstance(value, Secret):
            try:
                value.reveal()
            except InputError as error:
                problems += error.problems
    if problems:
        raise InputError(problems=problems)


def resolve_model(wish: ModelWish, artefacts: Artefacts) -> DesiredModel:
    """One model: its versions read from disk and its golden requests, which must cover every version."""
    _check_source(wish.source, where=wish.where("source"))
    numbers = resolve_numbers(wish.versions, wish.source, where=wish.where("versions"))
    problems = [
        Problem(
            f"label {label!r} of model {wish.name!r} points to version {number}, which is not among its versions",
            where=wish.where("labels"),
            hint=f"versions here: {', '.join(map(str, numbers))}",
        )
        for label, number in wish.labels.items()
        if number not in numbers
    ]
    if problems:
        raise InputError(problems=problems)
    versions = tuple(artefacts.version(wish, number) for number in numbers)
    requests: tuple[GoldenRequest, ...] = ()
    if wish.golden:
        _check_golden_file(wish.golden, wish)
        requests = artefacts.golden(wish.golden)
        _check_golden(wish, numbers, requests)
    return DesiredModel(
        wish.name,
        versions,
        dict(wish.labels),
        requests,
        signatures=artefacts.signatures(wish.source),
        allow_signature_change=wish.allow_signature_change,
    )


def _check_golden_file(path: Path, wish: ModelWish) -> None:
    if not path.is_file():
        raise InputError(
            f"golden requests of model {wish.name!r}: {path} is not a file",
            where=wish.where("golden"),
            hint="name a file of golden requests, or write `golden: none` to go without proof",
        )


def _check_golden(wish: ModelWish, numbers: tuple[int, ...], requests: tuple[GoldenRequest, ...]) -> None:
    missing = [number for number in numbers if not golden.for_version(requests, number)]
    if missing:
        raise InputError(
            f"no golden request for version {missing[0]} of model {wish.name!r} in {wish.golden}",
            where=wish.where("golden"),
            hint=f'add a line with "version": {missing[0]} and the expected answer; AVAILABLE alone is no proof',
        )


def _context(wish: ServiceWish, models: list[DesiredModel], host: Host, used: Redactor) -> Mapping[str, object]:
    names = special(host)
    return {
        **names,
        "service": wish.name,
        "host": for_templates({**host.variables, **names}, used),
        "models": [
            {
                "name": model.name,
                "base_path": f"{MODELS_TARGET}/{model.name}",
                "versions": list(model.wanted),
                "labels": dict(model.labels),
            }
            for model in models
        ],
    }


def _check_rendered(wanted: Mapping[str, model_config.ModelEntry], models: list[DesiredModel], template: str) -> None:
    """A template may add settings, but not serve anything else than the inventory says."""
    by_name = {model.name: model for model in models}
    problems = []
    for name in sorted(wanted.keys() ^ by_name.keys()):
        verb = "adds" if name in wanted else "leaves out"
        problems.append(Problem(f"the template {verb} model {name!r}", where=template))
    for name in sorted(wanted.keys() & by_name.keys()):
        entry, model = wanted[name], by_name[name]
        if entry.base_path != f"{MODELS_TARGET}/{name}":
            problems.append(Problem(f"base_path of {name!r} must be {MODELS_TARGET}/{name}", where=template))
        if tuple(sorted(entry.versions)) != model.wanted or dict(entry.labels) != dict(model.labels):
            problems.append(Problem(f"versions or labels of {name!r} differ from the inventory's", where=template))
    if problems:
        raise InputError(problems=problems)
