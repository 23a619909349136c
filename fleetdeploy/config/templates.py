"""Jinja2 templates for text protobuf: sandboxed, strict about undefined names, confined to one directory.

Every value that ``{{ }}`` puts out is escaped for a quoted protobuf string (``name: "{{ model.name }}"``), so no value
can end the string it stands in; ``{{ value | pbtxt }}`` writes the quotes too. The result of a macro is a value like
any other; use ``{% include %}`` for structure. Values are never rendered a second time: a variable that holds
``{{ 7 * 7 }}`` comes out as that text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from jinja2 import (
    BaseLoader,
    Environment,
    StrictUndefined,
    TemplateError,
    TemplateNotFound,
    TemplateRuntimeError,
    TemplateSyntaxError,
    Undefined,
    UndefinedError,
)
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from fleetdeploy.config.syntax.suggest import hint_for, nearest
from fleetdeploy.config.syntax.text_file import read_text
from fleetdeploy.domain.origin import Origin
from fleetdeploy.errors import InputError

OUTPUT_LIMIT: Final = 1024 * 1024
"""Characters of rendered text; also the most that one expression may build by repeating or padding."""

_REMOVED_FILTERS: Final = frozenset({
    # They write HTML, pad to any width, or mark a text as already escaped.
    "center", "e", "escape", "forceescape", "format", "safe", "tojson", "urlize", "wordwrap", "xmlattr",
})  # fmt: skip
_PADDING_METHODS: Final = frozenset({"center", "expandtabs", "format", "format_map", "ljust", "rjust", "zfill"})


class TemplateSet:
    """The templates of one directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = Path(directory)
        self._environment = _Sandbox(_Loader(self.directory))

    def names(self) -> tuple[str, ...]:
        """All templates, by their names relative to the directory."""
        found = (path for path in self.directory.rglob("*") if path.is_file() and not path.name.startswith("."))
        return tuple(sorted(path.relative_to(self.directory).as_posix() for path in found))

    def render(self, name: str, context: Mapping[str, object]) -> str:
        """The text of template ``name`` with the variables of ``context``.

        Raises InputError with the template's line for a missing template, a syntax error, an undefined variable, a
        value that has no text form, and more than ``OUTPUT_LIMIT`` characters.
        """
        try:
            template = self._environment.get_template(name)
            parts, size = [], 0
            for part in template.generate(dict(context)):
                size += len(part)
                if size > OUTPUT_LIMIT:
                    raise SecurityError(f"the text grows beyond {OUTPUT_LIMIT} characters")
                parts.append(part)
            return "".join(parts)
        except InputError:
            raise
        except Exception as error:  # noqa: BLE001  template code may fail with any exception; all become one kind
            raise self._explain(error, name, context) from None

    def _explain(self, error: Exception, name: str, context: Mapping[str, object]) -> InputError:
        if isinstance(error, TemplateSyntaxError):
            where = Origin(error.filename or str(self.directory / (error.name or name)), error.lineno, 1)
            return InputError(f"template syntax error: {error.message}", where=_line(where), hint="see that line")
        where = self._place(error.__traceback__) or Origin(str(self.directory / name))
        if isinstance(error, TemplateNotFound):
            missing = str(error.message or error.name or name)
            place = _line(where) if where.line else str(self.directory)
            return InputError(
                f"no such template: {missing!r}", where=place, hint=hint_for(missing, self.names(), what="templates")
            )
        if isinstance(error, UndefinedError):
            return InputError(
                f"undefined variable: {error.message}",
                where=_line(where),
                hint=_scope_hint(str(error.message), context),
            )
        if isinstance(error, RecursionError):
            return InputError("templates include each other without end", where=_line(where), hint="break the loop")
        if isinstance(error, SecurityError):
            return InputError(
                f"refused by the sandbox: {error.message}",
                where=_line(where),
                hint="templates compute text from their variables and nothing else",
            )
        message = error.message if isinstance(error, TemplateError) else f"{type(error).__name__}: {error}"
        return InputError(f"the template cannot be rendered: {message}", where=_line(where), hint="see that line")

    def _place(self, traceback: TracebackType | None) -> Origin | None:
        """The innermost template line in a traceback; Jinja2 puts its own lines there."""
        place = None
        while traceback is not None:
            file = traceback.tb_frame.f_code.co_filename
            if Path(file).is_relative_to(self.directory):
                place = Origin(file, traceback.tb_lineno, 1)
            traceback = traceback.tb_next
        return place


