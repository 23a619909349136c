"""What a model server does under a plan, as numbered steps. The same text on alike hosts."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from rich.text import Text

from fleetdeploy.domain.plan import ServicePlan
from fleetdeploy.domain.server_changes import LabelMove, ModelPhase, PhaseKind, ServerPhase
from fleetdeploy.report.safe_text import safe

WIDTH = 80
_HEAD = "    server: "
_GLUE = "\N{NO-BREAK SPACE}"


def server_lines(plan: ServicePlan) -> Iterator[Text]:
    """The steps, wrapped; nothing where the server is left as it is."""
    phases, unread = plan.server.phases, plan.server.unread
    said = [", ".join(map(_kept_together, _phase(phase, plan))) for phase in phases]
    if len(said) > 1:
        said = [f"{number}. {text}" for number, text in enumerate(said, 1)]
    if unread and said:
        # Why it did not answer names addresses, which differ from host to host; the JSON form has it.
        said.append(f"(it did not answer for {_list(list(unread))}: told from its configuration)")
    for number, text in enumerate(said):
        lines = textwrap.wrap(
            text,
            WIDTH,
            initial_indent=" " * len(_HEAD) if number else _HEAD,
            subsequent_indent=" " * (len(_HEAD) + (3 if len(phases) > 1 else 2)),
            break_long_words=False,
            break_on_hyphens=False,
        )
        yield from (Text(line.replace(_GLUE, " ")) for line in lines)


def _kept_together(clause: str) -> str:
    """A clause that fits a line is not broken."""
    return clause.replace(" ", _GLUE) if len(clause) < WIDTH - 2 * len(_HEAD) else clause


def _phase(phase: ServerPhase, plan: ServicePlan) -> Iterator[str]:
    steps = phase.models
    if phase.kind is PhaseKind.STOP:
        gone = _list([name for step in steps for name in _named(step, step.unloads)])
        yield f"the process ends, and with it {gone}" if gone else "the process ends"
        return
    if phase.kind is PhaseKind.START:
        yield "a new process starts"
    yield from _loads(steps)
    waits = [name for step in steps for name in _named(step, step.waits)]
    if waits:
        yield f"waits for {_list(waits)}"
    yield from _labels([move for step in steps for move in step.labels], plan)
    yield from _unloads(steps)
    if not steps and phase.kind is PhaseKind.TOGETHER:
        yield "loads nothing new"
    if not steps and phase.kind is PhaseKind.FINAL:
        yield "takes the other settings"
    if phase.kind is not PhaseKind.FINAL:
        yield _golden(phase, plan)


def _loads(steps: Sequence[ModelPhase]) -> Iterator[str]:
    alone = [name for step in steps if not step.beside for name in _named(step, step.loads)]
    if alone:
        yield f"loads {_list(alone)}"
    for step in steps:
        if step.loads and step.beside:
            yield f"loads {_list(_named(step, step.loads))} beside {_list(_named(step, step.beside))}"


def _unloads(steps: Sequence[ModelPhase]) -> Iterator[str]:
    gone = [name for step in steps if not step.unlisted for name in _named(step, step.unloads)]
    if gone:
        yield f"unloads {_list(gone)}"
    dropped = [name for step in steps if step.unlisted for name in _named(step, step.unloads)]
    if dropped:
        yield f"unloads {_list(dropped)} (no longer listed)"


def _labels(moves: Sequence[LabelMove], plan: ServicePlan) -> Iterator[str]:
    several = len(plan.desired.models) + len(plan.server.removed) > 1
    for move in moves:
        name = f"label {safe(move.label)}" + (f" of {safe(move.model)}" if several else "")
        if move.after is None:
            yield f"{name} goes (was {move.before})"
        elif move.before is None:
            yield f"{name} is set to {move.after}"
        else:
            yield f"{name} moves {move.before} -> {move.after}"


def _golden(phase: ServerPhase, plan: ServicePlan) -> str:
    lacking = [
        f"{model.name}/{number}"
        for model in plan.desired.models
        for number in model.wanted
        if number not in phase.golden.get(model.name, ())
    ]
    if not phase.golden:
        return "no golden requests"
    return f"golden requests (none for {_list(lacking)})" if lacking else "golden requests"


def _named(step: ModelPhase, numbers: Sequence[int]) -> list[str]:
    return [f"{safe(step.model)}/{number}" for number in numbers]


def _list(names: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
