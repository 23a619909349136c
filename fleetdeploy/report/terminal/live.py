"""The run as a board that is drawn anew a few times a second, with what has to stay written above it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from rich.console import Console, ConsoleRenderable, Group
from rich.control import Control
from rich.live import Live

from fleetdeploy.domain.events import Kind
from fleetdeploy.report.story.parts import Told
from fleetdeploy.report.story.run_story import RunStory
from fleetdeploy.report.terminal.lines import Lines
from fleetdeploy.report.terminal.picture import picture
from fleetdeploy.report.terminal.reflow import Drawing

PER_SECOND = 4


class Board(Live):
    """A sink. Failures, ways back, stops and debts are told by ``lines``, above; the rest is seen on the board as long
    as it goes on, and not at all afterwards. ``now_s`` gives Unix time.

    An event costs what the story needs to take it in; drawing is up to rich's own thread. A terminal that goes away
    ends the board and nothing else.
    """

    def __init__(self, out: Console, lines: Lines, *, now_s: Callable[[], float]) -> None:
        self._story = RunStory()
        self._lines = lines
        self._now_s = now_s
        self._open = False
        super().__init__(
            console=out, get_renderable=self._drawn, refresh_per_second=PER_SECOND, transient=True,
            vertical_overflow="crop",
        )  # fmt: skip

    def __call__(self, event: Told) -> None:
        with self._lock:
            self._story.tell(event)
            if event.kind == Kind.RUN_STARTED:
                self._open = True
                self.start()
            self._lines(event)
            if event.kind == Kind.RUN_FINISHED:
                self.close()

    def trace(self, host: str, what: str, *, seconds: float, wire: bool = False) -> None:
        """As :meth:`Lines.trace`, above the board."""
        with self._lock:
            self._lines.trace(host, what, seconds=seconds, wire=wire)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Without the board, while a question is asked and answered."""
        self._ended()
        try:
            yield
        finally:
            if self._open:
                self.start()

    def close(self) -> None:
        """Take the board away; what stands above it stays."""
        self._open = False
        self._ended()

    def start(self, refresh: bool = False) -> None:
        """Draw, from now on. What was drawn before a pause is not to be written over."""
        self.vertical_overflow = "crop"
        self._live_render = self._drawing = Drawing(lambda: self.console.size)
        super().start(refresh)
        # A process that is killed could not show it again.
        self.console.show_cursor(True)

    def refresh(self) -> None:
        """Draw once. In rich's thread nobody would hear of a terminal that went away."""
        with suppress(OSError):
            super().refresh()

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """With the board below what is printed."""
        shown = super().process_renderables(renderables)
        if any(not isinstance(item, Control) for item in renderables):
            self._drawing.parted()
        return shown

    def _ended(self) -> None:
        with suppress(OSError):
            self.stop()

    def _drawn(self) -> Group:
        width, height = self.console.size
        lines = picture(
            self._story,
            now_s=self._now_s(),
            # A full last column would let what is typed, such as ^C, begin a line that nobody clears.
            width=width - 3,
            height=height - 1,
            plain=self.console.options.ascii_only,
        )
        return Group(*lines)
