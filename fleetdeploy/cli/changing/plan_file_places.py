"""The places that a plan file names, which was made in one directory and may be deployed from another."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fleetdeploy.errors import PlanFileRefused

if TYPE_CHECKING:
    from fleetdeploy.report.plan_file.stored import Inputs
    from fleetdeploy.rollout.bound_play import BoundPlay


def from_here(planned: Inputs, *, path: str) -> Inputs:
    """The inputs with paths that can be read from the present directory. Raises PlanFileRefused.

    They are those of then while they are there. A checkout that has moved since, to another machine or another job, is
    read where it stands now. In both cases all that its files say is held against the plan.
    """
    then, here = Path(planned.directory), Path.cwd()
    if then == here or (Path(planned.playbook).is_absolute() and not _relative(planned)):
        return planned
    if (then / planned.playbook).is_file():
        return planned.model_copy(
            update={
                "inventory": [item if is_list(item) else str(then / item) for item in planned.inventory],
                "playbook": str(then / planned.playbook),
                "project": str(then / planned.project),
            }
        )
    if Path(planned.playbook).is_file():
        return planned.model_copy(update={"directory": str(here)})
    raise PlanFileRefused(
        f"this was planned in {then}, and there is no {planned.playbook} there, nor below {here}",
        where=path,
        hint="nothing was touched; run it in the project's directory, or plan again with `plan --out FILE`",
    )


def check_commands(planned: Inputs, plays: Sequence[BoundPlay], *, path: str) -> None:
    """Refuse a command on this machine that would be looked for somewhere else than it was planned to be.

    Raises PlanFileRefused.
    """
    if Path(planned.directory) == Path.cwd():
        return
    calls = [call for play in plays for call in (*play.calls, *play.rescue, *play.always)]
    for call in calls:
        program = next(iter(getattr(call.arguments, "command", ())), "")
        if "/" in program and not Path(program).is_absolute():
            raise PlanFileRefused(
                f"`{call.task.name}` runs {program} on this machine, which is looked for from the present directory: "
                f"this was planned in {planned.directory}",
                where=path,
                hint=f"nothing was touched; run it there: cd {planned.directory}",
            )


def same(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether paths (or lists of hosts, which are no paths) name the same."""

    def place(text: str) -> str:
        return text if is_list(text) else str(Path(text).resolve())

    return [place(text) for text in one] == [place(text) for text in other]


def is_list(source: str) -> bool:
    """Whether an inventory source is a list of hosts, ``h1,h2,``."""
    return "," in source


def _relative(planned: Inputs) -> bool:
    paths = [planned.project, *(item for item in planned.inventory if not is_list(item))]
    return not all(Path(item).is_absolute() for item in paths)
