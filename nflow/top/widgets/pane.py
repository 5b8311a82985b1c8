"""A rectangle of lines of cells. It is told what to show, a few times a second, and draws what differs."""

from collections.abc import Sequence
from typing import Any

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from nflow.top.cells import Cell, Look, clean

Text = Sequence[Cell]


class Pane(Widget):
    """Draws what `lines` holds."""

    def __init__(self, look: Look, **named: Any) -> None:
        super().__init__(**named)
        self.look = look
        self.lines: list[tuple[Text, str]] = []  #: each with a style for the whole of it

    def draw(self, lines: Sequence[tuple[Text, str]]) -> None:
        """Show these lines, from the top."""
        before, self.lines = self.lines, list(lines)
        width = self.size.width
        for number in range(max(len(before), len(self.lines))):
            if before[number : number + 1] != self.lines[number : number + 1]:
                self.refresh(Region(0, number, width, 1))

    def render_line(self, y: int) -> Strip:
        """See textual: one line of what is shown."""
        width = self.size.width
        if y >= len(self.lines):
            return Strip.blank(width)
        cells, over = self.lines[y]
        whole = self.look.style(over) if over else Style.null()
        # here and nowhere before: whatever a screen is made to say, no text gets past this into the terminal
        segments = [Segment(clean(cell.text), self.look.style(cell.style) + whole) for cell in cells if cell.text]
        return Strip(segments).adjust_cell_length(width, whole)
