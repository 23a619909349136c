"""The error tree. Each class owns its exit code; the command line turns nothing else into a number.

::

    FleetdeployError                 1   a bug, or an error nobody has classified yet
    ├── InputError                   2   inventory, playbook, template, flags: nothing was touched
    │   ├── PatternError             2   a host pattern that names nothing
    │   └── PlanFileRefused          2   a plan file that cannot be read, or is of another format
    ├── RolloutFailed                3   failed; every touched host is back on what it served before
    │   └── FleetMixed               4   failed; the fleet is mixed or a host's state is unknown
    ├── PreflightRefused             5   hosts down, no space, GPU does not fit: nothing was touched
    │   ├── Frozen                   5   a freeze window: nothing new is rolled out until it is over
    │   ├── TriedLately              5   a release that failed a short while ago: `sync` tries it again later
    │   ├── Withheld                 5   somebody else has a host drained or in maintenance: it was not touched
    │   └── PlanOutdated             5   a plan file: the fleet or the inputs have changed since it was written
    ├── LockHeld                     6   another run has the lock
    ├── ArtefactRefused              7   a model artefact's layout, manifest or content is not acceptable
    ├── Held                         9   a person has to agree first, or did not
    ├── Interrupted            130/143   SIGINT, or SIGTERM and SIGHUP; the state is recorded
    ├── HostError                    4   something failed on one host; the rollout turns it into an outcome
    │   ├── Unreachable              4   no SSH connection, or it was lost
    │   │   └── HostKeyRefused       2   the host's key is unknown, changed or revoked
    │   ├── LeaseLost                4   another run has taken over the host: nothing more is changed there
    │   ├── RemoteCommandFailed      4   a command ended with a status other than 0
    │   ├── DeadlineExceeded         4   a wait reached its deadline; the outcome may be unknown
    │   ├── TransferFailed           4   rsync or the check of what it copied
    │   │   └── NoSpace              5   the host's file system is too full for what is to be staged
    │   ├── DockerFailed             4   the host's Docker engine answered with an error, or not at all
    │   ├── ReloadRefused            4   HandleReloadConfigRequest was answered with an error
    │   ├── NotHealthy               4   wanted versions not AVAILABLE, or a golden request not answered
    │   │   ├── NoAnswer             4   nobody answered: no connection to the server, or one that ended too early
    │   │   └── WrongAnswer          4   a golden request was answered, but not as recorded
    │   └── BalancerFailed           4   drain or undrain could not be confirmed by reading back
    │       ├── BalancerSilent       4   the balancer did not answer at all
    │       └── InMaintenance        4   somebody else has the host in maintenance: it is left there
    └── LabError                     2   the throw-away fleet on this machine cannot be made
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Problem:
    """One thing wrong with the input: where it is, what it is, and what to do about it.

    ``host`` is the one that it was found on, where a file is right for others: alike problems are told together.
    ``one_of_many_in`` is a file in which so much is wrong that people are only shown how many more such problems there
    are.
    """

    message: str
    where: str = ""
    hint: str = ""
    host: str = ""
    one_of_many_in: str = ""

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}" if self.where else self.message
        return f"{text}\n    {self.hint}" if self.hint else text


class FleetdeployError(Exception):
    """Base of all errors that fleetdeploy raises on purpose.

    ``message`` says what went wrong, ``where`` is ``file:line:column`` or a host's name, ``hint`` is the next
    thing to do, ``detail`` holds the last lines of remote output, shown under the message.
    """

    exit_code = 1

    def __init__(self, message: str, *, where: str = "", hint: str = "", detail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


class InputError(FleetdeployError):
    """Input that cannot be used. ``problems`` lists everything found, not only the first."""

    exit_code = 2

    def __init__(
        self,
        message: str = "",
        *,
        where: str = "",
        hint: str = "",
        detail: str = "",
        problems: Iterable[Problem] = (),
    ) -> None:
        self.problems = tuple(problems) or (Problem(message, where, hint),)
        if not message:
            first = self.problems[0]
            message, where, hint = first.message, first.where, first.hint
        super().__init__(message, where=where, hint=hint, detail=detail)


class PatternError(InputError):
    """A host pattern that matches nothing, or names a host or group that does not exist."""


class PlanFileRefused(InputError):
    """A file that is a plan, but cut short, changed by hand, or of another version of the format."""


class RolloutFailed(FleetdeployError):
    """The rollout stopped by itself; every touched host is back on what it served before."""

    exit_code = 3


class FleetMixed(RolloutFailed):
    """The rollout stopped and hosts differ, or one host's state is unknown: a person is needed."""

    exit_code = 4


