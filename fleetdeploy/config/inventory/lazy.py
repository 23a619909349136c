"""Variables that hold ``{{ … }}``, rendered when something needs them: a connection, a service, a template.

As in Ansible, an expression is looked at only when its variable is used, sees the variables of its host and
``inventory_hostname``, ``inventory_hostname_short``, ``group_names``, ``groups`` and ``hostvars``, and one that is the
whole value keeps its type. See Ansible's guides "Using variables" and "Special variables". Statements (``{% %}``) are
refused; what is undefined, and variables that need each other, are errors with the place of the value. A value that
is computed from a secret is one itself, and is computed when it is opened.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from jinja2 import StrictUndefined, TemplateError, meta

from fleetdeploy.config.inventory.draft import GroupDraft
from fleetdeploy.config.inventory.equal_renderings import EqualRenderings
from fleetdeploy.config.inventory.hostvars import HostVars
from fleetdeploy.config.sandbox.budget import TooMuch, Total, rendering
from fleetdeploy.config.sandbox.expressions import Expressions, NoValue
from fleetdeploy.config.secrets.sealed import NeedsSecret, Sealed, View, opened, sealed
from fleetdeploy.config.syntax.nodes import Entry, ListNode, MapNode, Node, Scalar, from_python
from fleetdeploy.config.syntax.suggest import hint_for
from fleetdeploy.domain.redaction import shortened
from fleetdeploy.domain.secret import Secret
from fleetdeploy.domain.templated import Templated
from fleetdeploy.errors import InputError, Problem

_LONGEST = 1024
"""Characters of one template; with the next it bounds what one expression can build out of other variables."""
_LARGEST = 8192
_DEEPEST = 32
_ONE_EXPRESSION = re.compile(r"\{\{((?:(?!\{\{|\}\}).)*)\}\}", re.DOTALL)
_LOOKUPS = frozenset({"lookup", "query", "q"})
_NOT_RUN = "lookups are not run: write the value itself, or !secret {env: NAME}, {file: PATH} or {command: [...]}"
SPECIAL = ("inventory_hostname", "inventory_hostname_short", "group_names", "groups", "hostvars")


class LazyVariables:
    """The variables of all hosts, rendered when they are asked for."""

    def __init__(
        self,
        merged: Mapping[str, MapNode],
        groups: Mapping[str, GroupDraft],
        groups_of: Callable[[str], tuple[str, ...]],
    ) -> None:
        self._merged = merged
        self._groups = groups
        self._groups_of = groups_of
        self._environment = Expressions()
        self._templated: dict[int, tuple[Node, bool]] = {}
        self._hosts_of: Mapping[str, list[str]] | None = None
        self._done: dict[tuple[str, str], object] = {}
        self._known: dict[str, tuple[set[str], Callable[[dict[str, object]], object]]] = {}
        self._total = Total()
        self._too_much: dict[str, NoValue] = {}
        self._equal = EqualRenderings(merged, groups_of, lambda text: self._prepared(text)[0], self._is_templated)

    def resolved(self, host: str, used: Callable[[str], bool], problems: list[Problem]) -> MapNode:
        """The host's variables with those that are ``used`` rendered; the very same mapping when none needs it."""
        merged = self._merged[host]
        wanted = [
            (key, entry)
            for key, entry in merged.entries.items()
            if isinstance(key, str) and used(key) and self._is_templated(entry.value)
        ]
        if not wanted:
            return merged
        entries = dict(merged.entries)
        for key, entry in wanted:
            known = len(problems)
            rendered = self._node(host, entry.value, (f"{host}.{key}",), problems)
            if len(problems) == known:
                entries[key] = Entry(entry.key, rendered)
            else:
                del entries[key]  # what is wrong with it has been said
        return MapNode(entries, merged.origin)

    def plain(self, host: str) -> dict[str, object]:
        """The host's variables as plain values; each text with an expression in it is a :class:`Templated`."""
        return {str(key): self._plain(host, str(key), entry.value) for key, entry in self._merged[host].entries.items()}

    def _plain(self, host: str, name: str, node: Node) -> object:
        if not self._is_templated(node):
            return node.plain()
        if isinstance(node, ListNode):
            return [self._plain(host, name, item) for item in node.items]
        if isinstance(node, MapNode):
            return {key: self._plain(host, name, entry.value) for key, entry in node.entries.items()}
        return Templated(str(node.value), lambda: self._rendered(host, name, node))

    def _rendered(self, host: str, name: str, node: Node) -> object:
        problems: list[Problem] = []
        found = self._node(host, node, (f"{host}.{name}",), problems)
        if problems:
            raise InputError(problems=problems)
        return found.plain()

    def _is_templated(self, node: Node) -> bool:
        """Whether an expression stands anywhere in ``node``; hosts of one group share their nodes and the answer."""
        if isinstance(node, Scalar):
            return isinstance(node.value, str) and "{{" in node.value
        known = self._templated.get(id(node))
        if known is None:
            inner = node.items if isinstance(node, ListNode) else tuple(entry.value for entry in node)
            known = self._templated[id(node)] = (node, any(map(self._is_templated, inner)))
        return known[1]

    def _node(self, host: str, node: Node, trail: tuple[str, ...], problems: list[Problem]) -> Node:
        """``node`` with its expressions rendered; one that fails is a problem."""
        if not self._is_templated(node):
            return node
        if isinstance(node, ListNode):
            return ListNode(tuple(self._node(host, item, trail, problems) for item in node.items), node.origin)
        if isinstance(node, MapNode):
            entries = {
                key: Entry(entry.key, self._node(host, entry.value, trail, problems))
                for key, entry in node.entries.items()
            }
            return MapNode(entries, node.origin)
        try:
            return from_python(self._value(host, str(node.value), trail), node.origin)
        except NeedsSecret as error:
            return from_python(self._secret(error.secret, host, node, trail), node.origin)
        except NoValue as error:
            name = trail[0].removeprefix(f"{host}.")
            problems.append(Problem(f"{name}: {error}", error.where or str(node.origin), error.hint))
            return node

    def _secret(self, secret: Secret, host: str, node: Scalar, trail: tuple[str, ...]) -> Secret:
        """What the expression in ``node``, which looks into ``secret``, will give."""
        text, where = str(node.value), str(node.origin)

        def compute() -> str:
            try:
                return str(self._value(host, text, trail, opened))
            except NoValue:
                # The reason may quote a value.
                raise InputError(
                    f"{shortened(text, 80)!r} gives no value with the secrets in it",
                    where=where,
                    hint="look at its filters",
                ) from None

        return secret.derived(compute, where=where)

    def _value(self, host: str, text: str, trail: tuple[str, ...], view: View = sealed) -> object:
        """What ``text`` gives. Raises NoValue; NeedsSecret when it looks into a sealed secret."""
        if text in self._too_much:
            raise self._too_much[text]  # as it would on every host, one after the other
        try:
            with rendering(self._total):
                return self._computed(host, text, trail, view)
        except (NoValue, NeedsSecret, InputError):
            raise
        except TooMuch as error:
            found = NoValue(
                f"{shortened(text, 80)!r} takes too much: {error.message}",
                "let it do less for each host, or write the value itself",
            )
            raise self._too_much.setdefault(text, found) from None
        except TemplateError as error:
            known = [*(str(key) for key in self._merged[host].entries), *SPECIAL]
            name = str(error.message).partition("'")[2].partition("'")[0]
            hint = _NOT_RUN if name in _LOOKUPS else hint_for(name, known, what="variables", most=20) if name else ""
            raise NoValue(f"{shortened(text, 80)!r}: {error.message}", hint or "write the value itself") from None
        except Exception as error:  # noqa: BLE001  an expression may fail with any exception; all become one kind
            raise NoValue(
                f"{shortened(text, 80)!r}: {type(error).__name__}: {error}", "write the value itself"
            ) from None

    def _computed(self, host: str, text: str, trail: tuple[str, ...], view: View) -> object:
        needed, compiled = self._prepared(text)
        key = self._equal.key(host, text) if view is sealed else None
        if key is not None and key in self._equal.values:
            return self._equal.values[key]
        context = {name: self._variable(host, name, trail, view) for name in needed if self._is_known(host, name)}
        value = compiled(context)
        if isinstance(value, StrictUndefined):
            str(value)  # raises, with the name
        found = _plain(value, 0, [_LARGEST])
        if key is not None:
            self._equal.values[key] = found
        return found

    def _prepared(self, text: str) -> tuple[set[str], Callable[[dict[str, object]], object]]:
        """The names that ``text`` needs, and what makes a value of them; many hosts share one text."""
        if text in self._known:
            return self._known[text]
        if "{%" in text or "{#" in text:
            raise NoValue("statements and comments are not rendered in an inventory", "write one {{ expression }}")
        if len(text) > _LONGEST:
            raise NoValue(f"a template of more than {_LONGEST} characters", "write less")
        needed = meta.find_undeclared_variables(self._environment.parse(text))
        whole = _ONE_EXPRESSION.fullmatch(text.strip())
        compiled: Callable[[dict[str, object]], object]
        if whole is None:
            compiled = self._environment.from_string(text).render
        else:
            compiled = self._environment.compile_expression(whole[1], undefined_to_none=False)
        self._known[text] = (needed, compiled)
        return needed, compiled

    def _is_known(self, host: str, name: str) -> bool:
        return name in SPECIAL or name in self._merged[host].entries

    def _variable(self, host: str, name: str, trail: tuple[str, ...], view: View) -> object:
        if name == "inventory_hostname":
            return host
        if name == "inventory_hostname_short":
            return host.split(".", maxsplit=1)[0]
        if name == "group_names":
            return sorted(group for group in self._groups_of(host) if group != "all")
        if name == "groups":
            return self._members()
        if name == "hostvars":
            return HostVars(self, trail, view)
        return self.value_of(host, name, trail, view)

    def _members(self) -> Mapping[str, list[str]]:
        """All groups with all of their hosts, those of inner groups included."""
        if self._hosts_of is None:
            found: dict[str, list[str]] = {name: [] for name in self._groups}
            for host in self._merged:
                for group in self._groups_of(host):
                    found[group].append(host)
            self._hosts_of = found
        return self._hosts_of

    def names_of(self, host: str) -> list[str]:
        """The variables that ``hostvars`` has for a host. Raises KeyError for a host that does not exist."""
        return [*(str(key) for key in self._merged[host].entries), "inventory_hostname", "group_names"]

    def hosts(self) -> Mapping[str, MapNode]:
        return self._merged

    def value_of(self, host: str, name: str, trail: tuple[str, ...], view: View) -> object:
        """The rendered value of one variable of a host. Raises NoValue, also when it needs itself."""
        step = f"{host}.{name}"
        if step in trail:
            names = [item.removeprefix(f"{host}.") for item in (*trail[trail.index(step) :], step)]
            raise NoValue(f"variables that need each other: {' -> '.join(names)}", "write one of them as a plain value")
        if len(trail) > _DEEPEST:
            raise NoValue(f"more than {_DEEPEST} variables need one another", "write one of them as a plain value")
        if name in {"inventory_hostname", "group_names"}:
            return self._variable(host, name, trail, view)
        if (host, name) in self._done:
            return view(self._done[host, name])
        problems: list[Problem] = []
        node = self._node(host, self._merged[host].entries[name].value, (*trail, step), problems)
        if problems:
            raise NoValue(problems[0].message.partition(": ")[2], problems[0].hint, problems[0].where)
        return view(self._done.setdefault((host, name), node.plain()))


def _plain(value: object, depth: int, left: list[int]) -> object:
    """A value that a file could hold, of a bearable size. Raises NoValue for anything else an expression may give."""
    left[0] -= len(value) + 1 if isinstance(value, (str, list, tuple, Mapping)) else 1
    if depth > _DEEPEST or left[0] < 0:
        raise NoValue(f"more than {_LARGEST} characters or items", "write less")
    if isinstance(value, Sealed):
        return value.secret
    if isinstance(value, (str, int, float, bool)) or value is None:
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(item, depth + 1, left) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, depth + 1, left) for item in value]
    raise NoValue(f"the expression gives a {type(value).__name__}", "let it give text, a number, a list or a mapping")
