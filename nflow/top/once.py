"""The monitor's lists printed once, as tables or JSON: for scripts, logs, and terminals that cannot do more."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TypeVar

from rich.console import Console
from rich.table import Table
from rich.text import Text

from nflow.top.cells import ASCII, Cell, Column, Glyphs, Look, clean
from nflow.top.model import Model
from nflow.top.runs import Choice, RunLine, chosen
from nflow.top.view import Scene

R = TypeVar("R")

#: Columns of what is no terminal: room for whatever there is to say.
_WHOLE = 1000

#: Runs that have ended, and events, that are printed unless all are asked for.
RECENT = 10


def listed(model: Model, *, every: bool = False) -> list[RunLine]:
    """The runs that are printed: those that move, and the last ones that ended."""
    lines = chosen(model.runs, Choice())
    if every:
        return list(lines)
    active = [line for line in lines if line.entry.is_active]
    return active + [line for line in lines if not line.entry.is_active][:RECENT]


def as_json(scene: Scene, *, every: bool = False) -> dict[str, object]:
    """All that the tables say, for programs. Times are seconds since the epoch, UTC."""
    model = scene.model
    return {
        "at": scene.now,
        "runs": [_run(scene, line) for line in listed(model, every=every)],
        "queues": [asdict(line) for line in model.queues()],
        "workers": [asdict(worker) for worker in model.workers],
    }


def print_tables(scene: Scene, console: Console, *, every: bool = False) -> None:
    """Print all lists, one after the other."""
    model, width = scene.model, console.width
    headline = scene.headline(width)[0]
    console.print(Text.assemble(*((cell.text, scene.look.style(cell.style)) for cell in headline)), soft_wrap=True)
    _print(console, scene, scene.runs(), listed(model, every=every), "No runs yet. Start one: nflow run sequence")
    _print(console, scene, scene.queues(), model.queues(), "No queues yet.")
    _print(console, scene, scene.workers(), model.workers, "No worker is there. Start one: nflow worker")


def look_of(console: Console) -> Look:
    """What this terminal or file can show."""
    return Look(glyphs=glyphs_for(console.encoding), has_colours=console.color_system is not None)


def glyphs_for(encoding: str) -> Glyphs:
    """The signs that this encoding has."""
    try:
        Glyphs().levels.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return Glyphs()


def console_of_stdout() -> Console:
    """Where to print; what is no terminal gets whole lines, however long these are."""
    width = None if sys.stdout.isatty() else _WHOLE
    return Console(file=sys.stdout, width=width, highlight=False, markup=False, emoji=False)


def _run(scene: Scene, line: RunLine) -> dict[str, object]:
    progress = line.now()
    return {
        **asdict(line.entry),
        "worker": line.worker,
        "remark": scene.remark(line).text,
        "tasks": None if progress is None else asdict(progress),
    }


def _print(console: Console, scene: Scene, columns: Iterable[Column[R]], rows: Sequence[R], empty: str) -> None:
    console.print()
    if not rows:
        console.print(Text(empty, scene.look.style("dim")))
        return
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style=scene.look.style("title"))
    shown = [column for column in columns if column.from_width <= console.width]
    for column in shown:
        # of what has a place to grow into the last one gives way: it is the remark
        least = None if column.grows and column is shown[-1] else column.width
        table.add_column(column.title, justify="right" if column.is_right else "left", no_wrap=True, min_width=least)
    for row in rows:
        table.add_row(*(_text(column.cell(row), scene.look) for column in shown))
    console.print(table)


def _text(cell: Cell, look: Look) -> Text:
    return Text(clean(cell.text), look.style(cell.style))
