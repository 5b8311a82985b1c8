"""Listings: a table for people, JSON for programs."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, is_dataclass
from typing import Any

from nflow.cli.console.streams import say


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
    cells = [[" ".join(cell.split()) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _print_fitting(headers, cells, styles or [""] * len(rows))
        return
    widths = [max(map(len, column)) for column in zip(headers, *cells, strict=True)]
    say("\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in (headers, *cells)))


def _print_fitting(headers: Sequence[str], rows: Sequence[Sequence[str]], styles: Sequence[str]) -> None:
    """On a narrow terminal the last column gives way; the first, an id to copy, stays whole."""
    from rich.cells import cell_len  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415 - takes time to import, and only terminals need it
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    *columns, last = zip(headers, *rows, strict=True)
    for header, *cells in columns:
        table.add_column(header, no_wrap=True, min_width=max(map(cell_len, (header, *cells))))
    table.add_column(last[0], no_wrap=True)
    for row, style in zip(rows, styles, strict=True):
        table.add_row(*map(Text, row), style=style)
    Console(highlight=False).print(table)
