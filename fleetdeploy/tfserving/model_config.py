"""``model.config``: the text form of ModelServerConfig, read with the real protobuf parser and checked locally.

TF Serving remembers some configurations that it refuses (server_core.cc stores the new list before it checks platforms
and labels), and it waits forever for others, so everything that a server would refuse or hang on is found here first.
fleetdeploy manages explicit versions only: every model must have ``model_version_policy { specific { versions: N } }``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, Final

from google.protobuf import text_format

from fleetdeploy.domain.redaction import shortened
from fleetdeploy.errors import InputError, Problem
from fleetdeploy.tfserving import stubs

PLATFORMS: Final = ("tensorflow",)
"""The platforms of the stock server (its platform map has no other unless ``--platform_config_file`` is given)."""

_MODEL_TYPE_TENSORFLOW: Final = 1
NO_MODELS: Final = "model_config_list {\n}\n"
"""The text for a server without models; an empty file cannot be reloaded, and the server does not even read one."""

_IN_DOUBT: Final = "# fleetdeploy loads this: until this line is gone, the server may have another configuration\n"

_EXPLICIT: Final = "write `model_version_policy { specific { versions: N } }`, the only policy that fleetdeploy manages"


@dataclass(frozen=True)
class ModelEntry:
    """What a configuration asks of one model: ``versions`` ascending, ``labels`` to version numbers."""

    versions: tuple[int, ...]
    labels: Mapping[str, int] = field(default_factory=dict)
    base_path: str = ""


def parse(text: str, *, where: str, place_in: Callable[[int, int], str] | None = None) -> Any:
    """The ModelServerConfig that ``text`` spells. Only its syntax is checked; see :func:`check`.

    Raises InputError with the parser's line and column in ``text``, which is the rendered text, and the line itself.
    Its place is what ``place_in`` makes of that line and column, else ``where``.
    """
    config = stubs.model_server_config_pb2.ModelServerConfig()
    try:
        config.CopyFrom(_parsed(text))
    except text_format.ParseError as error:
        raise _unparsable(text, error, where, place_in) from None
    except RecursionError:
        raise InputError("the rendered text is nested too deeply for a ModelServerConfig", where=where) from None
    return config


@lru_cache(maxsize=256)
def _parsed(text: str) -> Any:
    """Kept, as alike hosts have the same texts and protobuf's text parser is slow: nobody else may get hold of it."""
    config = stubs.model_server_config_pb2.ModelServerConfig()
    text_format.Parse(text, config)
    return config


def _unparsable(
    text: str, error: text_format.ParseError, where: str, place_in: Callable[[int, int], str] | None
) -> InputError:
    line, column = error.GetLine() or 0, error.GetColumn() or 0
    reason = str(error)
    if line:
        reason = reason.removeprefix(f"{line}:{column} : ")
    lines = text.splitlines()
    quoted = lines[line - 1].strip() if 0 < line <= len(lines) else ""
    # The parser quotes the offending line in front of some of its messages; it is quoted once, after the message.
    reason = reason.removeprefix(f"'{lines[line - 1]}': ").strip() if quoted else reason.strip()
    place = f"line {line}, column {column} of the rendered text" if line else "the rendered text"
    hint = f"the line reads: {shortened(quoted, 200)}" if quoted else "the text ends too early: look for a missing `}`"
    if line and place_in is not None:
        where = place_in(line, max(column, 1))
    return InputError(f"{place} is not a valid ModelServerConfig: {reason}", where=where, hint=hint)


def check(config: Any, *, where: str = "") -> None:
    """Raise InputError with everything in ``config`` that a server would refuse, or that would make it wait forever."""
    found = problems(config, where=where)
    if found:
        raise InputError(problems=found)


