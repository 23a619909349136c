"""How a run ended, in two words, and what to type next."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

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
    """A command, and what it is for."""

    command: str
    why: str


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
UNFINISHED = Verdict("unfinished", Tone.UNKNOWN)
DAMAGED = Verdict("end not known", Tone.UNKNOWN)
_LOOK = Next("fleetdeploy status", "what each host serves now")


def verdict(story: RunStory, *, damaged: bool = False) -> Verdict:
    """What the run came to; ``damaged`` is one whose journal is not believed to its end."""
    return verdict_of(story.exit_code, damaged=damaged)


def verdict_of(exit_code: int | None, *, damaged: bool = False) -> Verdict:
    """The same of an exit code; None is a run that nothing tells the end of."""
    if exit_code is None:
        return DAMAGED if damaged else UNFINISHED
    return _OF_CODE.get(exit_code, Verdict(f"exit code {exit_code}", Tone.BAD))


def what_next(story: RunStory, *, damaged: bool = False) -> tuple[Next, ...]:
    """The commands that go on from here, the first to type first."""
    again = (Next(story.command, "the same once more"),) if story.command else ()
    if story.own:
        return again if story.exit_code != 0 else ()
    if story.exit_code is None and damaged:
        return (_LOOK, *again)
    resume = Next(f"fleetdeploy resume {story.id}", "carries the run to its end")
    if story.exit_code is None:
        return (resume, _LOOK)
    if story.exit_code == 0:
        return (_LOOK,)
    if story.plays and story.exit_code in {3, 4}:
        return (_LOOK, Next(resume.command, f"once it is mended: {resume.why}"))
    if story.plays:
        return (resume, _LOOK)
    return tuple(Next(item.command, "once it is mended: nothing was touched") for item in again)
