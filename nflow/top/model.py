"""What the monitor knows of everything: the fold of what its feed brings. Pure: times come in.

It changes with every event, a thousand times a second if need be; whoever draws looks at it a few times a second.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from nflow.bus.port import Record
from nflow.core.events import (
    DagRequested,
    Event,
    OwnerChanged,
    StopRequested,
    TaskAborted,
    TaskCancelled,
    TaskFailed,
    TaskReleased,
    TaskSkipped,
    TaskStarted,
    TaskSucceeded,
)
from nflow.core.ids import RunId
from nflow.engine.serving import Served, served_by
from nflow.top.pace import Pace
from nflow.top.queues import Fill, QueueLine, lack_of, queue_lines
from nflow.top.runs import WORKFLOW_LOG, Runs
from nflow.wire.subjects import event_place
from nflow.worker.heartbeat import WorkerEntry

#: Events that are remembered.
NEWS = 500

_ENDS = {TaskSucceeded, TaskFailed, TaskAborted}

#: What happens all the time, and is told if asked for.
_COMMON = {TaskStarted, TaskSucceeded, TaskReleased, TaskSkipped, TaskCancelled}

#: What is of use to nobody who looks on.
_INNER = {OwnerChanged, DagRequested}


@dataclass(frozen=True, slots=True)
class News:
    """Something that happened, kept as it came: most of it is never drawn."""

    event: Event
    record: Record

    @property
    def run(self) -> RunId:
        """Whom it happened to."""
        return RunId(event_place(self.record.subject).run)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """Whether the server is there."""

    is_up: bool = True
    since: float = 0.0  #: by the server's clock, as far as it is known here


def _is_echo(event: Event, record: Record) -> bool:
    """Whether this is the stop of a run once more, as its driver tells it to each of its dag runs."""
    return isinstance(event, StopRequested) and event_place(record.subject).dag != WORKFLOW_LOG


class Model:
    """Runs, queues, workers, pace and news."""

    def __init__(self) -> None:
        self.runs = Runs()
        self.pace = Pace()
        self.link = Link()
        self.news: deque[News] = deque(maxlen=NEWS)  #: what people are told
        self.all_news: deque[News] = deque(maxlen=NEWS)  #: with every start and end of a task
        self.workers: tuple[WorkerEntry, ...] = ()
        self.fills: tuple[Fill, ...] = ()
        self.served = Served()
        self.trouble = ""  #: what of this monitor has failed, so that a part of the picture stands still
        self.version = 0  #: grows with everything that is taken

    def take(self, event: Event, record: Record) -> None:
        """Take an event of any run."""
        self.runs.take(event, record)
        self.recall(event, record)

    def recall(self, event: Event, record: Record) -> None:
        """Take an event of before: the runs are further by now, but there is something to tell of."""
        self.version += 1
        kind = type(event)
        if kind in _ENDS:
            self.pace.take(record.at)
        if kind not in _INNER:
            news = News(event, record)
            self.all_news.append(news)
            if kind not in _COMMON and not _is_echo(event, record):
                self.news.append(news)

    def take_workers(self, workers: Iterable[WorkerEntry]) -> None:
        """These workers are there."""
        self.version += 1
        self.workers = tuple(sorted(workers, key=lambda worker: worker.worker))
        self.served = served_by(self.workers)
        self._explain()

    def take_fills(self, fills: Iterable[Fill]) -> None:
        """The queues are as full as that."""
        self.version += 1
        self.fills = tuple(fills)
        self._explain()

    def take_link(self, link: Link) -> None:
        """The server went or came."""
        self.version += 1
        self.link = link

    def take_trouble(self, told: str) -> None:
        """A part of this monitor has failed."""
        self.version += 1
        self.trouble = told

    def forget(self, runs: Iterable[RunId]) -> None:
        """These runs were removed."""
        self.version += 1
        for run in runs:
            self.runs.forget(run)

    def queues(self) -> list[QueueLine]:
        """The queues, those that need a person first."""
        return queue_lines(self.fills, self.workers)

    def _explain(self) -> None:
        """Tell the runs which queues they wait for."""
        waits: dict[str, set[str]] = {}
        for fill in self.fills:
            if fill.runs and lack_of(fill, self.workers) is not None:
                for run in fill.runs:
                    waits.setdefault(run, set()).add(fill.queue)
        self.runs.explain(waits)

    def unread(self, visible: Iterable[RunId], most: int) -> list[RunId]:
        """The next runs whose logs should be read: those that a person sees first, then those that move."""
        lines = [line for run in visible if (line := self.runs.get(run)) is not None and line.is_unread]
        if len(lines) < most:
            lines += [line for line in self.runs if line.entry.is_active and line.is_unread and line not in lines]
        return [line.run for line in lines[:most]]