def problems(config: Any, *, where: str = "") -> tuple[Problem, ...]:
    """Everything in ``config`` that :func:`check` refuses; see tensorflow/serving model_servers/server_core.cc."""
    kind = config.WhichOneof("config")
    if kind == "custom_model_config":
        return (Problem("custom_model_config makes the server abort", where, "write `model_config_list { ... }`"),)
    if kind is None:
        hint = "write `model_config_list {}` for a server without models; an empty text cannot be reloaded"
        return (Problem("the rendered text configures nothing", where, hint),)
    entries = config.model_config_list.config
    counts = Counter(entry.name for entry in entries)
    found = [
        Problem(f"model {name!r} stands {count} times in the list", where, "give every model one `config` block")
        for name, count in counts.items()
        if count > 1 and name
    ]
    for position, entry in enumerate(entries, 1):
        title = f"model {entry.name!r}" if entry.name else f"model number {position}"
        found += [Problem(f"{title}: {message}", where, hint) for message, hint in _entry_problems(entry)]
    return tuple(found)


def _entry_problems(entry: Any) -> Iterator[tuple[str, str]]:
    if not entry.name:
        yield "`name` is empty, so no request can reach it", 'write `name: "..."`'
    yield from _base_path_problems(entry.base_path)
    yield from _platform_problems(entry)
    if entry.HasField("logging_config"):
        yield "`logging_config` is refused by the stock server, after it has loaded everything", "leave it out"
    yield from _version_problems(entry)


def _base_path_problems(base_path: str) -> Iterator[tuple[str, str]]:
    scheme, separator, _ = base_path.partition("://")
    if not base_path:
        yield "`base_path` is missing", 'write the directory as the container sees it: `base_path: "/models/NAME"`'
    elif not base_path.startswith("/") and not (separator and scheme):
        yield f"`base_path` {base_path!r} is relative; the server takes only absolute paths", "let it begin with `/`"


def _platform_problems(entry: Any) -> Iterator[tuple[str, str]]:
    platform, kind = entry.model_platform, entry.model_type
    right = 'write `model_platform: "tensorflow"`'
    if platform and kind:
        yield "both `model_platform` and the deprecated `model_type` are set", "leave `model_type` out"
    elif platform and platform not in PLATFORMS:
        near = get_close_matches(platform.lower(), PLATFORMS, 1)
        yield f"`model_platform` {platform!r} is unknown to the server", f"did you mean {near[0]!r}?" if near else right
    elif not platform and kind != _MODEL_TYPE_TENSORFLOW:
        yield ("`model_type` OTHER is no longer served" if kind else "`model_platform` is missing"), right


def _version_problems(entry: Any) -> Iterator[tuple[str, str]]:
    policy = entry.model_version_policy.WhichOneof("policy_choice")
    if policy != "specific":
        named = f"the version policy is `{policy}`" if policy else "no version policy is set, which means `latest`"
        yield named, _EXPLICIT
        return
    versions = entry.model_version_policy.specific.versions
    if not versions:
        yield "`specific {}` lists no version, and the server would wait for one forever", _EXPLICIT
    for number in versions:
        if number < 1:
            yield f"version {number} is not a positive number", "versions count from 1"
    listed = ", ".join(map(str, sorted(set(versions)))) or "none"
    for label, number in sorted(entry.version_labels.items()):
        if not label:
            yield "a version label has an empty name", "give the label a `key`"
        if number not in versions:
            yield (
                f"label {label!r} points to version {number}, which is not listed (listed: {listed})",
                "list the version under `specific`, or point the label to a listed one",
            )


def wanted(config: Any) -> Mapping[str, ModelEntry]:
    """What a checked configuration asks for, by model name in alphabetical order."""
    return {
        entry.name: ModelEntry(
            versions=tuple(sorted(set(entry.model_version_policy.specific.versions))),
            labels=dict(sorted(entry.version_labels.items())),
            base_path=entry.base_path,
        )
        for entry in sorted(config.model_config_list.config, key=lambda entry: str(entry.name))
    }


def to_text(config: Any) -> str:
    """``config`` as text: models by name, versions ascending, labels by name. Equal configurations give equal texts."""
    ordered = stubs.model_server_config_pb2.ModelServerConfig()
    ordered.CopyFrom(config)
    if ordered.WhichOneof("config") == "model_config_list":
        entries = sorted(config.model_config_list.config, key=lambda entry: str(entry.name))
        ordered.model_config_list.Clear()
        ordered.model_config_list.SetInParent()
        ordered.model_config_list.config.extend(entries)
        for entry in ordered.model_config_list.config:
            if entry.model_version_policy.WhichOneof("policy_choice") == "specific":
                set_versions(entry, entry.model_version_policy.specific.versions)
    return str(text_format.MessageToString(ordered, as_utf8=True))


