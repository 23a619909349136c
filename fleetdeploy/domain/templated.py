"""A text of the inventory that holds ``{{ … }}``: the text itself, and what it stands for once that is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping


class Templated(str):
    """The text as it was written, for listings; :meth:`rendered` is what a template sees.

    A text that only looks the same, from wherever else it came, is no ``Templated`` and stays what it is.
    """

    __slots__ = ("_render", "_value")

    def __new__(cls, text: str, render: Callable[[], object]) -> Templated:  # noqa: PYI034  `Self` is of Python 3.11
        made = super().__new__(cls, text)
        made._render = render
        made._value = []
        return made

    _render: Callable[[], object]
    _value: list[object]

    def rendered(self) -> object:
        """The plain value, which may be or hold secrets; found out once. Raises InputError."""
        if not self._value:
            self._value.append(self._render())
        return self._value[0]

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (str(self),)


def holds_template(value: object) -> bool:
    """Whether such a text stands anywhere in a plain value."""
    if isinstance(value, Mapping):
        return any(map(holds_template, value.values()))
    return any(map(holds_template, value)) if isinstance(value, (list, tuple)) else isinstance(value, Templated)
