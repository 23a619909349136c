"""``when``: an expression over a host's variables and facts that says whether a task is for that host.

As in Ansible, it is a Jinja2 expression without braces, several stand for "and", and it sees the variables of its host
and ``inventory_hostname``, ``inventory_hostname_short`` and ``group_names`` (see its guide "Conditionals"). Unlike in
Ansible, it sees nothing that other tasks have found out, so what it decides is known before any host is contacted,
unless it asks for ``facts`` (:mod:`fleetdeploy.config.playbook.facts`). What is undefined, or is neither true nor
false, is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping

from jinja2 import StrictUndefined, TemplateError, meta, nodes

from fleetdeploy.config.playbook import facts as tree
from fleetdeploy.config.sandbox.budget import rendering
from fleetdeploy.config.sandbox.expressions import Expressions, NoValue
from fleetdeploy.config.secrets.sealed import NeedsSecret, sealed
from fleetdeploy.config.syntax.suggest import hint_for
from fleetdeploy.domain.inventory import Host, Inventory
from fleetdeploy.domain.playbook import When
from fleetdeploy.errors import InputError, Problem

_INSIDE = ("in", "notin")
_LONGEST = 1024
_HINT = "an expression such as rack == 'r1' or 'canary' in group_names"
_FACTS = "what a host was seen to have is in `facts`, such as facts.gpus | length; see `fleetdeploy docs facts`"


class ConditionReader:
    """Compiles conditions, each of them once."""

    def __init__(self) -> None:
        self._environment = Expressions()
        self._known: dict[str, tuple[set[str], Callable[[Mapping[str, object]], object]]] = {}

    def problem(self, when: When) -> Problem | None:
        """What is wrong with a condition, as far as it can be told without a host."""
        try:
            self._compiled(when.text)
        except TemplateError as error:
            return Problem(f"when: {when.text[:80]!r}: {error.message}", str(when.origin), _HINT)
        except Exception as error:  # noqa: BLE001  Jinja2 and Python both compile it; either may choke on what it is given
            return Problem(f"when: {when.text[:80]!r} cannot be read: {error}", str(when.origin), _HINT)
        for message, hint in tree.strangers(self._parsed(when.text)):
            return Problem(f"when: {when.text[:80]!r}: {message}", str(when.origin), hint)
        return None

    def asks_for_facts(self, when: When) -> bool:
        """Whether only a look at the host can answer the condition, which has no `problem`."""
        return tree.NAME in self._compiled(when.text)[0]

    def moves(self, when: When) -> bool:
        """Whether the run itself may change the facts that the condition asks for."""
        return tree.moves(self._parsed(when.text))

    def strangers(self, when: When, inventory: Inventory) -> Iterator[Problem]:
        """Names that a condition looks for among groups or hosts, and that the inventory does not have.

        Such a condition would hold nowhere, or everywhere, in silence. The condition has no `problem`.
        """
        known = {
            "group_names": ("group", inventory.groups.keys()),
            "inventory_hostname": ("host", inventory.hosts.keys()),
            "inventory_hostname_short": ("host", {name.partition(".")[0] for name in inventory.hosts}),
        }
        for comparison in self._parsed(when.text).find_all(nodes.Compare):
            if any(operand.op in _INSIDE and _is_name_of_host(operand.expr) for operand in comparison.ops):
                continue  # looks for a part of the name
            sides = [comparison.expr, *(operand.expr for operand in comparison.ops)]
            names = {side.name for side in sides if isinstance(side, nodes.Name)} & known.keys()
            for what, existing in (known[name] for name in names):
                for text in dict.fromkeys(text for side in sides for text in _texts(side)):
                    if text not in existing:
                        yield Problem(
                            f"when: {when.text[:80]!r}: the inventory has no {what} {text[:80]!r}",
                            str(when.origin),
                            hint_for(text, existing, what=f"{what}s"),
                        )

    def unknown_services(self, when: When, known: Collection[str]) -> Iterator[Problem]:
        """Services below ``facts.services`` that none of the hosts shall run."""
        for name in dict.fromkeys(tree.services_named(self._parsed(when.text))):
            if name not in known:
                message = f"when: {when.text[:80]!r}: no host of the play has a service {name[:80]!r}"
                yield Problem(message, str(when.origin), hint_for(name, known, what="services"))

    def holds(self, when: When, host: Host, facts: Mapping[str, object] | None = None) -> bool:
        """Whether the condition holds for the host. Raises InputError with its place.

        Raises :class:`fleetdeploy.config.playbook.facts.Unreadable` where it comes to a fact that could not be read.
        """
        try:
            needed, compiled = self._compiled(when.text)
            seen = {**host.variables, **_special(host)}
            for name in sorted(needed & seen.keys()):
                if _is_template(seen[name]):
                    raise NoValue(
                        f"the variable {name} is a template, which conditions do not render",
                        "compare what it is made of",
                    )
            known = {name: sealed(seen[name]) for name in needed & seen.keys()}
            with rendering():
                value = compiled(known if facts is None else {**known, tree.NAME: facts})
            if isinstance(value, StrictUndefined):
                str(value)  # raises, with the name
        except (InputError, tree.Unreadable):
            raise
        except TemplateError as error:
            name = str(error.message).partition("'")[2].partition("'")[0]
            names = [*map(str, host.variables), *_special(host), tree.NAME]
            hint = _FACTS if name == "ansible_facts" else hint_for(name, names, what="variables")
            raise self._failed(when, host, str(error.message), hint) from None
        except NoValue as error:
            raise self._failed(when, host, str(error), error.hint) from None
        except NeedsSecret:
            raise self._failed(when, host, "it looks into a secret", "compare a variable that is none") from None
        except Exception as error:  # noqa: BLE001  an expression may fail with any exception
            raise self._failed(when, host, f"{type(error).__name__}: {error}", _HINT) from None
        if not isinstance(value, bool):
            kind = type(value).__name__
            raise self._failed(when, host, f"it gives a {kind}, not true or false", "compare: name == 'value'")
        return value

    def _parsed(self, text: str) -> nodes.Template:
        return self._environment.parse("{{ (" + text + ") }}")

    def _compiled(self, text: str) -> tuple[set[str], Callable[[Mapping[str, object]], object]]:
        if text not in self._known:
            if len(text) > _LONGEST:
                raise NoValue(f"a condition of more than {_LONGEST} characters", "write less")
            if "{%" in text or "{#" in text or "{{" in text:
                raise NoValue("a condition is written without braces", _HINT)
            with rendering():
                compiled = self._environment.compile_expression(text, undefined_to_none=False)
            needed = meta.find_undeclared_variables(self._parsed(text))
            self._known[text] = (needed, compiled)
        return self._known[text]

    def _failed(self, when: When, host: Host, message: str, hint: str) -> InputError:
        return InputError(f"when: {when.text[:80]!r} on {host.name}: {message}", where=str(when.origin), hint=hint)


def _is_name_of_host(node: nodes.Expr) -> bool:
    return isinstance(node, nodes.Name) and node.name.startswith("inventory_hostname")


def _texts(node: nodes.Expr) -> Iterator[str]:
    """The texts that are written out in a side of a comparison: alone, or in a list."""
    if isinstance(node, nodes.Const) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, (nodes.List, nodes.Tuple)):
        for item in node.items:
            yield from _texts(item)


def _special(host: Host) -> dict[str, object]:
    return {
        "inventory_hostname": host.name,
        "inventory_hostname_short": host.name.split(".", maxsplit=1)[0],
        "group_names": sorted(group for group in host.groups if group != "all"),
    }


def _is_template(value: object) -> bool:
    if isinstance(value, Mapping):
        return any(map(_is_template, value.values()))
    if isinstance(value, (list, tuple)):
        return any(map(_is_template, value))
    return isinstance(value, str) and ("{{" in value or "{%" in value)
