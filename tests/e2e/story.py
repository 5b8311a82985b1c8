"""A run as it tells itself: by its events, and by the lines of its tasks."""

from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from nflow.bus.port import Record
from nflow.core.events import (
    DagFinished,
    Event,
    OwnerChanged,
    RemoteError,
    RunFinished,
    Status,
    TaskAborted,
    TaskCancelled,
    TaskFailed,
    TaskSkipped,
    TaskStarted,
    TaskSucceeded,
)
from nflow.core.ids import RunId
from nflow.engine.engine import Engine
from nflow.engine.log import Follower
from nflow.runs import Following
from nflow.wire.lines import Line, unpack_lines
from nflow.wire.subjects import event_place, name_of
from tests.e2e.news import PATIENCE, News

#: What a person is promised: a dead worker's work goes on elsewhere within so many seconds.
TAKEOVER = 5.0

_OUTCOMES = (TaskSucceeded, TaskFailed, TaskAborted, TaskCancelled, TaskSkipped)

E = TypeVar("E", bound=Event)


class Story:
    """One run, from its beginning to wherever it is."""

    def __init__(self, engine: Engine, run: RunId) -> None:
        self.run = run
        self.events: list[tuple[Event, Record]] = []
        self.lines: list[tuple[str, Line]] = []  #: with the task that wrote them
        self._engine = engine
        self._news = News()
        self._follower = Follower(engine.bus, engine.subjects.lines_of(run), self._on_lines)

    @asynccontextmanager
    async def told(self) -> AsyncIterator["Story"]:
        try:
            async with Following(self._engine, self._engine.subjects.run_events(self.run), self._on_event):
                await self._follower.start()
                yield self
        finally:
            self._follower.close()

    # --- waiting ---

    async def until(self, is_so: Callable[[], bool], patience: float = PATIENCE) -> None:
        try:
            await self._news.until(is_so, patience)
        except TimeoutError:
            raise TimeoutError(f"it never came:\n{self}") from None

    async def has(self, kind: type[Event], *, times: int = 1) -> None:
        """Return when there are so many events of that kind."""
        await self.until(lambda: len(self.of(kind)) >= times)

    async def begun(self, task: str, *, times: int = 1) -> None:
        """Return when the code of `task` has begun so often: it has printed that it does."""
        await self.until(lambda: sum(line.text == f"{task} begins" for _, line in self.lines) >= times)

    async def finished(self, patience: float = PATIENCE) -> RunFinished:
        """How the run ended, once it has, and all that its tasks have said is here."""
        await self.until(lambda: bool(self.of(RunFinished)), patience)
        await self._follower.complete()
        return self.of(RunFinished)[0]

    async def succeeds(self, patience: float = PATIENCE) -> None:
        """Return when the run has succeeded, with every outcome on record once."""
        finished = await self.finished(patience)
        assert finished.status is Status.SUCCEEDED, f"{finished.reason}\n{self}"
        self.has_one_outcome_each()

    # --- looking at it ---

    def has_one_outcome_each(self) -> None:
        outcomes = Counter((_dag_of(at), event.task) for event, at in self.events if isinstance(event, _OUTCOMES))
        ends = Counter(event.dag for event in self.of(DagFinished))
        assert [key for key, count in outcomes.items() if count > 1] == [], str(self)
        assert [dag for dag, count in ends.items() if count > 1] == [], str(self)
        assert len(self.of(RunFinished)) == 1, str(self)

    def of(self, kind: type[E]) -> list[E]:
        return [event for event, _ in self.events if isinstance(event, kind)]

    def claims(self, task: str | None = None) -> list[TaskStarted]:
        return [event for event in self.of(TaskStarted) if task in (None, event.task)]

    def failure(self) -> RemoteError:
        """Why the only task that failed did."""
        [failed] = self.of(TaskFailed)
        return failed.error

    def taken_over(self, after: float) -> list[float]:
        """Seconds from `after` to every claim and change of owner since then."""
        kinds = (TaskStarted, OwnerChanged)
        return [record.at - after for event, record in self.events if isinstance(event, kinds) and record.at > after]

    def said(self, task: str, stream: str = "out") -> list[str]:
        return [line.text for name, line in self.lines if name == task and line.stream == stream]

    def __str__(self) -> str:
        return "\n".join(f"{record.at:.3f} {record.subject} {event}" for event, record in self.events[-60:])

    def _on_event(self, event: Event, record: Record) -> None:
        self.events.append((event, record))
        self._news.tell()

    def _on_lines(self, record: Record) -> None:
        task = record.subject.rpartition(".")[2]
        self.lines += [(task, line) for line in unpack_lines(record.payload)[1]]
        self._news.tell()


def _dag_of(record: Record) -> str | None:
    return name_of(event_place(record.subject).dag)
