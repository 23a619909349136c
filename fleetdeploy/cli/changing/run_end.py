"""What a run is told to, and how its end is: to its journals, and by whoever is ended by a signal behind it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fleetdeploy.errors import FleetdeployError

if TYPE_CHECKING:
    from fleetdeploy.domain.outcome import RunOutcome
    from fleetdeploy.domain.redaction import Redactor
    from fleetdeploy.rollout.emitter import Emitter
    from fleetdeploy.rollout.interrupt import Interrupts
    from fleetdeploy.rollout.journal import Journal

UNREAD = 141
"""The exit code where the reader of the output went away."""


def journals(arguments: argparse.Namespace, run: str, until: ExitStack) -> list[Journal]:
    """The run's own and that of ``--events``, until the stack is left. Raises InputError, or PreflightRefused.

    That of ``--events`` is opened first: a run that it ends leaves no journal without a record.
    """
    from fleetdeploy.rollout.journal import Journal, open_run

    asked_for = [until.enter_context(closing(Journal(arguments.events)))] if arguments.events else []
    return [until.enter_context(closing(open_run(arguments.state_dir / "runs", run))), *asked_for]


@dataclass
class Again:
    """The command that goes on from here, where that is not the one that was typed; empty as long as it is."""

    line: str = ""

    @property
    def told(self) -> dict[str, str]:
        return {"again": self.line} if self.line else {}


@contextmanager
def told_where_it_fails(emit: Emitter, again: Again) -> Iterator[None]:
    """An error that ends the run meanwhile is its end, a bug as well: one without an end in its journal was killed, or
    goes on.
    """
    from fleetdeploy.domain.events import Kind

    try:
        yield
    except FleetdeployError as error:
        text, whole = str(error).partition("\n")[0], said(error)
        more = {"refusal": whole} if whole != text else {}
        with suppress(FleetdeployError):
            emit(Kind.RUN_FINISHED, text, exit_code=error.exit_code, **more, **again.told)
        raise
    except BrokenPipeError:
        with suppress(FleetdeployError):
            emit(Kind.RUN_FINISHED, "nobody reads what it prints any longer", exit_code=UNREAD, **again.told)
        raise
    except Exception as error:
        text = f"a bug: {type(error).__name__}: {error}".partition("\n")[0]
        with suppress(Exception):  # telling may be what fails
            emit(Kind.RUN_FINISHED, text, exit_code=FleetdeployError.exit_code, **again.told)
        raise


def said(error: FleetdeployError) -> str:
    """All that a refusal tells a person, to be held against what an earlier one told."""
    return "\n".join(part for part in (str(error), error.hint, error.detail) if part)


def tell(outcome: RunOutcome, emit: Emitter, interrupts: Interrupts, redactor: Redactor) -> None:
    """Tell the outcome, which stays as it is where the journal has no room for it."""
    from fleetdeploy.domain.events import Kind
    from fleetdeploy.report import as_json

    interrupts.over(redactor.text(f"\n{outcome.last_line}\n"))
    with suppress(FleetdeployError):  # a journal that is full by now must not hide how the run ended
        emit(
            Kind.RUN_FINISHED,
            outcome.last_line,
            exit_code=outcome.exit_code,
            hosts=as_json.hosts(outcome),
            again=outcome.again,
        )
