"""Everything at a glance: runs, queues, workers, and what happened last."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.widgets import Input

from nflow.engine.runs import RunEntry
from nflow.top.cells import Cell, Column, Look
from nflow.top.model import News
from nflow.top.queues import QueueLine
from nflow.top.runs import ORDERS, Choice, RunLine, chosen
from nflow.top.screens.run import RunScreen
from nflow.top.screens.watching import Watching
from nflow.top.source import Source
from nflow.top.view import Scene, served
from nflow.top.widgets.listing import Listing
from nflow.top.widgets.pane import Pane
from nflow.worker.heartbeat import WorkerEntry

#: Runs that are put in order whenever one moves; of more, it is done once a second.
_FEW = 1000

#: Queues, and workers, may take this part of the screen's height.
_PART = 5

#: Classes of the screen by its width: where there is room, queues and workers are side by side.
_BREAKPOINTS = [(0, "-narrow"), (185, "-wide")]


class Overview(Watching):
    """The first screen."""

    DEFAULT_CSS = """
    Overview #head { height: 2; }
    Overview #last { height: 2; }
    Overview #runs { height: 2fr; }
    Overview #middle { height: auto; }
    Overview #queues, Overview #workers { width: 1fr; }
    Overview.-wide #middle { layout: horizontal; }
    Overview.-wide #queues { width: 2fr; margin: 0 1 0 0; }
    Overview.-wide #workers { width: 3fr; }
    Overview #news { height: 1fr; }
    Overview Input, Overview Input:focus { height: 1; border: none; padding: 0; }
    Overview Input { display: none; }
    """
    HORIZONTAL_BREAKPOINTS = _BREAKPOINTS
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", show=False),
        Binding("escape", "all", show=False),
        Binding("f", "failed", show=False),
        Binding("s,greater_than_sign", "sort(1)", show=False),
        Binding("less_than_sign", "sort(-1)", show=False),
        Binding("I", "reverse", show=False),
        Binding("e", "events", show=False),
    ]
    keys = "Enter open  x stop  r retry  / filter  f failed  Tab next  ? help  q quit"

    def __init__(self, source: Source, look: Look) -> None:
        super().__init__(source, look)
        self._choice = Choice()
        self._has_all_news = False
        self._sorted: Sequence[RunLine] = ()
        self._sorted_for: object = None
        self._sorted_at: object = None

    def compose(self) -> ComposeResult:
        """See textual."""
        look = self.look
        yield Pane(look, id="head")
        yield Listing[RunLine](look, lambda line: line.run, "No runs yet. Start one: nflow run sequence", id="runs")
        with Container(id="middle"):
            yield Listing[QueueLine](look, lambda line: line.queue, "No queues yet.", id="queues")
            yield Listing[WorkerEntry](
                look, lambda worker: worker.worker, "No worker is there. Start one: nflow worker", id="workers"
            )
        yield Listing[News](look, id, "Nothing has happened since this monitor was started.", id="news")
        yield Input(placeholder="words that a run must have: of its id, workflow, state, worker, queue", id="filter")
        yield Pane(look, id="last")

    def on_mount(self) -> None:
        """See textual."""
        super().on_mount()
        self._runs.focus()

    @property
    def _runs(self) -> Listing[RunLine]:
        return self.query_one("#runs", Listing)

    def entry(self) -> RunEntry | None:
        """The run that keys act on: that of an event, if events are looked at."""
        listing = self.focused if isinstance(self.focused, Listing) else self._runs
        current = listing.current
        if isinstance(current, News):
            line = self.source.model.runs.get(current.run)
            return line.entry if line else None
        if isinstance(current, RunLine):
            return current.entry
        return None

    def draw(self) -> None:
        """See `Watching`."""
        scene = self._scene()
        model = scene.model
        self.query_one("#head", Pane).draw([(line, "") for line in scene.headline(self.size.width)])
        words = self._choice.words
        none = f"No run is told of with: {words} (Esc: all runs)" if words and len(model.runs) else None
        self._runs.show(scene.runs(), self._order(), empty=none)
        self._show_middle("#queues", scene.queues(), model.queues())
        self._show_middle("#workers", scene.workers(), model.workers)
        news = model.all_news if self._has_all_news else model.news
        self.query_one("#news", Listing).show(scene.news(), list(reversed(news)))
        # once it is on the screen: what is read for these runs should not be in its way
        self.call_after_refresh(self.source.show, [line.run for line in self._runs.visible_rows])

    def _show_middle(self, which: str, columns: Sequence[Column[Any]], rows: Sequence[Any]) -> None:
        """Queues and workers take no more room than they need, nor more than a part of the screen."""
        listing = self.query_one(which, Listing)
        height = min(max(len(rows), 1) + 1, max(self.size.height // _PART, 3))
        if listing.styles.height is None or listing.styles.height.value != height:
            listing.styles.height = height
        listing.show(columns, rows)

    def remark(self) -> Cell:
        """What there is to say of the line that keys act on, else what is listed."""
        current = self.focused.current if isinstance(self.focused, Listing) else None
        cell = Cell("")
        match current:
            case RunLine():
                cell = self._scene().remark(current)
            case QueueLine():
                cell = served(current)
        listed = self._listed()
        if not (cell.text and listed.text):
            return cell if cell.text else listed
        return Cell(f"{listed.text}; {cell.text}", cell.style)

    def _listed(self) -> Cell:
        choice, told = self._choice, []
        if choice.words:
            told.append(f"only runs with: {choice.words} (Esc: all)")
        if choice.order != "urgency" or choice.is_reversed:
            told.append(f"sorted by {choice.order}{', turned round' if choice.is_reversed else ''}")
        return Cell("; ".join(told), "dim")

    def _scene(self) -> Scene:
        return Scene(model=self.source.model, now=self.source.now(), look=self.look)

    def _order(self) -> Sequence[RunLine]:
        """The runs in their order, which takes a moment to find where there are many."""
        runs, second = self.source.model.runs, int(self.source.now())
        depends_on_more = self._choice.words or self._choice.order == "failures"
        wanted = (self._choice, runs.version, second if depends_on_more else 0)
        is_in_haste = len(runs) > _FEW and self._sorted_at == (self._choice, second)
        if wanted != self._sorted_for and not is_in_haste:
            self._sorted_for, self._sorted_at = wanted, (self._choice, second)
            self._sorted = chosen(runs, self._choice)
        return self._sorted

    def _choose(self, choice: Choice) -> None:
        self._choice = choice
        self._runs.choose(0)
        self._said = None
        self.redraw()

    # --- keys ---

    def action_sort(self, by: int) -> None:
        """Sort by something else."""
        names = list(ORDERS)
        order = names[(names.index(self._choice.order) + by) % len(names)]
        self._choose(replace(self._choice, order=order, is_reversed=False))
        self.say(f"sorted by {order}", "dim")

    def action_reverse(self) -> None:
        """Turn the order round."""
        self._choose(replace(self._choice, is_reversed=not self._choice.is_reversed))

    def action_failed(self) -> None:
        """List failed runs only, or all again."""
        self._choose(replace(self._choice, words="" if self._choice.words == "failed" else "failed"))

    def action_all(self) -> None:
        """List all runs."""
        self._choose(replace(self._choice, words=""))
        self._runs.focus()

    def action_events(self) -> None:
        """Show all events, or those only that a person should know of."""
        self._has_all_news = not self._has_all_news
        self.say("every event" if self._has_all_news else "events but starts and ends of tasks", "dim")

    def action_filter(self) -> None:
        """Ask for words."""
        field = self.query_one(Input)
        field.value = self._choice.words
        field.display = True
        self.set_focus(field)  # at once: what is typed right behind the key belongs here

    @on(Input.Changed)
    def _filter(self, event: Input.Changed) -> None:
        if event.input.display:
            self._choose(replace(self._choice, words=event.value))

    @on(Input.Submitted)
    def _filtered(self) -> None:
        self.query_one(Input).display = False
        self._runs.focus()

    @on(Listing.Opened)
    def _open(self, event: Listing.Opened) -> None:
        match event.listing.current:
            case RunLine() | News():
                if (entry := self.entry()) is not None:
                    self.app.push_screen(RunScreen(self.source, self.look, entry))
            case QueueLine(queue=words) | WorkerEntry(worker=words):
                self._choose(replace(self._choice, words=words))
                self._runs.focus()

    @on(Listing.Moved)
    def _moved(self) -> None:
        self.redraw()
