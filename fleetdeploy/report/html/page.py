"""The report of a run: one HTML file that needs nothing else, drawn from what the run's events told.

It loads nothing and lets nothing be loaded: its Content-Security-Policy names its own style and script by their hash.
Without the script, which only filters and unfolds, everything can be read.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from fleetdeploy import __version__
from fleetdeploy.report.html import charts
from fleetdeploy.report.html.host_parts import HostPart, host_parts
from fleetdeploy.report.html.scale import Scale
from fleetdeploy.report.html.timeline import timeline
from fleetdeploy.report.html.words import SYMBOLS
from fleetdeploy.report.safe_text import safe
from fleetdeploy.report.story.run_story import RunStory
from fleetdeploy.report.story.standing import UNFINISHED, WAITING
from fleetdeploy.report.story.verdict import verdict, what_next
from fleetdeploy.report.times import clock, lasted, moment
from fleetdeploy.report.wording import counted
from fleetdeploy.rollout.naming import named

MARK = '<meta name="generator" content="fleetdeploy'
"""What every report begins with, and no other file does."""
_HEAD_BYTES = 1000
_FOLDED_FROM = 20
"""More hosts without trouble are folded together."""
_TEMPLATES = Path(__file__).parent / "templates"
_STATES = ("failed", "unreachable", "reverted", UNFINISHED, WAITING, "skipped", "changed", "ok")


@dataclass(frozen=True)
class Warned:
    """Something to know before the page is believed."""

    text: str
    hint: str = ""


def page(story: RunStory, *, damage: str = "", hint: str = "", torn: bool = False) -> str:
    """The whole file. ``damage`` says from where on the run's journal is not believed, ``hint`` what to do about it;
    ``torn`` that its last line was cut off.
    """
    end_s = story.now_s if story.ended_s is None else story.ended_s
    scale = Scale(story.started_s or end_s, end_s)
    hosts, found = host_parts(story), verdict(story, damaged=bool(damage))
    told = [host for host in hosts if host.told]
    well = sum(not host.troubled for host in told)
    style, script = (_asset(name) for name in ("report.css", "report.js"))
    return _environment().get_template("report.html.j2").render(
        version=__version__, style=style, script=script, csp=_policy(style, script),
        story=story, verdict=found, title=_title(story, found.word), last_line=_last_line(story, damage),
        refusal=story.refusal.partition("\n")[2],
        warnings=tuple(_warnings(story, damage, hint, torn=torn)), facts=tuple(_facts(story)),
        next=what_next(story, damaged=bool(damage)), ticks=scale.ticks(), timeline=timeline(story, scale),
        capacity=charts.capacity(story, scale), pools=charts.pools(story, scale), hosts=hosts, counts=_counts(hosts),
        told=told, folded=well if well > _FOLDED_FROM else 0,
        remarks=[note for note in story.notes if not note.host or note.kind == "rollout_stopped"],
    )  # fmt: skip


def is_report(head: bytes) -> bool:
    """Whether a file with this beginning is a report of ours."""
    return MARK.encode() in head[:_HEAD_BYTES]


def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, finalize=_readable,
    )  # fmt: skip
    made.filters.update(clock=clock, counted=counted, named=named, kind_of=_kind_of)
    made.globals["symbols"] = SYMBOLS
    return made


def _readable(value: object) -> object:
    """Hosts say what they like: what nobody can see, such as a change of the writing's direction, is an escape."""
    if not isinstance(value, str) or isinstance(value, Markup) or value.isprintable():
        return value
    return "\n".join(safe(line) for line in value.split("\n"))


def _asset(name: str) -> Markup:
    return Markup((_TEMPLATES / name).read_text(encoding="utf-8"))  # noqa: S704  our own file


def _policy(style: str, script: str) -> str:
    def hashed(text: str) -> str:
        return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

    return (
        f"default-src 'none'; style-src 'sha256-{hashed(style)}'; script-src 'sha256-{hashed(script)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _title(story: RunStory, word: str) -> str:
    words = story.command.split()
    name = " ".join(words[:2]) if words[:1] == ["fleetdeploy"] else "fleetdeploy"
    return f"{name}: {word}" + (f" ({moment(story.started_s)})" if story.started_s is not None else "")


def _last_line(story: RunStory, damage: str) -> str:
    if story.last_line:
        return story.last_line
    if damage:
        return "How it ended is not known: its journal is damaged."
    return "Nothing tells of its end: it was stopped at once, killed, or still goes on."


def _warnings(story: RunStory, damage: str, hint: str, *, torn: bool) -> Iterator[Warned]:
    if damage:
        yield Warned(f"The journal is {damage}", hint)
    if torn:
        yield Warned("The journal's last line was cut off, as after a kill: what it told is not here.")
    if story.started_s is None:
        yield Warned("There is nothing to show: the journal has no record that can be used.")


def _facts(story: RunStory) -> Iterator[tuple[str, str]]:
    """What stands below the verdict: a name and a value each."""
    yield "Run", story.id
    if story.by:
        yield "By", story.by
    if story.directory:
        yield "In", story.directory
    if story.started_s is not None:
        yield "Began", moment(story.started_s)
        yield "Took" if story.ended_s is not None else "Told for", lasted(story.elapsed_s)
    if story.expected_s is not None:
        yield "Expected", f"{'at least' if story.at_least else 'about'} {lasted(story.expected_s)}"
    if story.exit_code is not None:
        yield "Exit code", str(story.exit_code)
    if story.own:
        yield "On", counted(len(story.hosts), "host")
    elif story.changing:
        yield "To change", f"{len(story.changing)} of {counted(len(story.hosts), 'host')}"


def _counts(hosts: tuple[HostPart, ...]) -> tuple[tuple[str, int], ...]:
    """How many hosts ended how, those in trouble first; states that no host is in are left out."""
    states = [host.state for host in hosts]
    known = [(state, states.count(state)) for state in _STATES]
    others = sorted({state for state in states if state and state not in _STATES})
    without = states.count("")
    found = [*known, *((state, states.count(state)) for state in others), ("not begun", without)]
    return tuple((state, count) for state, count in found if count)


def _kind_of(line: str) -> str:
    """Of a line of a plan: whether it is what comes, what goes, or neither."""
    return {"+": "comes", "-": "goes"}.get(line.lstrip()[:1], "")
