"""``when``: an expression over a host's variables and facts that says whether a task is for that host.

As in Ansible, it is a Jinja2 expression without braces, several stand for "and", and it sees the variables of its host
and ``inventory_hostname``, ``inventory_hostname_short`` and ``group_names`` (see its guide "Conditionals"). Unlike in
Ansible, it sees nothing that other tasks have found out, so what it decides is known before any host is contacted,
unless it asks for ``facts`` (:mod:`fleetdeploy.config.playbook.facts`). What is undefined, or is neither true nor
false, is an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace

from jinja2 import StrictUndefined, TemplateError, meta, nodes
from jinja2.exceptions import SecurityError

from fleetdeploy.config.playbook import facts as tree
from fleetdeploy.config.sandbox.budget import Total, rendering
from fleetdeploy.config.sandbox.expressions import Expressions, NoValue
from fleetdeploy.config.sandbox.filters import bounded
from fleetdeploy.config.secrets.for_templates import SPECIAL, for_conditions, special
from fleetdeploy.config.secrets.sealed import NeedsSecret, Sealed
from fleetdeploy.config.syntax.suggest import hint_for
from fleetdeploy.config.undefined import Missing, NotThere, kind_of
from fleetdeploy.domain.inventory import Host, Inventory
from fleetdeploy.domain.playbook import When
from fleetdeploy.errors import InputError, Problem

_INSIDE = ("in", "notin")
_LONGEST = 1024
_HINT = "an expression such as rack == 'r1' or 'canary' in group_names"
_PARTS = "look for a part with `in` or a slice: 'gpu' in inventory_hostname, inventory_hostname[:3] == 'gpu'"
_UNSAFE = re.compile(r"access to attribute '([^']*)' of '[^']*' object is unsafe")
_LOOKS_FOR_PARTS = re.compile(r"named '(match|search|regex\w*)'")
_YES, _NO = ("yes", "on", "true", "1"), ("no", "off", "false", "0")
_FACTS = "what a host was seen to have is in `facts`, such as facts.gpus | length; see `fleetdeploy docs facts`"


class ConditionReader:
    """Compiles conditions, each of them once."""

    def __init__(self) -> None:
        self._environment = Expressions()
        self._environment.undefined = Missing
        self._environment.filters["bool"] = bounded("bool", boolean)
        self._total = Total()
        self._known: dict[str, tuple[set[str], Callable[[Mapping[str, object]], object]]] = {}

    def problem(self, when: When) -> Problem | None:
        """What is wrong with a condition, as far as it can be told without a host."""
        try:
            self._compiled(when.text)
        except TemplateError as error:
            hint = _PARTS if _LOOKS_FOR_PARTS.search(str(error.message)) else _HINT
            return Problem(f"when: {when.text[:80]!r}: {error.message}", str(when.origin), hint)
        except Exception as error:  # noqa: BLE001  Jinja2 and Python both compile it; either may choke on what it is given
            return Problem(f"when: {when.text[:80]!r} cannot be read: {error}", str(when.origin), _HINT)
        for message, hint in (*tree.strangers(self._parsed(when.text)), *tree.no_answers(self._whole(when.text))):
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
            names = set(map(_name_in, sides)) & known.keys()
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
            value = self._value(when.text, host, facts)
        except tree.Unreadable:
            raise
        except InputError as error:  # of a variable that is an expression itself, and has its own place
            told = (f"{item.message}, for when: {when.text[:80]!r} on {host.name}" for item in error.problems)
            raise InputError(
                problems=[replace(item, message=text) for item, text in zip(error.problems, told, strict=True)]
            ) from None
        except Exception as error:  # noqa: BLE001  an expression may fail with any exception
            message, hint = _explained(error, host)
            raise self._failed(when, host, message, hint) from None
        if not isinstance(value, bool):
            hint = "compare: name == 'value'; of a text such as 'yes', write name | bool"
            raise self._failed(when, host, f"it gives {kind_of(value)}, not true or false", hint)
        return value

    def _value(self, text: str, host: Host, facts: Mapping[str, object] | None) -> object:
        needed, compiled = self._compiled(text)
        seen = for_conditions({**host.variables, **special(host)})
        names = sorted(needed & seen.keys())
        for name in names:
            if _holds_statement(host.variables.get(name)):
                raise NoValue(f"{name} holds a statement, and only {{{{ expressions }}}} are rendered", "write one")
        known = {name: seen[name] for name in names}
        # Before contact all hosts have a total; in a run a condition that is due must not fail for what others took.
        with rendering(self._total if facts is None else None):
            value = compiled(known if facts is None else {**known, tree.NAME: facts})
        if isinstance(value, StrictUndefined):
            str(value)  # raises, with the name
        return value

    def _whole(self, text: str) -> nodes.Node:
        (output,) = self._parsed(text).body
        assert isinstance(output, nodes.Output)
        return output.nodes[0]

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


def _name_in(side: nodes.Expr | None) -> str:
    """The variable that a side of a comparison is, or of whose groups it is one."""
    one = isinstance(side, nodes.Getitem) and not isinstance(side.arg, nodes.Slice)
    if one or (isinstance(side, nodes.Filter) and side.name in {"first", "last"}):
        assert isinstance(side, (nodes.Getitem, nodes.Filter))
        return "group_names" if _name_in(side.node) == "group_names" else ""
    return side.name if isinstance(side, nodes.Name) else ""


def _texts(node: nodes.Expr) -> Iterator[str]:
    """The texts that are written out in a side of a comparison: alone, or in a list."""
    if isinstance(node, nodes.Const) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, (nodes.List, nodes.Tuple)):
        for item in node.items:
            yield from _texts(item)


def _holds_statement(value: object) -> bool:
    if isinstance(value, Mapping):
        return any(map(_holds_statement, value.values()))
    if isinstance(value, (list, tuple)):
        return any(map(_holds_statement, value))
    return isinstance(value, str) and "{%" in value


def _explained(error: Exception, host: Host) -> tuple[str, str]:
    """Why an expression gave no value, and what to do about it."""
    if isinstance(error, NotThere):
        return str(error.message), hint_for(error.name, error.known, what=f"in {error.path or 'it'}") or _HINT
    if isinstance(error, SecurityError):
        found = _UNSAFE.match(str(error.message))
        what = f"{found[1]!r} cannot be used" if found else str(error.message)
        return f"{what}: conditions call no methods, they have filters and tests", _PARTS
    if isinstance(error, TemplateError):
        name = str(error.message).partition("'")[2].partition("'")[0]
        names = [*map(str, host.variables), *SPECIAL, tree.NAME]
        return str(error.message), _FACTS if name == "ansible_facts" else hint_for(name, names, what="variables")
    if isinstance(error, NoValue):
        return str(error), error.hint
    if isinstance(error, NeedsSecret):
        return "it looks into a secret", "compare a variable that is none"
    return f"{type(error).__name__}: {error}", _HINT


def boolean(value: object) -> bool:
    """Ansible's filter ``bool``. Of what it warns about and takes as false, nothing is taken here."""
    if isinstance(value, Sealed):
        raise NeedsSecret(value.secret)
    word = str(value).lower() if isinstance(value, (str, int)) else ""
    if word in _YES or word in _NO:
        return word in _YES
    raise NoValue(f"`bool` is for {', '.join((*_YES, *_NO))}, not for {kind_of(value)}", "compare it: name == 'value'")
