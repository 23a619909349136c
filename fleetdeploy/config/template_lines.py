"""Which line of which template gave a piece of rendered text.

Jinja2 notes the template's line for expressions and statements, and tells it for errors; here the texts between them
get theirs as well, and a template that is being rendered is asked where it stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import FrameType, GeneratorType

from jinja2 import Template, nodes
from jinja2.compiler import CodeGenerator, Frame

from fleetdeploy.domain.origin import Origin


class NotesLines(CodeGenerator):
    """Writes each part of the output on a line of code of its own, with the template's line noted for it."""

    def visit_Output(self, node: nodes.Output, frame: Frame) -> None:  # noqa: N802
        if frame.buffer is not None:
            super().visit_Output(node, frame)
            return
        for child in node.nodes:
            self.newline(child)
            super().visit_Output(nodes.Output([child], lineno=child.lineno), frame)


def pieces_of(rendering: Iterable[str]) -> Iterator[tuple[str, Origin | None]]:
    """Each piece of text that ``Template.generate`` gives, with the place that its first character comes from."""
    for piece in rendering:
        frame = _innermost(rendering)
        template = frame.f_globals.get("__jinja_template__") if frame is not None else None
        if frame is None or not isinstance(template, Template):
            yield piece, None
        else:
            line = template.get_corresponding_lineno(frame.f_lineno)
            yield piece, Origin(template.filename or str(template.name), line, 1)


def _innermost(running: object) -> FrameType | None:
    """Where the template, or the one that it includes just now, waits for its piece to be taken."""
    found = None
    while isinstance(running, GeneratorType) and running.gi_frame is not None:
        found = running.gi_frame
        # Of an included template `gen` holds what runs, in the code that Jinja2 writes.
        running = running.gi_yieldfrom or found.f_locals.get("gen")
    return found


def at(pieces: Iterable[tuple[str, Origin | None]], line: int, column: int) -> Origin | None:
    """The place that the character in this line and column of all the pieces together comes from, both from 1 on."""
    known = tuple(pieces)
    lines = "".join(piece for piece, _ in known).split("\n")
    if not 0 < line <= len(lines):
        return None
    left = sum(len(before) + 1 for before in lines[: line - 1]) + min(column - 1, len(lines[line - 1]))
    left = min(left, sum(len(piece) for piece, _ in known) - 1)  # an end that is missed is told with the last line
    for piece, place in known:
        if left < len(piece):
            return place and Origin(place.file, place.line + piece.count("\n", 0, left), 1)
        left -= len(piece)
    return None
