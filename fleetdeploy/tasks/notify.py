"""``notify``: tell somebody, by a webhook or by a command on the controller. Whether it arrives decides nothing,
unless it is ``required``.

What is sent is JSON: ``run``, ``host``, ``service``, ``release``, ``activation``, ``message`` and, why the host failed,
``failed``; a command reads it from its standard input. Addresses of webhooks are secrets, and appear nowhere but for
their host.

A command has the environment of fleetdeploy itself, without what holds a secret of the inventory, and with what
``environment`` sets, beside the task or in its play.
"""

from __future__ import annotations

import json
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from fleetdeploy.config.fields.durations import Duration
from fleetdeploy.config.playbook.task_values import Argv, WebAddress
from fleetdeploy.domain.plan import ServicePlan
from fleetdeploy.domain.redaction import end_of
from fleetdeploy.errors import HostError, RemoteCommandFailed
from fleetdeploy.tasks.step import Step

FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 30.0
"""Between two tries, each twice as long as the last: who is restarted is back after a few, and nobody is pressed."""


class Arguments(BaseModel):
    """``notify: {url: "https://chat.example.net/hook", message: "switched over"}``."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        json_schema_extra={"oneOf": [{"required": ["url"]}, {"required": ["command"]}]},
    )

    url: WebAddress = Field(default="", description="where the JSON is posted to, an http or https address")
    command: Argv = Field(default=(), description="a command on the controller, as a list of words")
    message: str = Field(default="", max_length=1000, description="a text of your own")
    timeout: Duration = Field(default=10.0, description="how long one try may take")
    retries: int = Field(default=2, ge=0, le=10, description="how many more times it is tried")
    required: bool = Field(default=False, description="whether the host fails when nobody could be told")


class Notify:
    """Only for hosts that this run changes; once in all with ``run_once``."""

    name = "notify"
    arguments = Arguments
    touches_traffic = False
    prepares = False
    per_host = True
    delegable = False
    optional = True
    commands = ("command",)
    looks_only = True
    no_undo = "what was told cannot be taken back"

    def summary(self, plan: ServicePlan, balanced: bool, arguments: Arguments) -> str:  # noqa: ARG002
        whom = urlsplit(arguments.url).hostname if arguments.url else " ".join(arguments.command[:1])
        return f"tell {whom}" if whom else ""

    def act(self, step: Step, arguments: Arguments) -> None:
        body = json.dumps({
            "run": step.run,
            "host": step.session.host.name,
            "service": step.plan.desired.name,
            "release": step.plan.release_id,
            "activation": step.plan.activation.value,
            "message": arguments.message,
            "failed": step.trouble,
        }).encode()  # fmt: skip
        for tried in range(arguments.retries + 1):
            try:
                _tell(step, arguments, body)
            except HostError as error:
                if tried < arguments.retries and not step.ending:
                    step.wait(_pause_s(tried))
                elif arguments.required:
                    raise
                else:
                    step.say(f"nobody was told: {error.message}")
                    return
            else:
                return

    def undo(self, step: Step, arguments: Arguments) -> None:
        """See ``no_undo``."""

    def longest_s(self, plan: ServicePlan, arguments: Arguments) -> float:  # noqa: ARG002
        return (arguments.retries + 1) * arguments.timeout + sum(map(_pause_s, range(arguments.retries)))


def _pause_s(tried: int) -> float:
    return min(FIRST_WAIT_S * 2.0**tried, LONGEST_WAIT_S)


def _tell(step: Step, arguments: Arguments, body: bytes) -> None:
    if arguments.url:
        step.outside.post(arguments.url, body, deadline_s=arguments.timeout)
        return
    ended = step.outside.command(arguments.command, body, deadline_s=arguments.timeout, environment=step.variables)
    if ended.status != 0:
        raise RemoteCommandFailed(
            f"{arguments.command[0]} ended with status {ended.status}", detail=end_of(ended.text, 2000)
        )


TASK = Notify()
