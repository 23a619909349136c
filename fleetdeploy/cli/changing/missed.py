"""What the settings ask for and did not happen: people who were not told, metrics that were not written.

Of a command that a timer starts it is said when it is news. One that finds nothing new would be mailed at every run for
a hook that is down, and nobody reads the mails that matter among three hundred a day.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property


class Missed:
    """What one command missed. ``remembers`` is whether it is held against what its last run missed: of each command
    line a file of the state directory has that, as long as anything is missed.
    """

    def __init__(self, arguments: argparse.Namespace, remembers: bool) -> None:
        from fleetdeploy.cli.changing.called import command_line

        command = arguments.redactor.text(command_line(arguments))
        name = hashlib.sha256(command.encode("utf-8", "surrogateescape")).hexdigest()[:16]
        self._path = arguments.state_dir / "missed" / f"{name}.json"
        self._remembers = remembers
        self._redactor = arguments.redactor

    @cached_property
    def before(self) -> frozenset[str]:
        """What its last run missed, by names."""
        if self._remembers:
            with suppress(OSError, ValueError):
                told = json.loads(self._path.read_text(encoding="utf-8"))
                return frozenset(filter(lambda name: isinstance(name, str), told if isinstance(told, list) else ()))
        return frozenset()

    def say(self, missed: Mapping[str, str], *, only_news: bool) -> None:
        """Tell each of them by its name and text; with ``only_news`` those that the last run did not miss."""
        for name, text in missed.items():
            if not only_news or name not in self.before:
                note(text)
        if self._remembers and self.before != frozenset(missed):
            with suppress(OSError):  # it is said again then
                self._keep(sorted(map(self._redactor.text, missed)))

    def _keep(self, names: list[str]) -> None:
        from fleetdeploy.report.whole_file import write_whole

        if not names:
            self._path.unlink(missing_ok=True)
            return
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(self._path, json.dumps(names))


def note(text: str) -> None:
    """On stderr, with --quiet as well: what was asked for in the settings did not happen."""
    from fleetdeploy.report.terminal import aside

    aside(f"note: {text}")
