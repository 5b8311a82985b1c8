"""How a run looks on a terminal: its tasks' own output, above it one line that moves, at the end a summary."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from nflow.cli.view import Failure, RunView
from nflow.core.events import Status
from nflow.wire.lines import Line

_COLOURS = {Status.SUCCEEDED: "green", Status.FAILED: "red", Status.STOPPED: "yellow"}
_MARKS = {Status.SUCCEEDED: "✔", Status.FAILED: "✘", Status.STOPPED: "■"}

#: Frames a second of the moving line.
FRAMES = 8


class Moving:
    """The line that moves: a bar, what is in flight, the time."""

    def __init__(self, name: str, view: RunView) -> None:
        self._name = name
        self._view = view
        self._began = time.monotonic()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Drawn anew at each frame."""
        view = self._view
        done, total = len(view.settled), view.total
        flying = sorted({task for _, task in view.running})[:3]
        row = Table.grid(padding=(0, 1))
        row.add_row(
            Text(self._name, style="bold"),
            ProgressBar(total=total or 1, completed=done, width=24),
            Text(f"{done}/{total} tasks"),
            Text(f"{len(view.running)} running", style="cyan"),
            Text(f"{view.dags_running} dags", style="dim"),
            Text(f"{time.monotonic() - self._began:.1f} s", style="dim"),
            Text(view.stopping or ", ".join(flying), style="yellow" if view.stopping else "dim"),
        )
        yield row


class Screen:
    """Where a run is shown: lively on a terminal, in plain lines elsewhere."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._out = Console(highlight=False, soft_wrap=True, stderr=quiet)
        self._err = Console(highlight=False, soft_wrap=True, stderr=True)
        self._quiet = quiet

    @contextmanager
    def showing(self, name: str, view: RunView) -> Iterator[None]:
        """Show the run while this lasts."""
        if not self._out.is_terminal:
            yield
            return
        with Live(Moving(name, view), console=self._out, refresh_per_second=FRAMES, transient=True):
            yield

    def line(self, line: Line) -> None:
        """A line that a task wrote."""
        if line.stream == "log":
            style = {"WARNING": "yellow", "ERROR": "red", "CRITICAL": "bold red"}.get(line.level, "dim")
            self._err.print(Text(f"{line.level} {line.logger}: {line.text}", style=style))
        elif self._out.is_terminal:
            self._out.print(Text.from_ansi(line.text))
        else:
            stream = sys.stderr if self._quiet or line.stream == "err" else sys.stdout
            stream.write(line.text + "\n")

    def note(self, text: str) -> None:
        """A remark of nflow's own."""
        self._err.print(Text(text, style="dim"))

    def summary(self, name: str, run: str, view: RunView) -> None:
        """How it ended."""
        assert view.finished is not None
        for failure in view.failures:
            self._failure(failure)
        status = view.finished.status
        seconds = (view.ended or 0.0) - (view.started or view.ended or 0.0)
        counts = ", ".join(f"{count} {state}" for state, count in sorted(view.counts.items(), reverse=True))
        reason = f": {view.finished.reason}" if view.finished.reason and status is not Status.SUCCEEDED else ""
        text = Text.assemble(
            (f"{_MARKS[status]} {name} {status}", f"bold {_COLOURS[status]}"),
            f" in {seconds:.2f} s{reason}",
            (f"  ({counts or 'no tasks'}, run {run})", "dim"),
        )
        self._out.print(text)

    def _failure(self, failure: Failure) -> None:
        where = f"{failure.dag}/{failure.task} failed on {failure.host}"
        self._err.print(Text(f"{where}: {failure.error.type}: {failure.error.message}", style="red"))
        if failure.error.traceback:
            self._err.print(Text(failure.error.traceback.rstrip(), style="dim"))
