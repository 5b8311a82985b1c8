"""How a run looks on a terminal: what its tasks write scrolls by, and below it moves what is in flight."""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TextIO

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.segment import Segment
from rich.text import Text

from nflow.cli.console.times import duration
from nflow.cli.follow.plain import Plain, logged
from nflow.cli.follow.summary import Part
from nflow.view.run import DagFrame, Frame
from nflow.wire.lines import Line, readable

_LEVELS = {"WARNING": "yellow", "ERROR": "red", "CRITICAL": "bold red"}
_BAR_COLUMNS = 24
_NARROW_COLUMNS = 60


class Lively:
    """A screen on a terminal. Of stdout and stderr, that which is no terminal gets plain lines."""

    moves = True

    def __init__(self, name: str, console: Console, out: TextIO, err: TextIO) -> None:
        self._name = name
        self._console = console
        self._out_here, self._err_here = out.isatty(), err.isatty()
        self._elsewhere = Plain(out, err)
        self._live: Live | None = None
        self._began = time.monotonic()

    def showing(self) -> AbstractContextManager[object]:
        """Frames can be drawn while this lasts, and are gone afterwards."""
        self._live = Live(
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=self._out_here,
            redirect_stderr=self._err_here,
        )
        return self._live

    def draw(self, frame: Frame) -> None:
        """Show what is in flight now."""
        assert self._live is not None, "showing() comes first"
        self._live.update(Moving(self._name, frame, time.monotonic() - self._began), refresh=True)

    def lines(self, lines: Sequence[Line]) -> None:
        """Show what tasks wrote, above all that moves."""
        here = [line for line in lines if self._is_here(line)]
        if here:
            self._console.print(Written(here), end="", soft_wrap=True)
        if len(here) < len(lines):
            self._elsewhere.lines([line for line in lines if not self._is_here(line)])

    def note(self, text: str) -> None:
        """Show a remark of nflow's own."""
        if self._err_here:
            self._console.print(Text(text, style="dim"), soft_wrap=True)
        else:
            self._elsewhere.note(text)

    def summary(self, parts: Iterable[Part]) -> None:
        """Show how the run ended."""
        if self._out_here:
            self._console.print(Text.assemble(*parts), end="", soft_wrap=True)
        else:
            self._elsewhere.summary(parts)

    def _is_here(self, line: Line) -> bool:
        return self._out_here if line.stream == "out" else self._err_here


class Written:
    """Lines of tasks, with the colours that they chose themselves."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self._lines = lines

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Most lines need no look at what they hold: 100 000 of them have to pass in a second."""
        for line in self._lines:
            if line.stream == "log":
                yield from console.render(Text(readable(logged(line)), style=_LEVELS.get(line.level, "dim")), options)
            elif line.text.replace("\t", "").isprintable():
                yield Segment(f"{line.text}\n")
            else:  # codes that move the cursor would tear what moves below
                yield from console.render(Text.from_ansi(readable(line.text)), options)


class Moving:
    """A frame: the run in one line, and a line for each of the first dag runs in flight."""

    def __init__(self, name: str, frame: Frame, seconds: float) -> None:
        self._name = name
        self._frame = frame
        self._seconds = seconds

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """No line is longer than the terminal is wide, or it could not be erased."""
        yield from self._line(console, options)
        if options.max_width >= _NARROW_COLUMNS and console.height > len(self._frame.dags) + 3:
            for dag in self._frame.dags:
                yield Text(fitting(f"  {_in_flight(dag)}", options.max_width), style="dim")
            if self._frame.more_dags:
                yield Text(f"  ... and {self._frame.more_dags} more dag runs", style="dim")

    def _line(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        frame = self._frame
        columns = options.max_width - 1
        told = f" {frame.done}/{frame.total} tasks, {frame.running} running, {duration(self._seconds, digits=1)}"
        if frame.remark:
            told += f", {frame.remark}"
        name = fitting(self._name, max(columns - cell_len(told), columns // 3))
        room = min(columns - cell_len(name) - cell_len(told) - 1, _BAR_COLUMNS)
        yield Segment(name, console.get_style("bold"))
        if room >= _BAR_COLUMNS // 4:
            yield Segment(" ")
            bar = ProgressBar(total=frame.total or 1, completed=frame.done, width=room)
            yield from console.render(bar, options)
        style = console.get_style("yellow" if frame.remark else "cyan")
        yield Segment(fitting(told, columns - cell_len(name)), style)
        yield Segment.line()


def lively(name: str, out: TextIO, err: TextIO) -> Lively | None:
    """A screen on whichever of the two is a terminal, the first if both are; None if it is too dumb for that."""
    console = Console(file=out if out.isatty() else err, highlight=False, markup=False, emoji=False)
    return None if console.is_dumb_terminal or not console.is_terminal else Lively(name, console, out, err)


def fitting(text: str, columns: int) -> str:
    """`text`, or as much of it as fits."""
    return text if cell_len(text) <= columns else f"{set_cell_size(text, max(columns - 1, 0))}…"


def _in_flight(dag: DagFrame) -> str:
    return f"{dag.dag}  {dag.done}/{dag.total}  {', '.join(dag.running) or '...'}"
