"""Listings: a table for people, JSON for programs."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, is_dataclass
from typing import Any

from nflow.cli.console.printable import printable
from nflow.cli.console.streams import say

_GAP = "  "

#: Columns of a terminal in which a text that is cut off still tells something.
_ROOM = 30


def print_json(entries: Sequence[object]) -> None:
    """Dataclasses, or what JSON knows, as a list."""
    plain: list[Any] = [
        asdict(entry) if is_dataclass(entry) and not isinstance(entry, type) else entry for entry in entries
    ]
    say(json.dumps(plain, indent=2, ensure_ascii=False))


def print_table(headers: Sequence[str], rows: Sequence[Sequence[str]], *, styles: Sequence[str] = ()) -> None:
    """Rows under headers: cells as they are in a file or a pipe, with colours on a terminal.

    Args:
        headers: What the columns are called.
        rows: A cell for each column.
        styles: How the rows look where there are colours.
    """
    cells = [[printable(" ".join(cell.split())) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _print_fitting(headers, cells, styles or [""] * len(rows))
        return
    widths = [max(map(len, column)) for column in zip(headers, *cells, strict=True)]
    say("\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in (headers, *cells)))


def _print_fitting(headers: Sequence[str], rows: Sequence[Sequence[str]], styles: Sequence[str]) -> None:
    from rich.console import Console  # noqa: PLC0415 - takes time to import, and only terminals need it
    from rich.text import Text  # noqa: PLC0415

    console = Console(highlight=False)
    for lines, style in zip(fitting(headers, rows, console.width), ("dim", *styles), strict=True):
        for line in lines:
            console.print(Text(line, style=style), soft_wrap=True)


def fitting(headers: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[list[str]]:
    """The lines of the headers, and of each row, on a terminal of that width.

    The last column, mostly a reason, gives way, and goes below its row where there is no room beside it. All others,
    ids to copy among them, stay whole however narrow the terminal is.
    """
    from rich.cells import cell_len, set_cell_size  # noqa: PLC0415 - see above

    table = [headers, *rows]
    widths = [max(map(cell_len, column)) for column in zip(*table, strict=True)][:-1]
    beside = width - sum(widths) - len(_GAP) * len(widths)
    has_room = max(cell_len(row[-1]) for row in table) <= beside or beside >= _ROOM
    lines = []
    for row in table:
        begin = _GAP.join(map(set_cell_size, row[:-1], widths))
        if has_room:
            lines.append([f"{begin}{_GAP if widths else ''}{_cut(row[-1], beside)}".rstrip()])
        else:
            below = [f"{_GAP}{_cut(row[-1], width - len(_GAP))}"] if row[-1] and row is not headers else []
            lines.append([begin.rstrip(), *below])
    return lines


def _cut(text: str, width: int) -> str:
    from rich.cells import cell_len, set_cell_size  # noqa: PLC0415 - see above

    return text if cell_len(text) <= width else f"{set_cell_size(text, max(width - 1, 0)).rstrip()}…"
