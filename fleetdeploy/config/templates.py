"""Jinja2 templates for text protobuf: sandboxed, strict about undefined names, confined to one directory.

Every value that ``{{ }}`` puts out is escaped for a quoted protobuf string (``name: "{{ model.name }}"``), so no value
can end the string it stands in; ``{{ value | pbtxt }}`` writes the quotes too. The result of a macro is a value like
any other; use ``{% include %}`` for structure. Nothing is rendered a second time here: a value that holds
``{{ 7 * 7 }}`` comes out as that text. A host's variables of the inventory come with their expressions rendered, as
Ansible does it when a variable is used (:mod:`fleetdeploy.config.secrets.for_templates`); text from anywhere else
stays text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Final

from jinja2 import (
    BaseLoader,
    Environment,
    TemplateError,
    TemplateNotFound,
    TemplateRuntimeError,
    TemplateSyntaxError,
    Undefined,
    UndefinedError,
)
from jinja2.exceptions import SecurityError
from jinja2.sandbox import safe_range

from fleetdeploy.config.sandbox.budget import TooMuch, Total, rendering, spend, weigh
from fleetdeploy.config.sandbox.environment import CountingSandbox
from fleetdeploy.config.sandbox.filters import bounded
from fleetdeploy.config.syntax.suggest import hint_for, nearest
from fleetdeploy.config.syntax.text_file import exists, read_text
from fleetdeploy.config.template_lines import NotesLines, at, pieces_of
from fleetdeploy.config.undefined import Missing, NotThere, kind_of
from fleetdeploy.domain.origin import Origin
from fleetdeploy.errors import InputError

OUTPUT_LIMIT: Final = 1024 * 1024
"""Characters of rendered text."""

_FILTERS: Final = (
    "abs", "attr", "batch", "capitalize", "count", "d", "default", "dictsort", "first", "float", "groupby", "indent",
    "int", "items", "join", "last", "length", "list", "lower", "map", "max", "min", "reject", "rejectattr", "replace",
    "reverse", "round", "select", "selectattr", "slice", "sort", "string", "sum", "title", "trim", "truncate", "unique",
    "upper", "urlencode", "wordcount",
)  # fmt: skip
"""Of Jinja2's, those that neither write HTML, nor pad to any width, nor mark a text as already escaped."""
_SOURCE_LIMIT: Final = 128 * 1024
_STEPS_A_CHARACTER: Final = 4
"""For making code of a template."""


