"""A text that a person scrolls in, and that may grow while they read."""

from collections.abc import Sequence
from typing import Any, ClassVar

from textual.binding import Binding, BindingType
from textual.events import MouseScrollDown, MouseScrollUp, Resize

from nflow.top.cells import Cell, Look, wrapped
from nflow.top.widgets.pane import Pane, Text

_WHEEL = 3


class Sheet(Pane, can_focus=True):
    """Lines that wrap. Where it was asked to, it stays at their end."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("pageup,ctrl+b", "page(-1)", show=False),
        Binding("pagedown,ctrl+f,space", "page(1)", show=False),
        Binding("home,g", "jump(0)", show=False),
        Binding("end,G", "jump(1)", show=False),
    ]

    def __init__(self, look: Look, **named: Any) -> None:
        super().__init__(look, **named)
        self._text: Sequence[Text] = ()
        self._wrapped: list[Text] = []
        self._top = 0
        self._follows = False

    def begin(self, *, follows: bool) -> None:
        """Another text comes: from its beginning, or at its end for as long as it grows."""
        self._top, self._follows = 0, follows

    def show(self, text: Sequence[Text]) -> None:
        """Show this text now."""
        if text != self._text:
            self._text = text
            self._wrap()
        self._redraw()

    def _wrap(self) -> None:
        width = max(self.size.width, 1)
        self._wrapped = [row for line in self._text for row in wrapped(line, width)]

    def _redraw(self) -> None:
        room = max(self.size.height - 1, 1)
        last = max(len(self._wrapped) - room, 0)
        self._top = last if self._follows else max(min(self._top, last), 0)
        style = "focus" if self.has_focus else "title"
        hidden = f"lines {self._top + 1} to {min(self._top + room, len(self._wrapped))} of {len(self._wrapped)}"
        title = hidden if last else ""
        rows = [(row, "") for row in self._wrapped[self._top : self._top + room]]
        self.draw([([Cell(title.rjust(self.size.width), style)], ""), *rows])

    def action_move(self, by: int) -> None:
        """Go up or down."""
        self._go(self._top + by)

    def action_page(self, by: int) -> None:
        """Go up or down by as many lines as there is room for."""
        self._go(self._top + by * max(self.size.height - 2, 1))

    def action_jump(self, to: int) -> None:
        """Go to the beginning or the end."""
        self._go(to * len(self._wrapped))

    def _go(self, top: int) -> None:
        last = max(len(self._wrapped) - max(self.size.height - 1, 1), 0)
        self._top, self._follows = max(min(top, last), 0), top >= last > 0
        self._redraw()

    def on_mouse_scroll_down(self, _: MouseScrollDown) -> None:
        """See textual."""
        self._go(self._top + _WHEEL)

    def on_mouse_scroll_up(self, _: MouseScrollUp) -> None:
        """See textual."""
        self._go(self._top - _WHEEL)

    def on_focus(self) -> None:
        """Keys act here now."""
        self._redraw()

    def on_blur(self) -> None:
        """Keys act elsewhere now."""
        self._redraw()

    def on_resize(self, _: Resize) -> None:
        """There is more room, or less."""
        self.lines = []
        self._wrap()
        self._redraw()
        self.refresh()
