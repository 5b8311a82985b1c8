"""Runs as the monitor lists them. Pure.

The index says which runs there are; what their logs say counts more, for the index may be late. How far a run is, in
tasks, is known once its log was read; until then it is on the list without that.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from nflow.bus.port import Record
from nflow.core.events import (
    Event,
    OwnerChanged,
    RunFinished,
    RunRetried,
    RunStarted,
    StopRequested,
    TaskStarted,
)
from nflow.core.ids import RunId
from nflow.engine.runs import RunEntry
from nflow.view.run import Failure, RunView
from nflow.wire.subjects import event_place

#: What stands for a dag in the subjects of the log of a workflow.
WORKFLOW_LOG = "_"

#: What decides where a run stands while nothing else is asked for: those that move, those that wait, those that ended.
_GROUPS = {"running": 0, "stopping": 0, "waiting": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a run is."""

    done: int = 0
    total: int = 0
    running: int = 0
    failed: int = 0
    ended: Mapping[str, int] = field(default_factory=dict, compare=False)  #: the same in full: how many, by how


class RunLine:
    """One run: what the index has of it, and what its events have told since."""

    def __init__(self, entry: RunEntry) -> None:
        self.entry = entry
        self.worker = ""  #: who was heard of last: who drives it, or runs a task of it
        self.waits_for: tuple[str, ...] = ()  #: queues with jobs of it that nobody serves
        self.failure: Failure | None = None  #: the first task that failed
        self.progress: Progress | None = None  #: of a run that has ended; else the view knows
        self._view: RunView | None = None
        self._unread: list[tuple[Event, Record]] | None = None  # that came while its log is being read
        self._through = 0  # what was read up to here is in the view
        self._has_log = True  # as far as is known
        self._is_heard = False  # its events were heard, and are newer than the index

    @property
    def run(self) -> RunId:
        """Its id."""
        return self.entry.run

    @property
    def is_known(self) -> bool:
        """Whether its log was read, or is being read."""
        return self._view is not None or self._unread is not None or self.progress is not None

    @property
    def is_unread(self) -> bool:
        """Whether its log should be read: one that waits has none yet."""
        return self._has_log and not self.is_known and self.entry.state != "waiting"

    def now(self) -> Progress | None:
        """How far it is; None until its log was read."""
        if self._view is None:
            return self.progress
        frame, ended = self._view.frame(), self._view.counts
        return Progress(
            done=frame.done, total=frame.total, running=frame.running, failed=ended["failed"], ended=dict(+ended)
        )

    def update(self, entry: RunEntry) -> None:
        """Take what the index says by now, which may be older than what the events have said."""
        self._has_log = True
        begins_again = entry.state == "waiting" and not self.entry.is_active
        if self._is_heard and not begins_again:
            entry = replace(
                entry,
                state=self.entry.state,
                started=self.entry.started,
                ended=self.entry.ended,
                reason=self._reason(entry),
            )
        self.entry = entry

    def begin_reading(self) -> None:
        """Keep what comes from here on, until `learn` brings what was before."""
        self._unread = []

    def give_up_reading(self) -> None:
        """If its log is still being read, that has failed; let it be tried again when there is news of the run."""
        if self._unread is not None:
            self._unread, self._has_log = None, False

    def is_blank(self) -> bool:
        """Its log has no beginning yet, or none any more: until one is heard of, there is nothing to read.

        False if it was heard of while the log was read.
        """
        if self._unread:
            return False
        self._unread, self._has_log = None, False
        return True

    def learn(self, view: RunView, *, through: int) -> None:
        """Its log was read, up to the record `through`; what came meanwhile joins it.

        Args:
            view: The run as that log tells.
            through: The sequence of the last record that was read.
        """
        unread, self._unread = self._unread or [], None
        self._view, self._through = view, through
        for event, record in unread:
            if record.seq > through:
                view.take(event, record)
        self._settle()

    def take(self, event: Event, record: Record, place: str) -> None:
        """Take an event of its logs.

        Args:
            event: What happened.
            record: Where it stands.
            place: The log, as a token of the subject.
        """
        self.worker = worker_in(event) or self.worker
        if place == WORKFLOW_LOG:
            self._take_of_run(event, record)
        if self._unread is not None:
            self._unread.append((event, record))
        elif self._view is not None and record.seq > self._through:
            self._view.take(event, record)
            self._settle()

    def _take_of_run(self, event: Event, record: Record) -> None:
        match event:
            case RunStarted():
                self._has_log = True
                if not self.is_known:
                    self.begin_reading()
                self._become("running", started=record.at, reason="")
            case RunRetried():
                self.progress = self.failure = None
                self._become("running", started=record.at, ended=None, reason="")
            case StopRequested(dag=None, reason=reason) if self.entry.is_active:
                self._become("stopping", reason=reason)
            case RunFinished(status=status, reason=reason):
                self._become(status.value, ended=record.at, reason=reason)

    def _become(self, state: str, **changes: object) -> None:
        self._is_heard = True
        self.entry = replace(self.entry, state=state, **changes)  # type: ignore[arg-type] # fields of an entry, by name

    def _reason(self, entry: RunEntry) -> str:
        return self.entry.reason or entry.reason

    def _settle(self) -> None:
        """Of a run that has ended only its counts are kept."""
        assert self._view is not None, "it was read"
        self._view.news.clear()
        if self._view.failures:
            self.failure = self._view.failures[0]
        if self._view.finished is not None and not self.entry.is_active:
            self.progress = self.now()
            self._view = None


