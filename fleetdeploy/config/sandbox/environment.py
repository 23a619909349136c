"""Jinja2's sandbox, counting what a template does.

Loops, macros, includes and blocks pay for each time that they are run, by the size of what stands in them; operators,
filters, tests and calls for the sizes of what they are given and of what they give. Nothing else makes values or
repeats work. See :mod:`fleetdeploy.config.sandbox.budget` for what there is to spend, and Jinja2's "Sandbox" and its
``Environment.code_generator_class`` for the places where this hooks in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame, operators
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from fleetdeploy.config.sandbox.budget import TooMuch, check_items, check_text, spend, weigh, weight_of_text
from fleetdeploy.config.sandbox.filters import bounded, check_join, check_replace

_TEXT_METHODS: Final = frozenset({
    "capitalize", "casefold", "count", "endswith", "find", "index", "isalnum", "isalpha", "isascii", "isdecimal",
    "isdigit", "isidentifier", "islower", "isnumeric", "isspace", "istitle", "isupper", "join", "lower", "lstrip",
    "partition", "removeprefix", "removesuffix", "replace", "rfind", "rindex", "rpartition", "rsplit", "rstrip",
    "split", "splitlines", "startswith", "strip", "swapcase", "title", "upper",
})  # fmt: skip
"""What gives a text not longer than those at hand; `join` and `replace` are looked at before they are called."""
_LIST_METHODS: Final = frozenset({"count", "index"})
_MOST_POWER: Final = 1000
_WRAPPED = (nodes.Dict, nodes.List, nodes.Tuple)


class _Counting(CodeGenerator):
    """Writes the counting into the code of a template."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._tests: dict[int, nodes.Node] = {}
        self._signatures: dict[int, Sequence[nodes.Node]] = {}

    def visit(self, node: nodes.Node, *arguments: Any, **named: Any) -> Any:
        is_value = isinstance(node, _WRAPPED) and getattr(node, "ctx", "load") == "load"
        is_slice = isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Slice)
        if id(node) in self._tests:
            self.write(f"(environment.spend({_size([self._tests.pop(id(node))])}) and ")
            self.visit(node, *arguments, **named)
            self.write(")")
        elif is_value or is_slice:
            self.write("environment.counted_value(")
            super().visit(node, *arguments, **named)
            self.write(")")
        else:
            super().visit(node, *arguments, **named)

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:  # noqa: N802
        self.write("environment.joined((")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")

    def visit_Compare(self, node: nodes.Compare, frame: Frame) -> None:  # noqa: N802
        self.write("(")
        self._counted(node.expr, frame)
        for operand in node.ops:
            self.visit(operand, frame)
        self.write(")")

    def visit_Operand(self, node: nodes.Operand, frame: Frame) -> None:  # noqa: N802
        self.write(f" {operators[node.op]} ")
        self._counted(node.expr, frame)

    def _counted(self, node: nodes.Expr, frame: Frame) -> None:
        self.write("environment.counted_value(")
        self.visit(node, frame)
        self.write(")")

    def visit_For(self, node: nodes.For, frame: Frame) -> None:  # noqa: N802
        if node.test is not None:
            # Items that the loop's `if` leaves out never come to its body.
            self._tests[id(node.test)] = node.test
        super().visit_For(node, frame)

    def macro_body(self, node: nodes.Macro | nodes.CallBlock, frame: Frame) -> Any:
        self._signatures[id(node.body)] = node.defaults
        return super().macro_body(node, frame)

    def blockvisit(self, nodes: Iterable[nodes.Node], frame: Frame) -> None:
        body = list(nodes)
        self.writeline(f"environment.spend({_size([*body, *self._signatures.get(id(nodes), ())])})")
        super().blockvisit(body, frame)


def _size(body: Iterable[nodes.Node]) -> int:
    """The steps to run through ``body`` once, with everything in it taken once."""
    total, waiting = 1, list(body)
    while waiting:
        node = waiting.pop()
        text = node.data if isinstance(node, nodes.TemplateData) else ""
        total += 1 + len(text) // 16
        waiting.extend(node.iter_child_nodes())
    return total


class CountingSandbox(ImmutableSandboxedEnvironment):
    """A sandbox in which work and memory come to an end. Use it inside of :func:`~.budget.rendering`."""

    code_generator_class = _Counting
    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})

    def __init__(self, filters: Iterable[str], **options: Any) -> None:
        # Without Jinja2's optimizer, which takes minutes for some expressions of 1,000 characters.
        super().__init__(optimized=False, **options)
        known: Mapping[str, Any] = self.filters
        tests: Mapping[str, Any] = self.tests
        self.filters = {name: bounded(name, known[name]) for name in filters}
        self.tests = {name: bounded(name, test) for name, test in tests.items()}
        self.globals = {}

    def counted_value(self, value: Any) -> Any:
        """``value``, counted and not too large."""
        spend(weigh(value))
        return value

    def spend(self, steps: int) -> bool:
        return spend(steps)

    def joined(self, parts: Sequence[Any]) -> str:
        """What ``~`` gives."""
        spend(sum(map(weigh, parts)))
        texts = [str(part) for part in parts]
        length = sum(map(len, texts))
        check_text(length)
        spend(weight_of_text(length))
        return "".join(texts)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator == "%" and isinstance(left, (str, bytes)):
            raise TooMuch("texts are not formatted with %; put values together with ~")
        weight = weigh(left) + weigh(right)
        spend(weight)
        if operator == "**" and not all(isinstance(item, (int, float)) and abs(item) <= _MOST_POWER
                                        for item in (left, right)):  # fmt: skip
            raise TooMuch(f"a power beyond {_MOST_POWER}")
        if operator == "*":
            _check_repeated(left, right)
            _check_repeated(right, left)
        return self.counted_value(super().call_binop(context, operator, left, right))

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805, PYI063  as in Jinja2
        spend(4 + sum(map(weigh, args)) + sum(map(weigh, kwargs.values())))
        owner, name = getattr(__obj, "__self__", None), getattr(__obj, "__name__", "")
        if isinstance(owner, (str, list, tuple)):
            spend(weigh(owner))
            if isinstance(owner, str) and name == "join" and len(args) == 1:
                args = (args[0] if isinstance(args[0], str) else list(args[0]),)
                check_join(args[0], owner)
            elif isinstance(owner, str) and name == "replace":
                check_replace(owner, *args, **kwargs)
        return __self.counted_value(super().call(__context, __obj, *args, **kwargs))

    def getattr(self, obj: Any, attribute: str) -> Any:
        spend(1)
        return super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        spend(1)
        return super().getitem(obj, argument)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Methods that could build something huge, or that nobody needs here, do not exist."""
        if isinstance(obj, (str, bytes)):
            return attr in _TEXT_METHODS and isinstance(obj, str)
        if isinstance(obj, (int, float, list, tuple, set, frozenset, range)) and callable(value):
            return attr in _LIST_METHODS
        return super().is_safe_attribute(obj, attr, value)

    def wrap_str_format(self, value: Any) -> None:
        """``format`` is none of the methods; the base class would make it callable before it is judged."""


def _check_repeated(value: Any, times: Any) -> None:
    if isinstance(times, int) and isinstance(value, str):
        check_text(len(value) * times)
    elif isinstance(times, int) and isinstance(value, (list, tuple)):
        check_items(weigh(value) * times)
