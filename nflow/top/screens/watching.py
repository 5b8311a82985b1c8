"""What both screens have in common: frames, a line for what is to be said, and what can be done to a run."""

import os
import sys
from contextlib import suppress
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.events import Resize
from textual.geometry import Size
from textual.screen import Screen

from nflow.core.ids import RunId
from nflow.engine.runs import RunEntry
from nflow.errors import NflowError
from nflow.top.cells import Cell, Look, sized
from nflow.top.source import Source
from nflow.top.widgets.asking import Help, Question
from nflow.top.widgets.pane import Pane

#: Frames a second.
FRAMES = 2

#: Seconds for which it is said what became of what was asked for.
SAID = 6.0

HELP = """\
arrows j k PgUp PgDn Home End   move          Tab    next list
Enter        open the run; on a queue or a worker: its runs
/            filter: words that a line must have; Esc: all again
f            failed runs only, and all again
s  <  >  I   sort by something else; turn the order round
e            events: with every start and end of a task
x S          stop the run (asks)              r      retry it (asks)
c y          copy the run's id                Esc    back
space        in a run: fold a dag             ? q    help, quit"""


class Watching(Screen[None]):
    """Draws a few times a second, if there is something new."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "app.focus_next", show=False),
        Binding("shift+tab", "app.focus_previous", show=False),
        Binding("x,S", "stop", show=False),
        Binding("r", "retry", show=False),
        Binding("c,y", "copy", show=False),
        Binding("question_mark,h,f1", "help", show=False),
        Binding("q,ctrl+c", "app.quit", show=False),
    ]

    #: What the last line says.
    keys: ClassVar[str] = ""

    def __init__(self, source: Source, look: Look) -> None:
        super().__init__()
        self.source = source
        self.look = look
        self._drawn: object = None  # what there was when it was drawn last
        self._said: tuple[Cell, float] | None = None

    def on_mount(self) -> None:
        """See textual."""
        self.set_interval(1 / FRAMES, self._tick)  # a clock, not a wait

    def on_screen_resume(self) -> None:
        """It is seen again."""
        self.redraw()

    def on_resize(self) -> None:
        """There is more room, or less; at first, there is some at all."""
        self.call_after_refresh(self.redraw)

    def redraw(self) -> None:
        """Draw, whether there is something new or not."""
        self._drawn = None
        self._tick()

    def say(self, text: str, style: str = "bold") -> None:
        """Tell a person something, for a while."""
        self._said = Cell(text, style), self.source.now() + SAID
        self.redraw()

    def _tick(self) -> None:
        self.source.look()
        if not self.is_current or not self.is_mounted:
            return
        self._fit()
        state = self.state()
        if state != self._drawn:
            self._drawn = state
            self.draw()
            self._draw_last_lines()

    def _fit(self) -> None:
        """Be as large as the terminal. It tells of its size by a signal, which now and then has had no effect."""
        if self.app.is_headless or sys.__stderr__ is None:
            return
        with suppress(OSError):
            size = Size(*os.get_terminal_size(sys.__stderr__.fileno()))
            if size != self.app.size:
                self.app.post_message(Resize(size, size))
            elif size != self.size:
                self.post_message(Resize(size, size))

    def state(self) -> object:
        """What is drawn, in short: as long as it is the same, nothing needs to be drawn."""
        model = self.source.model
        return model.version, model.link, int(self.source.now()), self.size

    def draw(self) -> None:
        """Draw what there is now."""
        raise NotImplementedError

    def remark(self) -> Cell:
        """What is said while nothing else is to be said."""
        return Cell("")

    def entry(self) -> RunEntry | None:
        """The run that keys act on."""
        raise NotImplementedError

    def _trouble(self) -> Cell | None:
        told = self.source.model.trouble
        return Cell(f"A part of this monitor has failed, start it again: {told}", "bad") if told else None

    def _draw_last_lines(self) -> None:
        if self._said is not None and self._said[1] < self.source.now():
            self._said = None
        said = self._said[0] if self._said else self._trouble() or self.remark()
        pane = self.query_one("#last", Pane)
        width = self.size.width
        more = self.look.glyphs.more
        pane.draw(
            [
                ([Cell(sized(said.text, width, more=more), said.style)], ""),
                ([Cell(sized(self.keys, width, more=more), "keys")], ""),
            ]
        )

    # --- what can be done ---

    def action_help(self) -> None:
        """Tell the keys."""
        self.app.push_screen(Help(HELP))

    def action_copy(self) -> None:
        """Copy the id of the run."""
        if (entry := self.entry()) is not None:
            self.app.copy_to_clipboard(entry.run)
            self.say(f"Copied {entry.run}, if this terminal lets programs do so.")

    def action_stop(self) -> None:
        """Ask, and stop the run."""
        entry = self.entry()
        if entry is None:
            return
        if not entry.is_active:
            self.say(f"Run {entry.run} ({entry.workflow}) is over already: {entry.state}.", "warn")
            return
        self.app.push_screen(
            Question(
                f"Stop run {entry.run} ({entry.workflow})?\n\n"
                "y    yes; running tasks get time to end\nn    now; running tasks are killed at once\n"
                "Esc  leave it running",
                {"y": "stop", "enter": "stop", "n": "now"},
            ),
            lambda answer: self._stop(entry, answer or ""),
        )

    def action_retry(self) -> None:
        """Ask, and let the run go on."""
        entry = self.entry()
        if entry is None:
            return
        if entry.is_active or entry.state == "succeeded":
            self.say(f"Run {entry.run} ({entry.workflow}) is {entry.state}: there is nothing to retry.", "warn")
            return
        self.app.push_screen(
            Question(
                f"Retry run {entry.run} ({entry.workflow})?\n\n"
                "y    yes; what succeeded counts, the rest begins again\nEsc  leave it as it is",
                {"y": "retry", "enter": "retry"},
            ),
            lambda answer: self._retry(entry, answer or ""),
        )

    def _stop(self, entry: RunEntry, answer: str) -> None:
        if answer:
            self.run_worker(self._stopped(entry.run, entry.workflow, is_urgent=answer == "now"))

    def _retry(self, entry: RunEntry, answer: str) -> None:
        if answer:
            self.run_worker(self._retried(entry.run, entry.workflow))

    async def _stopped(self, run: RunId, workflow: str, *, is_urgent: bool) -> None:
        try:
            await self.source.stop(run, is_urgent=is_urgent)
        except NflowError as error:
            self.say(str(error), "bad")
        else:
            self.say(f"Asked {workflow} ({run}) to stop.")

    async def _retried(self, run: RunId, workflow: str) -> None:
        try:
            await self.source.retry(run)
        except NflowError as error:
            self.say(str(error), "bad")
        else:
            waits = "" if self.source.model.workers else " No worker is there yet: nflow worker"
            self.say(f"{workflow} ({run}) goes on.{waits}")