def worker_in(event: Event) -> str:
    """Who took something into their hands, if this event tells of that."""
    return event.worker if isinstance(event, OwnerChanged | TaskStarted) else ""


class Runs:
    """All runs there are."""

    def __init__(self) -> None:
        self.strangers: set[RunId] = set()  #: that were heard of, and that the index has not told of
        self.states: Counter[str] = Counter()  #: how many there are in which state
        self.version = 0  #: grows whenever the order of the list may have changed
        self._lines: dict[RunId, RunLine] = {}
        self._waiting: list[RunLine] = []  # those that wait for queues

    def __len__(self) -> int:
        return len(self._lines)

    def __iter__(self) -> Iterator[RunLine]:
        return iter(self._lines.values())

    def get(self, run: RunId) -> RunLine | None:
        """That run."""
        return self._lines.get(run)

    def update(self, entry: RunEntry) -> None:
        """Take what the index says of a run."""
        self.strangers.discard(entry.run)
        line = self._lines.get(entry.run)
        if line is None:
            self._add(RunLine(entry))
            return
        before = line.entry.state
        line.update(entry)
        self._moved(before, line)

    def take(self, event: Event, record: Record) -> None:
        """Take an event of any run."""
        run, place, _ = event_place(record.subject)
        line = self._lines.get(RunId(run))
        if line is None:
            line = self._stranger(RunId(run), event, record)
        before = line.entry.state
        line.take(event, record, place)
        if type(event) in _MOVES:
            self._moved(before, line)

    def forget(self, run: RunId) -> None:
        """This run was removed."""
        line = self._lines.pop(run, None)
        if line is not None:
            self.states[line.entry.state] -= 1
            self.version += 1

    def explain(self, waits: Mapping[str, Iterable[str]]) -> None:
        """Runs that wait for queues that nobody serves: these, and no others."""
        for waited in self._waiting:
            waited.waits_for = ()
        known = [line for run in waits if (line := self.get(RunId(run))) is not None]
        self._waiting = [line for line in known if line.entry.is_active]
        for line in self._waiting:
            line.waits_for = tuple(sorted(waits[line.run]))

    def _add(self, line: RunLine) -> None:
        self._lines[line.run] = line
        self.states[line.entry.state] += 1
        self.version += 1

    def _moved(self, before: str, line: RunLine) -> None:
        self.states[before] -= 1
        self.states[line.entry.state] += 1
        self.version += 1

    def _stranger(self, run: RunId, event: Event, record: Record) -> RunLine:
        """A run that the index tells of later, or never: whoever submitted it may have died in between."""
        name, queue, at = "", "", record.at
        if isinstance(event, RunStarted):
            name, queue, at = event.workflow, event.queue, event.submitted or record.at
        self.strangers.add(run)
        line = RunLine(RunEntry(run=run, workflow=name, state="running", queue=queue, submitted=at))
        self._add(line)
        return line


_MOVES = {RunStarted, RunRetried, RunFinished, StopRequested}


# --- order and choice ------------------------------------------------------------------------------------------------


def _urgency(line: RunLine) -> tuple[int, float]:
    entry = line.entry
    return _GROUPS.get(entry.state, 2), -(entry.ended or entry.submitted)


def _length(line: RunLine) -> tuple[bool, float]:
    """Those that began first; those that have ended come after them, by what they took."""
    entry = line.entry
    if entry.ended is None:
        return False, entry.started or entry.submitted
    return True, (entry.started or entry.ended) - entry.ended


def _failures(line: RunLine) -> tuple[bool, int, float]:
    progress = line.progress
    return line.entry.state != "failed", -(progress.failed if progress else 0), -line.entry.submitted


#: What runs may be sorted by, in the order in which a person comes by them.
ORDERS: Mapping[str, Callable[[RunLine], object]] = {
    "urgency": _urgency,  #: what moves, what waits, what has ended; the newest first
    "age": lambda line: -line.entry.submitted,
    "duration": _length,
    "workflow": lambda line: (line.entry.workflow, -line.entry.submitted),
    "state": lambda line: (line.entry.state, -line.entry.submitted),
    "failures": _failures,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which runs are listed, and in which order."""

    words: str = ""  #: all of them must be somewhere in a line
    order: str = "urgency"
    is_reversed: bool = False


def chosen(lines: Iterable[RunLine], choice: Choice) -> Sequence[RunLine]:
    """The lines that are wanted, in the order that is wanted."""
    words = choice.words.lower().split()
    wanted = [line for line in lines if all(word in _searched(line) for word in words)] if words else lines
    return sorted(wanted, key=ORDERS[choice.order], reverse=choice.is_reversed)  # type: ignore[arg-type] # keys of one order compare


def _searched(line: RunLine) -> str:
    entry = line.entry
    return " ".join((entry.run, entry.workflow, entry.state, line.worker, entry.reason, *line.waits_for)).lower()