def in_doubt(text: str) -> str:
    """``text`` as it lies on disk while its server may have another one in memory: marked by a comment."""
    return _IN_DOUBT + text


def is_in_doubt(text: str) -> bool:
    """Whether a run wrote this text and has not seen the server take it."""
    return text.startswith(_IN_DOUBT)


def without_doubt(text: str) -> str:
    """What is marked, or the text itself where nothing is."""
    return text.removeprefix(_IN_DOUBT)


def overlap(old_text: str, new_text: str) -> str:
    """The configuration under which what ``old_text`` serves and what ``new_text`` shall serve are loaded together.

    Every model of either has the union of its versions; a model only in the old text stays as it is. Labels are the
    old ones alone: a label may move only to a version that is AVAILABLE (server_core.cc, UpdateModelVersionLabelMap),
    so the new ones come with the new text, once everything is loaded. A blank ``old_text`` stands for a server without
    models. Raises InputError when a text does not pass :func:`check`, or when no reload leads from one to the other
    (see :func:`reload_obstacles`).
    """
    old, new = _checked_pair(old_text, new_text)
    obstacles = tuple(_obstacles(old, new))
    if obstacles:
        raise InputError(problems=[Problem(text, hint="replace the container instead") for text in obstacles])
    served = {entry.name: entry for entry in old.model_config_list.config}
    both = stubs.model_server_config_pb2.ModelServerConfig()
    both.model_config_list.SetInParent()
    for entry in new.model_config_list.config:
        merged = both.model_config_list.config.add()
        merged.CopyFrom(entry)
        merged.version_labels.clear()
        before = served.pop(entry.name, None)
        if before is not None:
            old_versions = before.model_version_policy.specific.versions
            set_versions(merged, [*old_versions, *entry.model_version_policy.specific.versions])
            merged.version_labels.update(before.version_labels)
    both.model_config_list.config.extend(served.values())
    return to_text(both)


def without_labels(text: str) -> str:
    """The same models and versions, and no label."""
    bare = stubs.model_server_config_pb2.ModelServerConfig()
    bare.CopyFrom(parse(text, where="model.config"))
    for entry in bare.model_config_list.config:
        entry.version_labels.clear()
    return to_text(bare)


def reload_obstacles(old_text: str, new_text: str) -> tuple[str, ...]:
    """Why no reload brings a running server from one text to the other, one sentence each; empty if one does.

    The server refuses another platform for a listed model, and under another base path it does not read versions again
    whose numbers it has loaded already. Raises InputError when a text does not pass :func:`check`.
    """
    return tuple(_obstacles(*_checked_pair(old_text, new_text)))


def _checked_pair(old_text: str, new_text: str) -> tuple[Any, Any]:
    old = parse(old_text if old_text.strip() else NO_MODELS, where="the configuration on the host")
    check(old, where="the configuration on the host")
    new = parse(new_text, where="the new configuration")
    check(new, where="the new configuration")
    return old, new


def _obstacles(old: Any, new: Any) -> Iterator[str]:
    served = {entry.name: entry for entry in old.model_config_list.config}
    for entry in new.model_config_list.config:
        before = served.get(entry.name)
        if before is None:
            continue
        for what in ("base_path", "model_platform"):
            was, shall = getattr(before, what), getattr(entry, what)
            if was != shall and not (what == "model_platform" and {was, shall} == {"", "tensorflow"}):
                yield f"model {entry.name!r} changes its {what} from {was!r} to {shall!r}"


def set_versions(entry: Any, versions: Iterable[int]) -> None:
    """Make a ModelConfig list exactly these versions, ascending and each once."""
    ordered = sorted(set(versions))
    specific = entry.model_version_policy.specific
    specific.SetInParent()
    del specific.versions[:]
    specific.versions.extend(ordered)