class Escaped(str):
    """Text that is protobuf syntax already. Whatever is computed from it is an ordinary text again."""

    __slots__ = ()


def pbtxt(value: object) -> Escaped:
    """A value as it stands in text protobuf: a text quoted and escaped, a number or a boolean bare."""
    if isinstance(value, str):
        return Escaped(f'"{escape(value)}"')
    return Escaped(_output(value))


def escape(text: str) -> str:
    """``text`` for the inside of a quoted protobuf string, of either kind of quotes."""
    simple = {"\\": "\\\\", '"': '\\"', "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
    return "".join(
        simple.get(char) or (char if char >= " " and char != "\x7f" else f"\\{ord(char):03o}") for char in text
    )


def _output(value: object) -> str:
    """What ``{{ value }}`` puts out."""
    if isinstance(value, Undefined):
        return str(value)  # raises UndefinedError with the name
    if isinstance(value, Escaped):
        return value
    if isinstance(value, str):
        return escape(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return str(value)
    kind = "nothing (null)" if value is None else f"a {type(value).__name__}"
    raise TemplateRuntimeError(f"the expression gives {kind}, which has no text form; pick a value in it")


class _Sandbox(ImmutableSandboxedEnvironment):
    """Jinja2's sandbox, without what builds huge texts in one step or passes values unescaped."""

    intercepted_binops = frozenset({"*", "**", "%", "+"})

    def __init__(self, loader: BaseLoader) -> None:
        super().__init__(
            loader=loader,
            undefined=StrictUndefined,
            finalize=_output,
            autoescape=False,  # `finalize` escapes, for protobuf and not for HTML
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            auto_reload=False,
        )
        self.filters = {name: item for name, item in self.filters.items() if name not in _REMOVED_FILTERS}
        self.filters["pbtxt"] = pbtxt
        self.globals = {"range": self.globals["range"], "dict": self.globals["dict"]}

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        sizes = [len(item) for item in (left, right) if isinstance(item, (str, list, tuple))]
        numbers = [abs(item) for item in (left, right) if isinstance(item, int)]
        if operator == "*" and sizes and numbers and sizes[0] * numbers[0] > OUTPUT_LIMIT:
            raise SecurityError(f"a text or list repeated to more than {OUTPUT_LIMIT} items")
        if operator == "+" and sum(sizes) > OUTPUT_LIMIT:
            raise SecurityError(f"a text or list of more than {OUTPUT_LIMIT} items")
        if operator == "**" and (not numbers or max(numbers) > 1000):
            raise SecurityError("a power beyond 1000")
        if operator == "%" and isinstance(left, (str, bytes)):
            raise SecurityError("texts are not formatted with %; put values together with ~")
        return super().call_binop(context, operator, left, right)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        if isinstance(obj, (str, bytes)) and attr in _PADDING_METHODS:
            return False
        return super().is_safe_attribute(obj, attr, value)

    def wrap_str_format(self, value: Any) -> None:
        """``format`` is one of the padding methods; the base class would make it callable before it is judged."""


class _Loader(BaseLoader):
    """Reads templates below one directory, and nothing that a link leads to elsewhere."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Callable[[], bool]]:  # noqa: ARG002
        parts = template.split("/")
        if template.startswith("/") or "\\" in template or "\0" in template or {"", ".", ".."} & set(parts):
            raise SecurityError(f"{template!r} is a path outside the templates directory")
        path = self.directory.joinpath(*parts)
        if not path.exists():
            raise TemplateNotFound(template)
        if not path.resolve().is_relative_to(self.directory.resolve()):
            raise SecurityError(f"{template!r} is a link to outside the templates directory")
        return read_text(path, what="template", limit_bytes=OUTPUT_LIMIT), str(path), lambda: True


def _line(origin: Origin) -> str:
    return f"{origin.file}:{origin.line}" if origin.line else origin.file


def _scope_hint(message: str, context: Mapping[str, object]) -> str:
    name = next(_quoted(message), "")
    close = nearest(name, context) if name else ""
    listed = f"variables in scope: {', '.join(sorted(context))}"
    return f"did you mean {close!r}? {listed}" if close else listed


def _quoted(message: str) -> Iterator[str]:
    parts = message.split("'")
    yield from (parts[index] for index in range(len(parts) - 2, 0, -2))
