"""The monitor on a terminal: a textual app over what its source knows."""

import curses
from contextlib import suppress
from typing import ClassVar

from rich.console import Console
from textual.app import App
from textual.binding import BindingType

from nflow.top.cells import ASCII, Look
from nflow.top.feed import Feed
from nflow.top.once import look_of
from nflow.top.screens.overview import Overview
from nflow.top.source import Source

#: The least that a terminal with colours has.
_COLOURS = 8


class Monitor(App[None]):
    """Draws in the terminal's own colours, whether its background is light or dark."""

    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = []
    CSS = """
    Screen { background: ansi_default; color: ansi_default; }
    ModalScreen { background: transparent; }
    """

    def __init__(self, source: Source, look: Look) -> None:
        super().__init__(ansi_color=True)
        self._source = source
        self._look = look

    def on_mount(self) -> None:
        """See textual."""
        self.theme = "ansi-dark"
        self.push_screen(Overview(self._source, self._look))


def look_here() -> Look:
    """What this terminal can show, as it says itself and as NO_COLOR asks; where it knows no colours, letters only."""
    console = Console()
    with suppress(curses.error):  # of a terminal that nobody has described, rich has an opinion
        curses.setupterm()
        if curses.tigetnum("colors") < _COLOURS:
            return Look(glyphs=ASCII, has_colours=False)
    return look_of(console)


async def watch(feed: Feed) -> int:
    """Show what goes on until a person has seen enough."""
    app = Monitor(feed, look_here())
    await feed.until(app.run_async())
    return app.return_code or 0
