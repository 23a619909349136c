"""From a play's tasks to calls: arguments checked, conditions answered, the rules of a safe play held."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from fleetdeploy.config.fields.schema import check
from fleetdeploy.config.playbook.conditions import ConditionReader
from fleetdeploy.config.playbook.facts import NAME as FACTS
from fleetdeploy.config.playbook.facts import Unreadable, facts_of
from fleetdeploy.config.secrets.for_templates import rendered
from fleetdeploy.config.syntax.suggest import hint_for
from fleetdeploy.domain.inventory import Host, Inventory
from fleetdeploy.domain.observed import ObservedHost
from fleetdeploy.domain.plan import HostPlan, Refusal
from fleetdeploy.domain.playbook import Play, TaskCall, When
from fleetdeploy.domain.secret import Secret
from fleetdeploy.errors import HostError, InputError, Problem
from fleetdeploy.planning.waves import alternating, ordered
from fleetdeploy.rollout.bound_play import BoundPlay
from fleetdeploy.rollout.work import AFTER_FAILURE, Call, OnFacts, undecided
from fleetdeploy.tasks import registry
from fleetdeploy.tasks.step import alternatives_of, required_of


def calls_of(tasks: Sequence[TaskCall], hosts: Sequence[str], inventory: Inventory) -> tuple[Call, ...]:
    """The tasks as calls on ``hosts``. Raises InputError with every problem of all of them."""
    problems: list[Problem] = []
    conditions = ConditionReader()
    calls = [_call(task, hosts, inventory, conditions, problems) for task in tasks]
    if problems:
        raise InputError(problems=tuple(dict.fromkeys(problems)))
    return tuple(call for call in calls if call is not None)


def check_rescue(rescue: Sequence[Call], play: Play) -> None:
    """Refuse what ``rescue`` cannot do: a host that failed is taken back by ``on_failure`` alone. Raises InputError."""
    for call in rescue:
        if call.task.name not in AFTER_FAILURE:
            raise InputError(
                f"play {play.name!r}: rescue holds {_listed(iter(AFTER_FAILURE))}, not `{call.task.name}`",
                where=str(play.origin),
                hint="`on_failure` says how a host that failed is taken back",
            )


def _call(
    task: TaskCall, hosts: Sequence[str], inventory: Inventory, conditions: ConditionReader, problems: list[Problem]
) -> Call | None:
    known, place = registry()[task.name], str(task.origin)
    arguments = check(known.arguments, task.arguments, problems, what=task.name, origin=task.origin)
    for name in required_of(known):
        if name not in task.arguments:
            description = known.arguments.model_fields[name].description or ""
            problems.append(Problem(f"{task.name}.{name}: missing", place, description))
    choices = alternatives_of(known)
    if choices and len([name for name in choices if name in task.arguments]) != 1:
        problems.append(Problem(f"{task.name}: exactly one of {' and '.join(choices)} is needed", place, "give one"))
    if task.run_once and not known.per_host:
        hint = "remove `run_once`; it is for " + _listed(name for name, item in registry().items() if item.per_host)
        problems.append(Problem(f"{task.name}: every host needs it, it cannot be done once", place, hint))
    if task.delegate_to and not known.delegable:
        hint = "remove `delegate_to`; it is for " + _listed(name for name, item in registry().items() if item.delegable)
        problems.append(Problem(f"{task.name}: it is about the host itself, no other can do it", place, hint))
    commanded = any(name in task.arguments for name in known.commands)
    if task.sets_environment and not commanded:
        hint = "remove `environment`; it is for " + _listed(name for name, item in registry().items() if item.commands)
        problems.append(Problem(f"{task.name}: it runs no command that would get the environment", place, hint))
    delegate = inventory.hosts.get(task.delegate_to) if task.delegate_to else None
    if task.delegate_to and delegate is None:
        hint = hint_for(task.delegate_to, list(inventory.hosts), what="hosts") or "name a host of the inventory"
        problems.append(Problem(f"delegate_to: no host {task.delegate_to!r} in the inventory", place, hint))
    early = [when for when in task.when if not conditions.asks_for_facts(when)]
    late = [when for when in task.when if when not in early]
    for when in task.when:
        problems += conditions.strangers(when, inventory)
    meant = _meant(early, hosts, inventory, conditions, problems)
    facts = _on_facts(task, late, hosts, inventory, conditions, problems) if late else None
    if arguments is None:
        return None
    environment = task.environment if commanded else {}
    return Call(known, arguments, meant, task.label, task.run_once, delegate, facts, environment)


def _meant(
    conditions_of: Sequence[When],
    hosts: Sequence[str],
    inventory: Inventory,
    conditions: ConditionReader,
    problems: list[Problem],
) -> frozenset[str] | None:
    """The hosts for which every condition holds; None without conditions."""
    if not conditions_of:
        return None
    found = set(hosts)
    for when in conditions_of:
        try:
            # A condition behind one that does not hold is not looked at, as with `and`.
            found = {name for name in hosts if name in found and conditions.holds(when, inventory.hosts[name])}
        except InputError as error:
            problems += error.problems
    return frozenset(found)


def _on_facts(
    task: TaskCall,
    late: Sequence[When],
    hosts: Sequence[str],
    inventory: Inventory,
    conditions: ConditionReader,
    problems: list[Problem],
) -> OnFacts:
    """The conditions that only a look at a host can answer; what can be told of them without one is told."""
    services = {service.name for name in hosts for service in inventory.hosts[name].services}
    for when in late:
        if not registry()[task.name].optional:
            free = _listed(name for name, item in registry().items() if item.optional)
            problems.append(
                Problem(
                    f"{task.name}: whether it is done cannot depend on facts, which are only known once hosts are"
                    " contacted: the order of tasks is proven to be safe before",
                    str(when.origin),
                    f"use a variable or a group here; facts are for {free}",
                )
            )
        if any(FACTS in inventory.hosts[name].variables for name in hosts):
            message = f"when: `{FACTS}` is what a host was seen to have, and a variable of that name is set too"
            problems.append(Problem(message, str(when.origin), "give the variable another name"))
        if services:  # a play without any does nothing, and says so elsewhere
            problems += conditions.unknown_services(when, services)

    def holds(seen: ObservedHost) -> bool:
        host, facts = inventory.hosts[seen.name], facts_of(seen)
        for when in late:
            try:
                if not conditions.holds(when, host, facts):
                    return False
            except Unreadable as error:
                message = f"{when.origin}: when: {when.text[:80]!r}: {error}"
                hint = "what could not be read is neither there nor absent: see to it on the host"
                raise HostError(message, where=seen.name, hint=hint) from None
            except InputError as error:
                raise HostError(f"{error.where}: {error.message}", where=seen.name, hint=error.hint) from None
        return True

    return OnFacts(holds, moves=any(conditions.moves(when) for when in late))


def check_environments(plays: Sequence[BoundPlay]) -> None:
    """Find out every secret that a command of the plays will get. Raises InputError with all that cannot be.

    What is known before the first connection is kept out of everything that is told from then on.
    """
    problems: dict[Problem, None] = {}
    for bound in plays:
        for call in (*bound.calls, *bound.always, *bound.rescue):
            for name, value in call.environment.items() if any(map(call.concerns, bound.hosts)) else ():
                try:
                    if isinstance(value, Secret) and "\0" in value.reveal():
                        hint = "take it out, or give the command the secret as a file"
                        problems[Problem(f"environment.{name}: the secret holds a NUL", value.where, hint)] = None
                except InputError as error:
                    problems |= dict.fromkeys(error.problems)
    if problems:
        raise InputError(problems=tuple(problems))


def fact_refusals(plays: Sequence[BoundPlay], plan: HostPlan) -> tuple[Refusal, ...]:
    """Why a host is refused for conditions on facts that its look could not answer."""
    found = (
        undecided(plan, (*bound.calls, *bound.always, *bound.rescue))
        for bound in plays
        if plan.host.name in bound.hosts
    )
    return tuple(dict.fromkeys(refusal for refusals in found for refusal in refusals))


def _listed(names: Iterator[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))


def in_order(
    play: Play, hosts: Sequence[str], everyone: Mapping[str, Host]
) -> tuple[tuple[str, ...], Mapping[str, str]]:
    """The hosts in the play's order, and the failure domain of every host of the play that has them.

    Raises InputError for hosts without the variable that names their domain, or where it cannot be rendered.
    """
    hosts = ordered(hosts, play.order, seed=play.seed)
    if not play.spread:
        return hosts, {}
    found = {name: rendered(host.variables.get(play.spread)) for name, host in everyone.items()}
    lost = [name for name, value in found.items() if not isinstance(value, (str, int))]
    if lost:
        known = {str(key) for host in everyone.values() for key in host.variables}
        raise InputError(
            f"play {play.name!r} spreads over {play.spread!r}, which {lost[0]} has not as a text or a number"
            f" ({len(lost)} of {len(everyone)} hosts)",
            where=str(play.origin),
            hint=hint_for(play.spread, known, what="variables") or "set it in group_vars",
        )
    domains = {name: str(value) for name, value in found.items()}
    return alternating(hosts, domains), domains


def check_safe(
    play: Play, hosts: Sequence[str], calls: Sequence[Call], *, always: Sequence[Call], everyone: Mapping[str, Host]
) -> None:
    """Refuse a play whose tasks are not safe in their order, on all hosts or where conditions leave some of them out.

    Raises InputError.
    """
    balanced = any(host.balancer for host in everyone.values())
    seen: dict[tuple[str, ...], str] = {}
    for host in hosts:
        names = [call.task.name for call in calls if call.concerns(host)]
        # What has run among the tasks is not done once more among those of `always`.
        more = [call.task.name for call in always if call.concerns(host) and call.task.name not in names]
        seen.setdefault((*names, *more), host)
    for order, host in seen.items():
        conditional = any(call.hosts is not None for call in (*calls, *always))
        where = f" on {host}, as its conditions leave it" if conditional else ""
        for problem, hint in unsafe(order, balanced=balanced):
            raise InputError(f"play {play.name!r} {problem}{where}", where=str(play.origin), hint=hint)


def unsafe(names: Sequence[str], *, balanced: bool) -> Iterator[tuple[str, str]]:
    """What is wrong with the order of a play's tasks, and what to do about it."""
    drained = unproven = False
    for name in names:
        if name == "activate":
            if balanced and not drained:
                yield "activates hosts that a balancer sends requests to, without a `drain` before", "add `- drain:`"
            unproven = True
        elif name == "verify":
            unproven = False
        elif name == "drain":
            drained = True
        elif name == "undrain":
            if balanced and unproven and "verify" in names:
                yield "puts hosts back into the balancer before they are proven", "put `undrain` behind `verify`"
            drained = False
    if unproven:
        yield "activates without a `verify` behind it", "add `- verify:`: AVAILABLE alone is no proof"
    if drained:
        yield "drains without an `undrain` behind it", "add `- undrain:`: a drained host always comes back"
