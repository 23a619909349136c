"""``plan --out FILE``, and ``deploy FILE``: from a command line to a plan file and back."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fleetdeploy import __version__
from fleetdeploy.cli import options
from fleetdeploy.cli.changing import plan_file_places as places
from fleetdeploy.errors import InputError, PreflightRefused, Problem

if TYPE_CHECKING:
    from fleetdeploy.cli.binding.project import Project
    from fleetdeploy.domain.forecast import Forecast
    from fleetdeploy.domain.plan import HostPlan
    from fleetdeploy.report.plan_file.stored import Inputs, StoredPlan


@dataclass(frozen=True)
class Planned:
    """A plan file that stands in a playbook's place on the command line."""

    path: str
    stored: StoredPlan
    arguments: argparse.Namespace

    def check_inputs(self, project: Project) -> None:
        """Before any host is contacted. Raises PlanOutdated."""
        from fleetdeploy.report.plan_file import agreement, document

        places.check_commands(self.stored.inputs, project.plays, path=self.path)
        wanted = document.wanted(project.targets.by_name, project.plays, project.inventory.hosts)
        wanted = agreement.as_stored(wanted, self.arguments.redactor)
        agreement.check_wanted(self.stored.wanted, wanted, again=self.again())

    def check_fleet(self, project: Project, expected: Forecast) -> Planned:
        """Before anything is touched: what hosts are held against when their turn comes.

        A fleet that needs nothing any longer is as the plan wanted it, and is to stay as it was just seen. Raises
        PlanOutdated, or PreflightRefused for what no run could begin with.
        """
        from fleetdeploy.report.plan_file import agreement

        self._check_refusals(expected)
        wanted, observed, plan = _documents(self.arguments, project, expected)
        if expected.changing:
            agreement.check_fleet(self.stored, wanted, observed, plan, again=self.again())
            return self
        agreement.check_wanted(self.stored.wanted, wanted, again=self.again())
        return replace(self, stored=replace(self.stored, observed=observed, plan=plan))

    def _check_refusals(self, expected: Forecast) -> None:
        """What stands in the way of any run is told in its own words: the file is not what has to be mended."""
        plan = expected.plan
        problems = [Problem(item.message, item.host, item.hint) for item in plan.refusals]
        problems += [Problem(f"unreachable: {reason}", name) for name, reason in plan.unreachable.items()]
        problems += [Problem(item.message, item.where, item.hint) for item in expected.refusals]
        if problems:
            hint = f"nothing was touched; mend this, or plan without it: {self.again()}"
            refusal = PreflightRefused("\n".join(map(str, problems)), hint=hint)
            refusal.exit_code = expected.refusal_exit_code or PreflightRefused.exit_code
            raise refusal

    def look(self, project: Project) -> Callable[[HostPlan, bool], HostPlan]:
        """What a host is held against when its turn comes; see :attr:`Executor.recheck`."""
        from fleetdeploy.report.plan_file import agreement

        def recheck(plan: HostPlan, prepared: bool) -> HostPlan:
            targets, redactor = project.targets.by_name, self.arguments.redactor
            return agreement.host_as_planned(self.stored, targets, plan, prepared=prepared, redactor=redactor)

        return recheck

    def again(self, *, deploy: bool = False) -> str:
        """The command that plans again with the same inputs, and with ``deploy`` the one that applies it."""
        text = shlex.join(_words(self.stored.inputs, self.path))
        return f"{text} && {shlex.join(['fleetdeploy', 'deploy', self.path])}" if deploy else text


def opened(arguments: argparse.Namespace) -> Planned | None:
    """The plan file that stands in the playbook's place, its inputs put into the arguments; None for a playbook.

    In both cases ``arguments.forks`` is a number from then on: before, a default can be told from what was typed.

    Raises PlanFileRefused for one that cannot be used, InputError for options that would mean something else.
    """
    from fleetdeploy.config.syntax.suggest import missing_part
    from fleetdeploy.config.syntax.text_file import exists
    from fleetdeploy.report.plan_file import stored

    named = arguments.playbook
    if named and not exists(Path(named)):
        raise InputError("no such playbook or plan file", where=named, hint=missing_part(Path(named))[1])
    if not named or not stored.is_plan_file(Path(named)):
        arguments.forks = options.forks(arguments)
        return None
    found = stored.read(Path(named))
    found = replace(found, inputs=places.from_here(found.inputs, path=named))
    problems = list(_contradictions(arguments, found.inputs))
    if problems:
        raise InputError(problems=problems)
    for name, value in found.inputs.model_dump(exclude={"extra_vars", "directory"}).items():
        setattr(arguments, name, value)
    arguments.project = Path(found.inputs.project)
    return Planned(named, found, arguments)


def inputs_of(arguments: argparse.Namespace) -> Inputs:
    """What of the arguments decides what is planned."""
    from fleetdeploy.cli.binding.project import DEFAULT_PLAYBOOK, sources_of
    from fleetdeploy.report.plan_file.stored import Inputs

    return Inputs(
        directory=str(Path.cwd()),
        inventory=arguments.inventory or [str(source) for source in sources_of(arguments)],
        playbook=str(arguments.playbook or arguments.project / DEFAULT_PLAYBOOK),
        project=str(arguments.project),
        limit=arguments.limit,
        tags=arguments.tags,
        skip_tags=arguments.skip_tags,
        start_at_task=arguments.start_at_task,
        allow_remove=arguments.allow_remove,
        allow_signature_change=arguments.allow_signature_change,
        again=arguments.again,
        extra_vars=_names(arguments),
        forks=arguments.forks,
    )


