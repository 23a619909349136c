"""Which tasks of a playbook are meant: ``--tags``, ``--skip-tags`` and ``--start-at-task``.

The rules are those of Ansible's guides "Tags" and "Executing playbooks for troubleshooting". Where Ansible goes on with
nothing, a tag or a task that does not exist is an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from fleetdeploy.config.playbook.schema import SELECTORS
from fleetdeploy.config.syntax.suggest import hint_for
from fleetdeploy.domain.playbook import Play, Playbook, TaskCall
from fleetdeploy.errors import InputError, Problem

ALWAYS, NEVER = "always", "never"
UNTAGGED = frozenset({"untagged"})


@dataclass(frozen=True)
class Selection:
    """What was asked for; without ``tags`` everything that is not tagged ``never``."""

    tags: tuple[str, ...] = ()
    skip_tags: tuple[str, ...] = ()
    start_at: str = ""

    @property
    def narrows(self) -> bool:
        return bool(self.tags or self.skip_tags or self.start_at)

    def takes(self, tags: Iterable[str]) -> bool:
        """Whether a task with these tags is meant."""
        own = frozenset(tags) or UNTAGGED
        return self._wanted(own) and not self._skipped(own)

    def _wanted(self, own: frozenset[str]) -> bool:
        only = set(self.tags or ("all",))
        general = "all" in only or ("tagged" in only and own != UNTAGGED)
        return ALWAYS in own or bool(own & only) or (general and NEVER not in own)

    def _skipped(self, own: frozenset[str]) -> bool:
        skip = set(self.skip_tags)
        if own & skip or ("tagged" in skip and own != UNTAGGED):
            return True
        return "all" in skip and ALWAYS not in own


def narrowed(playbook: Playbook, selection: Selection, *, every_play: bool = False) -> Playbook:
    """The playbook with only the tasks that are meant; plays with none of them are left out, unless ``every_play``.

    Raises InputError for tags and tasks that the playbook does not have, and when nothing is left.
    """
    problems = [*_unknown(playbook, selection.tags, "--tags"), *_unknown(playbook, selection.skip_tags, "--skip-tags")]
    if problems:
        raise InputError(problems=problems)
    chosen = [_of_play(play, selection) for play in playbook.plays]
    plays = tuple(play for play in chosen if play.tasks)
    if not plays:
        tags = sorted(tags_of(playbook))
        given = " ".join(
            f"{name} {','.join(words)}"
            for name, words in (("--tags", selection.tags), ("--skip-tags", selection.skip_tags))
            if words
        )
        what = f"{given} leaves no task" if given else "every task is tagged `never`"
        hint = f"tags of the playbook: {', '.join(tags)}" if tags else "no task of the playbook has a tag"
        raise InputError(what, where=playbook.path, hint=hint)
    if selection.start_at:
        plays = _from(playbook, plays, selection.start_at)
    if every_play:
        meant = {play.number: play for play in plays}
        empty = (replace(play, tasks=(), rescue=(), always=()) for play in playbook.plays)
        plays = tuple(meant.get(play.number, play) for play in empty)
    return replace(playbook, plays=plays)


def tags_of(playbook: Playbook) -> frozenset[str]:
    """All tags that any task has."""
    calls = (call for play in playbook.plays for call in play.all_tasks)
    return frozenset(tag for call in calls for tag in call.tags)


def _unknown(playbook: Playbook, given: Sequence[str], option: str) -> Iterator[Problem]:
    known = tags_of(playbook) | {ALWAYS, NEVER, *SELECTORS}
    for tag in given:
        if tag not in known:
            hint = hint_for(tag, known, what="tags") or "`--list-tasks` shows the tags of every task"
            yield Problem(f"{option}: no task has the tag {tag!r}", playbook.path, hint)


def _of_play(play: Play, selection: Selection) -> Play:
    def meant(calls: tuple[TaskCall, ...]) -> tuple[TaskCall, ...]:
        return tuple(call for call in calls if selection.takes(call.tags))

    return replace(play, tasks=meant(play.tasks), always=meant(play.always), rescue=meant(play.rescue))


def _from(playbook: Playbook, plays: Sequence[Play], name: str) -> tuple[Play, ...]:
    """The plays from the first task of that name on. As in Ansible, the name may be a pattern."""
    for index, play in enumerate(plays):
        for number, call in enumerate(play.tasks):
            if name in {call.label, call.name} or fnmatchcase(call.title, name):
                return (replace(play, tasks=play.tasks[number:]), *plays[index + 1 :])
    titles = {call.title for play in plays for call in play.tasks}
    raise InputError(
        f"--start-at-task: no task is called {name!r}", where=playbook.path, hint=hint_for(name, titles, what="tasks")
    )
