"""A list that a person moves in: titles, and as many rows as there is room for."""

from collections.abc import Callable, Hashable, Sequence
from typing import Any, ClassVar, Generic, TypeVar

from textual.binding import Binding, BindingType
from textual.events import Blur, Click, Focus, MouseScrollDown, MouseScrollUp, Resize
from textual.message import Message

from nflow.top.cells import Cell, Column, Look, fitting_columns, laid_out, sized, titles
from nflow.top.widgets.pane import Pane

R = TypeVar("R")

#: Rows that a turn of the wheel moves.
_WHEEL = 3


class Listing(Pane, Generic[R], can_focus=True):
    """Rows under titles; one of them is the one that keys act on, and stays it while rows come and go."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("pageup,ctrl+b", "page(-1)", show=False),
        Binding("pagedown,ctrl+f", "page(1)", show=False),
        Binding("home,g", "jump(0)", show=False),
        Binding("end,G", "jump(-1)", show=False),
        Binding("enter", "open", show=False),
    ]

    class Opened(Message):
        """A person wants to look into a row."""

        def __init__(self, listing: "Listing[Any]") -> None:
            super().__init__()
            self.listing = listing

    class Moved(Message):
        """Another row is the one that keys act on."""

        def __init__(self, listing: "Listing[Any]") -> None:
            super().__init__()
            self.listing = listing

    def __init__(self, look: Look, key: Callable[[R], Hashable], empty: str, **named: Any) -> None:
        """Make a list without rows.

        Args:
            look: What the terminal can show.
            key: What tells a row from others, whatever becomes of it.
            empty: What is told where there are no rows.
            **named: See textual.
        """
        super().__init__(look, **named)
        self.rows: Sequence[R] = ()
        self._key = key
        self._empty = self._none = empty
        self._columns: Sequence[Column[R]] = ()
        self._cursor = self._top = 0
        self._chosen: Hashable = None  # the row that a person went to; None: they have not moved yet

    @property
    def current(self) -> R | None:
        """The row that keys act on."""
        return self.rows[self._cursor] if self._cursor < len(self.rows) else None

    @property
    def visible_rows(self) -> Sequence[R]:
        """The rows that there is room for."""
        return self.rows[self._top : self._top + max(self.size.height - 1, 0)]

    def show(self, columns: Sequence[Column[R]], rows: Sequence[R], *, empty: str | None = None) -> None:
        """Show these rows now; where there are none, `empty`, or what is always told then."""
        self._columns, self.rows, self._none = columns, rows, empty or self._empty
        self._find()
        self._redraw()

    def choose(self, number: int) -> None:
        """Let keys act on this row."""
        self._cursor = max(min(number, len(self.rows) - 1), 0)
        self._chosen = self._key(self.rows[self._cursor]) if self.rows else None
        self._redraw()
        self.post_message(self.Moved(self))

    def _find(self) -> None:
        """Stay on the row that a person went to; where it is gone, on what took its place."""
        if self._chosen is not None and (self.current is None or self._key(self.current) != self._chosen):
            found = (number for number, row in enumerate(self.rows) if self._key(row) == self._chosen)
            self._cursor = next(found, self._cursor)
        self._cursor = max(min(self._cursor, len(self.rows) - 1), 0)

    def _redraw(self) -> None:
        height, width = self.size.height, self.size.width
        room = max(height - 1, 1)
        self._top = max(min(self._top, self._cursor, len(self.rows) - room), self._cursor - room + 1, 0)
        columns = fitting_columns(self._columns, width)
        if not columns:
            return
        more = self.look.glyphs.more
        lines: list[tuple[Sequence[Cell], str]] = [(self._titles(columns), "")]
        for number, row in enumerate(self.visible_rows, self._top):
            is_current = number == self._cursor and self.has_focus
            lines.append((laid_out(columns, row, more), "cursor" if is_current else ""))
        if not self.rows:
            lines.append(([Cell(sized(self._none, width, more=more), "dim")], ""))
        self.draw(lines[:height])

    def _titles(self, columns: Sequence[tuple[Column[R], int]]) -> list[Cell]:
        """The titles; the first of them tells how many rows there are, if not all have room."""
        [first, *others] = titles(columns)
        if len(self.rows) > self.size.height - 1 > 0:
            at = f"{self._cursor + 1}/" if self.has_focus else ""
            where = f"{first.strip()} {at}{len(self.rows)}"
            first = sized(where, len(first)) if len(where) <= len(first) else first
        return [Cell(" ".join((first, *others)), "focus" if self.has_focus else "title")]

    def action_move(self, by: int) -> None:
        """Go up or down."""
        self.choose(self._cursor + by)

    def action_page(self, by: int) -> None:
        """Go up or down by as many rows as there is room for."""
        self.choose(self._cursor + by * max(self.size.height - 2, 1))

    def action_jump(self, to: int) -> None:
        """Go to the first or the last row."""
        self.choose(to if to >= 0 else len(self.rows) - 1)

    def action_open(self) -> None:
        """Look into the row."""
        if self.current is not None:
            self.post_message(self.Opened(self))

    def on_click(self, event: Click) -> None:
        """A row that is clicked is gone to; twice, it is opened."""
        if 0 < event.y <= len(self.visible_rows):
            self.choose(self._top + event.y - 1)
            if event.chain > 1:
                self.action_open()

    def on_mouse_scroll_down(self, _: MouseScrollDown) -> None:
        """See textual."""
        self.choose(self._cursor + _WHEEL)

    def on_mouse_scroll_up(self, _: MouseScrollUp) -> None:
        """See textual."""
        self.choose(self._cursor - _WHEEL)

    def on_focus(self, _: Focus) -> None:
        """Keys act here now."""
        self._redraw()
        self.post_message(self.Moved(self))

    def on_blur(self, _: Blur) -> None:
        """Keys act elsewhere now."""
        self._redraw()

    def on_resize(self, _: Resize) -> None:
        """There is more room, or less."""
        self.lines = []
        self._redraw()
        self.refresh()
