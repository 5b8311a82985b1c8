"""One run: its dag runs and tasks as a tree that lives, and what is known of the one that is looked at."""

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container

from nflow.core.ids import DagId
from nflow.engine.runs import RunEntry
from nflow.errors import NflowError
from nflow.top.card import card
from nflow.top.cells import STATE_STYLES, Cell, Column, Look
from nflow.top.screens.watching import Watching
from nflow.top.source import Source
from nflow.top.times import clock, lasted
from nflow.top.tree import Leaf, first_of_note, leaves
from nflow.top.widgets.listing import Listing
from nflow.top.widgets.pane import Pane
from nflow.top.widgets.sheet import Sheet

#: Classes of the screen by its width: where there is room, tree and text are side by side.
_BREAKPOINTS = [(0, "-narrow"), (150, "-wide")]


class RunScreen(Watching):
    """What one run does and did."""

    DEFAULT_CSS = """
    RunScreen #head { height: 2; }
    RunScreen #last { height: 2; }
    RunScreen #both { height: 1fr; }
    RunScreen #tree, RunScreen #card { height: 1fr; width: 1fr; }
    RunScreen.-wide #both { layout: horizontal; }
    RunScreen.-wide #tree { margin: 0 1 0 0; height: 100%; }
    RunScreen.-wide #card { height: 100%; }
    """
    HORIZONTAL_BREAKPOINTS = _BREAKPOINTS
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,backspace", "app.pop_screen", show=False),
        Binding("space", "fold", show=False),
    ]
    keys = "Esc back  Tab text  x stop  r retry  c copy id  space fold  ? help  q quit"

    def __init__(self, source: Source, look: Look, entry: RunEntry) -> None:
        super().__init__(source, look)
        self._entry = entry
        self._opened = source.open(entry.run)
        self._folded: set[DagId] = set()
        self._has_read = self._has_looked = False
        self._place = ""

    def compose(self) -> ComposeResult:
        """See textual."""
        yield Pane(self.look, id="head")
        with Container(id="both"):
            yield Listing[Leaf](self.look, lambda leaf: (leaf.dag, leaf.task), "Its log is being read.", id="tree")
            yield Sheet(self.look, id="card")
        yield Pane(self.look, id="last")

    def on_mount(self) -> None:
        """See textual."""
        super().on_mount()
        self._tree.focus()
        self.run_worker(self._read())

    async def on_unmount(self) -> None:
        """See textual."""
        await self._opened.close()

    async def _read(self) -> None:
        try:
            await self._opened.start()
        except NflowError as error:
            self.say(str(error), "bad")
        self._has_read = True
        self.redraw()

    @property
    def _tree(self) -> Listing[Leaf]:
        return self.query_one("#tree", Listing)

    def entry(self) -> RunEntry:
        """See `Watching`."""
        line = self.source.model.runs.get(self._entry.run)
        return line.entry if line else self._entry

    def state(self) -> object:
        """See `Watching`."""
        return super().state(), self._opened.version, self._has_read

    def draw(self) -> None:
        """See `Watching`."""
        tree = list(leaves(self._opened.detail, self._opened.plan, self.source.model.served, self._folded))
        listing = self._tree
        self.query_one("#head", Pane).draw([(line, "") for line in self._headline()])
        listing.show(self._columns(), tree if self._has_read else ())
        if self._has_read and tree and not self._has_looked:
            self._has_looked = True
            listing.choose(first_of_note(tree))
        self._show_card(listing.current)

    def _show_card(self, leaf: Leaf | None) -> None:
        sheet = self.query_one("#card", Sheet)
        if leaf is not None and leaf.place != self._place:
            self._place = leaf.place
            self._opened.look_at(leaf)
            sheet.begin(follows=leaf.task is not None and leaf.state == "running")
        lines = list(self._opened.lines)
        sheet.show(card(self._opened.detail, leaf, lines, self.source.now()) if leaf else [])

    def _headline(self) -> list[list[Cell]]:
        entry, now = self.entry(), self.source.now()
        style = STATE_STYLES.get(entry.state, "")
        first = [
            Cell(f"{entry.workflow}  ", "bold"),
            Cell(f"{entry.run}  "),
            Cell(f"{self.look.glyphs.mark(entry.state)} {entry.state}  ", style),
        ]
        if entry.started:
            first.append(Cell(f"{lasted((entry.ended or now) - entry.started)} from {clock(entry.started)}  "))
        if not self.source.model.link.is_up:
            first.append(Cell(f" NO SERVER since {clock(self.source.model.link.since)}, waiting for it ", "alarm"))
        retried = f"retried {self._opened.detail.opening} times  " if self._opened.detail.opening else ""
        return [first, [Cell(retried), Cell(entry.reason, style)]]

    def _columns(self) -> Sequence[Column[Leaf]]:
        return (
            Column(title="DAG / TASK", width=20, grows=1, cell=self._titled),
            Column(title="STATE", width=11, cell=self._state),
            Column(title="TIME", width=8, is_right=True, cell=self._time),
            Column(title="TRY", width=3, is_right=True, cell=_attempt),
            Column(title="WORKER", width=12, grows=1, cell=lambda leaf: Cell(leaf.worker), from_width=100),
            Column(title="", width=28, grows=3, cell=_remark),
        )

    def _titled(self, leaf: Leaf) -> Cell:
        if leaf.task is not None:
            return Cell(f"  {leaf.task}")
        hidden = f" {self.look.glyphs.more}" if leaf.is_folded else ""
        return Cell(f"{leaf.dag}  {leaf.done}/{leaf.total}{hidden}", "bold")

    def _state(self, leaf: Leaf) -> Cell:
        return Cell(f"{self.look.glyphs.mark(leaf.state)} {leaf.state}", STATE_STYLES.get(leaf.state, ""))

    def _time(self, leaf: Leaf) -> Cell:
        if leaf.started is None:
            return Cell("")
        return Cell(lasted((leaf.ended or self.source.now()) - leaf.started))

    def action_fold(self) -> None:
        """Hide the tasks of a dag run, or show them again."""
        if (leaf := self._tree.current) is not None:
            self._folded ^= {leaf.dag}
            self.redraw()

    @on(Listing.Opened)
    def _open(self) -> None:
        """Enter leads to the text, which may be longer than its place."""
        self.query_one("#card", Sheet).focus()

    @on(Listing.Moved)
    def _moved(self) -> None:
        self.redraw()


def _attempt(leaf: Leaf) -> Cell:
    return Cell(str(leaf.attempt) if leaf.attempt > 1 else "", "warn")


def _remark(leaf: Leaf) -> Cell:
    return Cell(leaf.remark, "bad" if leaf.needs_person or leaf.state == "failed" else "dim")
