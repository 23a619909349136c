"""How a run ended, in two words, and what to type next."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum

from fleetdeploy.domain.outcome import HostState
from fleetdeploy.domain.redaction import MASKED
from fleetdeploy.report.story.parts import HostStory
from fleetdeploy.report.story.run_story import RunStory


class Tone(str, Enum):
    """How good it is: what colours and symbols go by."""

    GOOD = "good"
    PARTLY = "partly"
    BAD = "bad"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Verdict:
    """``word`` is what an exit code means, or that nothing tells of an end."""

    word: str
    tone: Tone


@dataclass(frozen=True)
class Next:
    """A command, and what it is for. A ``look`` goes on with nothing."""

    command: str
    why: str
    look: bool = False


WHY = "why it failed"
"""What the look at the run's own lines is for."""
_MENDED = "once it is mended"
_WHEN = {
    6: "once the other run is over",
    8: "once the hosts that were skipped can be reached",
    9: "once somebody agrees",
    10: "once nothing holds it back any longer",
    130: "goes on with it",
    143: "goes on with it",
}
"""When to go on, by exit code; of all others once what failed is mended."""
_FAILED_SOMEWHERE = 4
_LEFT_ALONE = "sync leaves what failed alone for a while (--retry-after)"
_BRINGING = frozenset({"deploy", "sync"})
_PROVING = frozenset({"activate", "verify"})
_DOES_NOT_SERVE = re.compile(r"(\S+?):? version (\d+) (?:failed|was answered wrongly|is (?!\S+ but not wanted))")
_ENDED = "its server ended with status"
_STATE = frozenset({"--state-dir"})
_PLACES = _STATE | {"-i", "--inventory", "--project"}
_OF_CODE = {
    0: Verdict("converged", Tone.GOOD),
    1: Verdict("a bug", Tone.BAD),
    2: Verdict("bad input", Tone.BAD),
    3: Verdict("failed and taken back", Tone.BAD),
    4: Verdict("failed, fleet mixed", Tone.BAD),
    5: Verdict("preflight refused", Tone.BAD),
    6: Verdict("locked", Tone.PARTLY),
    7: Verdict("model refused", Tone.BAD),
    8: Verdict("some hosts skipped", Tone.PARTLY),
    9: Verdict("held for a person", Tone.PARTLY),
    10: Verdict("changes pending", Tone.PARTLY),
    130: Verdict("interrupted", Tone.PARTLY),
    143: Verdict("interrupted", Tone.PARTLY),
}
_OF_NO_RELEASE = {0: Verdict("done", Tone.GOOD), 4: Verdict("failed", Tone.BAD)}
_OF_COMMAND = {"prune": _OF_NO_RELEASE, "rollback": {0: Verdict("rolled back", Tone.GOOD)}}
"""Of those that do not bring about what the inventory says."""
UNFINISHED = Verdict("unfinished", Tone.UNKNOWN)
DAMAGED = Verdict("end not known", Tone.UNKNOWN)


def verdict(story: RunStory, *, damaged: bool = False) -> Verdict:
    """What the run came to; ``damaged`` is one whose journal is not believed to its end."""
    words = _OF_NO_RELEASE if story.own else _OF_COMMAND.get("".join(story.argv[:1]), {})
    found = None if story.exit_code is None else words.get(story.exit_code)
    return found or verdict_of(story.exit_code, damaged=damaged)


def verdict_of(exit_code: int | None, *, damaged: bool = False) -> Verdict:
    """The same of an exit code; None is a run that nothing tells the end of."""
    if exit_code is None:
        return DAMAGED if damaged else UNFINISHED
    return _OF_CODE.get(exit_code, Verdict(f"exit code {exit_code}", Tone.BAD))


def what_next(story: RunStory, *, damaged: bool = False) -> tuple[Next, ...]:
    """The commands that go on from here, the first to type first; none where nothing is left to do.

    The first is the one that the run's last line names, where it names any. Where what was brought does not serve, the
    same once more would fail in the same way: then the first shows why.
    """
    if story.exit_code == 0:
        return ()
    look = Next(_command("status", story, _PLACES), "what each host serves now", look=True)
    again = story.again or story.command
    if story.own:
        return _known(Next(again, _MENDED if story.exit_code == _FAILED_SOMEWHERE else "the same once more"))
    if story.exit_code is None and damaged:
        return (look, *_known(Next(again, "the same once more")))
    resume = f"{_command('resume', story, _STATE)} {story.id}"
    if story.exit_code is None:
        return (Next(resume, "carries the run to its end, unless it still goes on"), look)
    if MASKED in again:
        again = shlex.join([*shlex.split(resume), *(word for name in story.masked for word in ("-e", f"{name}=..."))])
    first = _known(Next(again, _WHEN.get(story.exit_code, _MENDED)))
    if first and (culprit := _culprit(story)):
        why = Next(f"{_command('runs show', story, _STATE)} {story.id}", WHY, look=True)
        aside = f"; {_LEFT_ALONE}" if _verb(story) == "sync" else ""
        return (why, Next(again, f"{_MENDED}, or {culprit} is taken out of the inventory{aside}"), look)
    if story.plays:
        return (*first, look)
    return tuple(Next(item.command, f"{item.why}; nothing was touched") for item in first)


def _culprit(story: RunStory) -> str:
    """What was brought and does not serve, in words; empty where a host failed for another reason, or none did."""
    if _verb(story) not in _BRINGING:
        return ""
    said = [text for host in story.hosts.values() for text in _failed_by(host)]
    found = {match.groups() for text in said if (match := _DOES_NOT_SERVE.search(text))}
    if len(found) == 1 and all(map(_DOES_NOT_SERVE.search, said)):
        ((model, number),) = found
        return f"version {number} of {model}"
    return "what is new" if found or any(_ENDED in text for text in said) else ""


def _failed_by(host: HostStory) -> list[str]:
    """What the proof of a host said that failed by itself."""
    if host.state not in {HostState.FAILED.value, HostState.REVERTED.value} or host.taken_back:
        return []
    return [item.message.partition("\n")[0] for item in host.troubles if item.task in _PROVING and not item.undo]


def _verb(story: RunStory) -> str:
    """The command's name."""
    return (*story.argv, *story.command.split()[1:], "")[0]


def _known(item: Next) -> tuple[Next, ...]:
    return (item,) if item.command else ()


def _command(verb: str, story: RunStory, options: Collection[str]) -> str:
    """Another command about the same fleet: with these options, as the run was given them."""
    kept, words = list[str](), list(story.argv)
    words = words[: words.index("--")] if "--" in words else words
    for at, word in enumerate(words):
        name, equals, _ = word.partition("=")
        if name not in options:
            continue
        kept += [word] if equals else words[at : at + 2]
    return shlex.join(["fleetdeploy", *verb.split(), *kept])
