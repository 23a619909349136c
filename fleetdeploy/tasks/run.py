"""``run``: a command on the host, such as a check before the switch or a service that has to be told.

The command is a list of words and meets no shell on the way. It runs on hosts that this run changes, or on every host
with ``every_time``; a status other than 0 is a failure like any other. One that takes the host out of service belongs
between ``drain`` and ``undrain``: what it does to traffic is not known here.

Variables of ``environment``, beside the task or in its play, reach the command and its undo on the connection's
standard input, so that no process list shows their values; secrets among them are taken out of what the command prints.
The command itself reads an empty input.
"""

from __future__ import annotations

import shlex

from pydantic import BaseModel, ConfigDict, Field

from fleetdeploy.config.fields.durations import Duration
from fleetdeploy.config.playbook.task_values import Argv
from fleetdeploy.domain.plan import ServicePlan
from fleetdeploy.domain.redaction import shortened
from fleetdeploy.errors import RemoteCommandFailed
from fleetdeploy.tasks.step import Step

LINES = 20
_SHOWN = 100


class Arguments(BaseModel):
    """``run: {argv: [systemctl, reload, exporter], timeout: 30s}``."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, json_schema_extra={"required": ["argv"]})

    argv: Argv = Field(default=(), description='the command as a list of words, such as ["systemctl", "status", "x"]')
    timeout: Duration = Field(default=60.0, description="how long the command may take")
    changes: bool = Field(default=False, description="whether it counts as a change of the host")
    every_time: bool = Field(default=False, description="whether it also runs on hosts that need no change")
    undo: Argv = Field(default=(), description="the command that takes it back when the host is reverted")


class Run:
    """One command, under a deadline. Its last lines are shown and kept in the journal."""

    name = "run"
    arguments = Arguments
    touches_traffic = False
    prepares = False
    per_host = True
    delegable = True
    optional = True
    commands = ("argv", "undo")
    looks_only = False
    no_undo = ""

    def summary(self, plan: ServicePlan, balanced: bool, arguments: Arguments) -> str:  # noqa: ARG002
        return shortened(shlex.join(arguments.argv), _SHOWN)

    def act(self, step: Step, arguments: Arguments) -> None:
        _run(step, arguments.argv, deadline_s=arguments.timeout)

    def undo(self, step: Step, arguments: Arguments) -> None:
        """The command of the argument `undo` runs; without one nothing is done."""
        if arguments.undo:
            _run(step, arguments.undo, deadline_s=arguments.timeout)

    def longest_s(self, plan: ServicePlan, arguments: Arguments) -> float:  # noqa: ARG002
        return arguments.timeout


def _run(step: Step, argv: tuple[str, ...], *, deadline_s: float) -> None:
    ended = step.session.command(argv, deadline_s=deadline_s, environment=step.variables)
    lines = "\n".join(ended.text.rstrip().splitlines()[-LINES:])
    if ended.status != 0:
        raise RemoteCommandFailed(
            f"{argv[0]} ended with status {ended.status}",
            where=step.session.host.name,
            hint="run it by hand on that host",
            detail=lines,
        )
    if lines:
        step.say(lines)


TASK = Run()