class TemplateSet:
    """The templates of one directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = Path(directory)
        self._environment = _Sandbox(_Loader(self.directory))
        self._total = Total()

    def names(self) -> tuple[str, ...]:
        """All templates, by their names relative to the directory."""
        found = (path for path in self.directory.rglob("*") if path.is_file() and not path.name.startswith("."))
        return tuple(sorted(path.relative_to(self.directory).as_posix() for path in found))

    def render(self, name: str, context: Mapping[str, object], *, where: str = "") -> str:
        """The text of template ``name``, which the inventory names at ``where``, with the variables of ``context``.

        Raises InputError with the template's line for a missing template, a syntax error, an undefined variable, a
        value that has no text form, more than ``OUTPUT_LIMIT`` characters, and more work or memory than
        :mod:`fleetdeploy.config.sandbox.budget` allows.
        """
        try:
            with rendering(self._total):
                return self._rendered(name, context)
        except InputError:
            raise
        except Exception as error:  # noqa: BLE001  template code may fail with any exception; all become one kind
            raise self._explain(error, name, context, where) from None

    def _rendered(self, name: str, context: Mapping[str, object]) -> str:
        parts, size = [], 0
        for part in self._environment.get_template(name).generate(dict(context)):
            size += len(part)
            if size > OUTPUT_LIMIT:
                raise TooMuch(f"a rendered text of more than {OUTPUT_LIMIT:,} characters")
            parts.append(part)
        return "".join(parts)

    def place_of(self, name: str) -> str:
        """A template as messages name it."""
        return str(self.directory / name)

    def place_in(self, name: str, context: Mapping[str, object], line: int, column: int) -> str:
        """The template and the line of it that gave a place of the text which :meth:`render` made of ``context``.

        It is rendered once more for that, as nobody asks where all is well.
        """
        with rendering():
            found = at(pieces_of(self._environment.get_template(name).generate(dict(context))), line, column)
        return _line(found) if found is not None else self.place_of(name)

    def _explain(self, error: Exception, name: str, context: Mapping[str, object], named_at: str) -> InputError:
        if isinstance(error, TemplateSyntaxError):
            where = Origin(error.filename or str(self.directory / (error.name or name)), error.lineno, 1)
            return InputError(f"template syntax error: {error.message}", where=_line(where), hint="see that line")
        where = self._place(error.__traceback__) or Origin(str(self.directory / name))
        if isinstance(error, TemplateNotFound):
            missing = str(error.message or error.name or name)
            place = _line(where) if where.line else named_at or str(self.directory)
            hint = hint_for(missing, self.names(), what="templates") or f"put it into {self.directory}"
            return InputError(f"no such template: {missing!r}", where=place, hint=hint)
        if isinstance(error, NotThere):
            hint = hint_for(error.name, error.known, what=f"in {error.path or 'it'}") or "see what is there"
            return InputError(f"undefined variable: {error.message}", where=_line(where), hint=hint)
        if isinstance(error, UndefinedError):
            return InputError(
                f"undefined variable: {error.message}",
                where=_line(where),
                hint=_scope_hint(str(error.message), context),
            )
        if isinstance(error, (RecursionError, MemoryError)):  # Python's own parser raises the latter
            return InputError(
                "templates, macros or brackets are nested too deeply, or without end",
                where=_line(where),
                hint="does it include or call itself?",
            )
        if isinstance(error, TooMuch):
            return InputError(
                f"the template takes too much: {error.message}",
                where=_line(where),
                hint="look for loops in loops, and for what doubles itself; keep large texts out of templates",
            )
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


_SIMPLE: Final = {"\\": "\\\\", '"': '\\"', "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_SPECIAL: Final = re.compile(r"""[\\"'\x00-\x1f\x7f]""")


def escape(text: str) -> str:
    """``text`` for the inside of a quoted protobuf string, of either kind of quotes."""
    return _SPECIAL.sub(lambda found: _SIMPLE.get(found[0]) or f"\\{ord(found[0]):03o}", text)


def _counted_output(value: object) -> str:
    spend(weigh(value))
    return _output(value)


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
    raise TemplateRuntimeError(f"the expression gives {kind_of(value)}, which has no text form; pick a value in it")


class _Sandbox(CountingSandbox):
    """The sandbox with what model.config needs, and every value escaped for protobuf."""

    code_generator_class = type("CountsAndNotes", (NotesLines, CountingSandbox.code_generator_class), {})  # type: ignore[assignment]

    def __init__(self, loader: BaseLoader) -> None:
        super().__init__(
            _FILTERS,
            loader=loader,
            undefined=Missing,
            finalize=_counted_output,
            autoescape=False,  # `finalize` escapes, for protobuf and not for HTML
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            auto_reload=False,
        )
        self.filters["pbtxt"] = bounded("pbtxt", pbtxt)
        self.globals = {"range": safe_range, "dict": dict}


class _Loader(BaseLoader):
    """Reads templates below one directory, and nothing that a link leads to elsewhere."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Callable[[], bool]]:  # noqa: ARG002
        parts = template.split("/")
        if template.startswith("/") or "\\" in template or "\0" in template or {"", ".", ".."} & set(parts):
            raise SecurityError(f"{template!r} is a path outside the templates directory")
        path = self.directory.joinpath(*parts)
        if not exists(path):
            raise TemplateNotFound(template)
        if not path.resolve().is_relative_to(self.directory.resolve()):
            raise SecurityError(f"{template!r} is a link to outside the templates directory")
        source = read_text(path, what="template", limit_bytes=_SOURCE_LIMIT)
        spend(_STEPS_A_CHARACTER * len(source))
        return source, str(path), lambda: True


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
