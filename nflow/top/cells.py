"""Cells, columns and lines: how the monitor says what it draws, without a word on where. Pure."""

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from rich.cells import cell_len, set_cell_size
from rich.style import Style

R = TypeVar("R")


class Cell(NamedTuple):
    """A piece of text, and what it is to look like: a word of the palette."""

    text: str
    style: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Glyphs:
    """The signs of a terminal that has them all."""

    marks: tuple[tuple[str, str], ...] = (
        ("waiting", "○"),
        ("ready", "○"),
        ("running", "●"),
        ("retrying", "↻"),
        ("stopping", "◐"),
        ("succeeded", "✔"),
        ("failed", "✘"),
        ("stopped", "■"),
        ("cancelled", "■"),
        ("skipped", "·"),
    )
    full: str = "━"
    rest: str = "╌"
    levels: str = " ▁▂▃▄▅▆▇█"
    more: str = "…"

    def mark(self, state: str) -> str:
        """The sign of a state."""
        return dict(self.marks).get(state, "?")


#: For terminals that know letters only.
ASCII = Glyphs(
    marks=(
        ("waiting", "."),
        ("ready", "."),
        ("running", ">"),
        ("retrying", "~"),
        ("stopping", "!"),
        ("succeeded", "+"),
        ("failed", "x"),
        ("stopped", "#"),
        ("cancelled", "#"),
        ("skipped", "-"),
    ),
    full="=",
    rest="-",
    levels=" .:-=+*#@",
    more="~",
)

#: How states look.
STATE_STYLES = {
    "running": "busy",
    "retrying": "warn",
    "stopping": "warn",
    "succeeded": "good",
    "failed": "bad",
    "stopped": "warn",
    "cancelled": "warn",
    "waiting": "dim",
    "ready": "dim",
    "skipped": "dim",
}

_COLOURS = {
    "good": Style(color="green"),
    "bad": Style(color="red", bold=True),
    "warn": Style(color="yellow"),
    "busy": Style(color="cyan"),
    "dim": Style(dim=True),
    "bold": Style(bold=True),
    "title": Style(bold=True, underline=True),
    "alarm": Style(color="red", bold=True, reverse=True),
    "cursor": Style(reverse=True),
    "focus": Style(bold=True, reverse=True),
    "keys": Style(dim=True),
}

#: Of the sixteen colours that every terminal may choose for itself, so that light and dark ones work alike.
_PLAIN = {
    name: Style(bold=style.bold or name == "warn", reverse=style.reverse, underline=style.underline)
    for name, style in _COLOURS.items()
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a terminal can show."""

    glyphs: Glyphs = Glyphs()
    has_colours: bool = True

    def style(self, name: str) -> Style:
        """A word of the palette as rich knows it."""
        return (_COLOURS if self.has_colours else _PLAIN).get(name, Style.null())


@dataclass(frozen=True, slots=True, kw_only=True)
class Column(Generic[R]):
    """One column of a list."""

    title: str
    width: int
    cell: Callable[[R], Cell]
    is_right: bool = False
    grows: int = 0  #: how much it takes of what room is left, beside others
    from_width: int = 0  #: of the list, from which on there is room for it


def fitting_columns(columns: Iterable[Column[R]], width: int) -> list[tuple[Column[R], int]]:
    """Those columns that have room, each with the width that it gets."""
    shown = [column for column in columns if column.from_width <= width]
    spare = max(width - sum(column.width + 1 for column in shown) + 1, 0)
    growing = sum(column.grows for column in shown)
    widths = []
    for column in shown:
        share = spare * column.grows // growing if column.grows else 0
        spare, growing = spare - share, growing - column.grows
        widths.append((column, column.width + share))
    return widths


def laid_out(columns: Sequence[tuple[Column[R], int]], row: R, more: str = "…") -> list[Cell]:
    """A row as one line."""
    cells: list[Cell] = []
    for column, width in columns:
        cell = column.cell(row)
        cells += [Cell(sized(cell.text, width, is_right=column.is_right, more=more), cell.style), Cell(" ")]
    return cells[:-1]


def titles(columns: Sequence[tuple[Column[R], int]]) -> list[str]:
    """What is above the rows, column by column."""
    return [sized(column.title, width, is_right=column.is_right) for column, width in columns]


def wrapped(line: Sequence[Cell], width: int) -> list[list[Cell]]:
    """A line as the lines that it takes in so few columns."""
    rows: list[list[Cell]] = [[]]
    room = width
    for cell in line:
        text = clean(cell.text)
        while cell_len(text) > room:
            head = set_cell_size(text, room)
            kept = head if text.startswith(head) else head[:-1]  # a wide sign that is cut becomes a space
            rows[-1].append(Cell(kept, cell.style))
            rows.append([])
            text, room = text[len(kept) :], width
        rows[-1].append(Cell(text, cell.style))
        room -= cell_len(text)
    return rows


def sized(text: str, width: int, *, is_right: bool = False, more: str = "…") -> str:
    """`text` in exactly so many columns of a terminal."""
    text = clean(text)
    length = cell_len(text)
    if length > width:
        return set_cell_size(text, max(width - 1, 0)) + more[:width]
    return " " * (width - length) + text if is_right else text + " " * (width - length)


def clean(text: str) -> str:
    """`text` in one line, without what a terminal might obey: names and messages may hold anything."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else _tame(each) for each in text)


def _tame(character: str) -> str:
    if character.isspace():
        return " "
    return "" if unicodedata.category(character) in ("Mn", "Cf") else "�"


def bar(done: int, total: int, width: int, glyphs: Glyphs) -> str:
    """A bar; it is full only when all is done."""
    filled = 0 if total <= 0 else min(done * width // total, width)
    return glyphs.full * filled + glyphs.rest * (width - filled)


def sparkline(counts: Sequence[int], glyphs: Glyphs) -> str:
    """Numbers as a row of small bars, the largest as high as can be."""
    most, levels = max(counts, default=0), glyphs.levels
    if not most:
        return levels[0] * len(counts)
    return "".join(levels[-(-count * (len(levels) - 1) // most)] for count in counts)