def check_out(path: Path, *, again: bool) -> None:
    """Before any work: whether the plan could be written there. ``again`` says that a plan file was given as well."""
    from fleetdeploy.report.plan_file import stored

    if again:
        raise InputError(
            "--out, and a plan file to be shown", where="command line", hint="name the playbook to plan anew"
        )
    stored.check_target(path)


def write(path: Path, arguments: argparse.Namespace, project: Project, expected: Forecast) -> None:
    """Keep the plan that was shown, and say so on stderr. One that a deploy would refuse is not kept.

    Raises InputError when the file cannot be written.
    """
    from fleetdeploy.remote.clock import SystemClock
    from fleetdeploy.report.plan_file import stored

    if expected.refusal_exit_code or expected.plan.unreachable:
        sys.stderr.write(f"{path}: not written, because a deploy of this plan would be refused\n")
        return
    now = datetime.fromtimestamp(SystemClock().now_s(), tz=timezone.utc)
    inputs = inputs_of(arguments)
    wanted, observed, plan = _documents(arguments, project, expected)
    made = stored.StoredPlan(inputs, wanted, observed, plan, now.strftime("%Y-%m-%dT%H:%M:%SZ"), __version__)
    stored.write(path, made)
    sys.stderr.write(f"{path}: written; apply just this with: {shlex.join(['fleetdeploy', 'deploy', str(path)])}\n")


def _words(inputs: Inputs, path: str) -> list[str]:
    words = ["fleetdeploy", "plan", *_pairs("-i", inputs.inventory)]
    words += [] if inputs.project == "." else ["--project", inputs.project]
    words += _pairs("-l", [inputs.limit] if inputs.limit is not None else [])
    words += [*_pairs("-t", inputs.tags), *_pairs("--skip-tags", inputs.skip_tags)]
    words += _pairs("--start-at-task", [inputs.start_at_task] if inputs.start_at_task else [])
    words += ["--allow-remove"] if inputs.allow_remove else []
    words += _pairs("--allow-signature-change", inputs.allow_signature_change)
    words += ["--again"] if inputs.again else []
    words += _pairs("-e", [f"{name}=..." for name in inputs.extra_vars])
    words += [] if inputs.forks == options.FORKS else ["-f", str(inputs.forks)]
    return [*words, inputs.playbook, "--out", path]


def _documents(arguments: argparse.Namespace, project: Project, expected: Forecast) -> tuple[dict[str, Any], ...]:
    from fleetdeploy.report.plan import as_json
    from fleetdeploy.report.plan_file import agreement, document

    targets, plan = project.targets.by_name, expected.plan
    made = (
        document.wanted(targets, project.plays, project.inventory.hosts),
        document.observed(plan, targets),
        as_json.plan(expected),
    )
    return tuple(agreement.as_stored(item, arguments.redactor) for item in made)


def _contradictions(arguments: argparse.Namespace, planned: Inputs) -> Iterator[Problem]:
    """Options beside a plan file that would make another plan of it."""
    leave = "leave it out, or plan again with it"
    where = "command line"

    def said(values: Sequence[str]) -> str:
        return ",".join(values) or "none"

    if arguments.inventory and not places.same(arguments.inventory, planned.inventory):
        yield Problem(
            f"-i {said(arguments.inventory)}: this was planned with -i {said(planned.inventory)}", where, leave
        )
    if arguments.project is not options.HERE and not places.same([str(arguments.project)], [planned.project]):
        yield Problem(f"--project {arguments.project}: this was planned with {planned.project}", where, leave)
    if arguments.limit is not None and arguments.limit != planned.limit:
        yield Problem(f"-l {arguments.limit}: this was planned with {_limit(planned)}", where, leave)
    given: Mapping[str, tuple[list[str], list[str]]] = {
        "--tags": (arguments.tags, planned.tags),
        "--skip-tags": (arguments.skip_tags, planned.skip_tags),
        "--start-at-task": ([*filter(None, [arguments.start_at_task])], [*filter(None, [planned.start_at_task])]),
        "--allow-signature-change": (arguments.allow_signature_change, planned.allow_signature_change),
    }
    for option, (now, before) in given.items():
        if now and now != before:
            yield Problem(f"{option} {said(now)}: this was planned with {option} {said(before)}", where, leave)
    allowed = {
        "--allow-remove": (arguments.allow_remove, planned.allow_remove),
        "--again": (arguments.again, planned.again),
    }
    for option in (name for name, (now, before) in allowed.items() if now and not before):
        yield Problem(f"{option}: this was planned without it", where, leave)
    if getattr(arguments, "allow_unreachable", False):
        hint = "leave it out; a host that cannot be reached needs another plan"
        yield Problem("--allow-unreachable: a plan file is of hosts that were all reached", where, hint)
    if arguments.forks not in {None, planned.forks}:
        yield Problem(f"-f {arguments.forks}: this was planned with -f {planned.forks}", where, leave)
    names = _names(arguments)
    if missing := [name for name in planned.extra_vars if name not in names]:
        hint = "give it again with the same value; values of -e are not kept in the file"
        yield Problem(f"-e {', '.join(missing)}: this was planned with it", where, hint)
    if more := [name for name in names if name not in planned.extra_vars]:
        yield Problem(f"-e {', '.join(more)}: this was planned without it", where, leave)


def _limit(planned: Inputs) -> str:
    return "no limit" if planned.limit is None else f"-l {planned.limit}"


def _names(arguments: argparse.Namespace) -> list[str]:
    from fleetdeploy.cli.binding import extra_vars
    from fleetdeploy.cli.binding.opening import store_of

    return sorted(extra_vars.by_name(arguments.extra_vars, secrets=store_of(arguments)))


def _pairs(option: str, values: Sequence[str]) -> list[str]:
    return [word for value in values for word in (option, value)]