class PreflightRefused(FleetdeployError):
    """The fleet is not in a state in which the rollout may start. Nothing was touched."""

    exit_code = 5


class Frozen(PreflightRefused):
    """A freeze window: nothing new is rolled out. Nothing was touched."""


class TriedLately(PreflightRefused):
    """A release that failed a short while ago: it is tried again by itself, later. Nothing was touched."""


class Withheld(PreflightRefused):
    """Somebody other than fleetdeploy keeps the host out of its balancer, by ``how``. Nothing was touched there."""

    how: Final = "drained or in maintenance"


class PlanOutdated(PreflightRefused):
    """A plan file that does not hold any more; ``detail`` has each difference, one a line. Nothing was touched."""


class LockHeld(FleetdeployError):
    """Another run holds the lock; the message names its owner."""

    exit_code = 6


class ArtefactRefused(InputError):
    """A model directory that must not be shipped: layout, manifest, or changed content under an old number."""

    exit_code = 7


class Held(FleetdeployError):
    """The rollout waits for a person: nobody is here to agree, or somebody did not."""

    exit_code = 9


class Interrupted(FleetdeployError):
    """SIGINT or SIGTERM arrived; ``signal_number`` decides the exit code (128 + number)."""

    def __init__(self, message: str, *, signal_number: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.exit_code = 128 + signal_number


class HostError(FleetdeployError):
    """Something failed on the host named in ``where``."""

    exit_code = 4


class Unreachable(HostError):
    """No SSH connection to the host could be made, or it was lost."""


class HostKeyRefused(Unreachable):
    """The host key is not the pinned one. Raised before any authentication."""

    exit_code = 2


class LeaseLost(HostError):
    """Another run holds the host's lease by now, or somebody broke it: every further change there is refused."""


class RemoteCommandFailed(HostError):
    """A remote command ended with a status other than 0."""


class DeadlineExceeded(HostError):
    """A wait reached its deadline. What was waited for may or may not have happened: read it back."""


class TransferFailed(HostError):
    """rsync failed, or what arrived is not what the manifest says."""


class NoSpace(TransferFailed):
    """The host has too little free space or too few free inodes for what is to be staged."""

    exit_code = 5


class DockerFailed(HostError):
    """The host's Docker engine answered with an error, or did not answer."""


class ReloadRefused(HostError):
    """TF Serving refused a configuration, or did not settle after it."""


class NotHealthy(HostError):
    """The server does not serve what it shall: a version is not AVAILABLE or a golden request failed."""


class NoAnswer(NotHealthy):
    """Nobody answered the call: the server could not be reached, or the connection ended before its answer."""


class WrongAnswer(NotHealthy):
    """A golden request was answered with something else than what is recorded."""


class BalancerFailed(HostError):
    """A drain or undrain was not confirmed by what the balancer itself reports."""


class BalancerSilent(BalancerFailed):
    """The balancer could not be reached or did not answer: whether it did what it was told is not known."""


class InMaintenance(BalancerFailed):
    """The server is in maintenance, which fleetdeploy never sets: whoever did ends it. ``told`` is whether the balancer
    had been told anything of the server before that was seen.
    """

    how: Final = "in maintenance"

    def __init__(self, message: str, *, where: str = "", hint: str = "", told: bool = False) -> None:
        super().__init__(message, where=where, hint=hint)
        self.told = told


class LabError(FleetdeployError):
    """The lab cannot be made or used on this machine."""

    exit_code = 2
