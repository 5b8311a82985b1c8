"""What tasks of this worker need to know of their runs: which requests were granted, which dag runs are over."""

import asyncio
from collections.abc import Callable, Iterable

from nflow.bus.port import Record
from nflow.core.events import DagFinished, DagRefused, DagStarted, RunFinished, RunRetried
from nflow.core.ids import DagId, RunId
from nflow.engine.engine import Engine
from nflow.engine.log import Follower, readable
from nflow.errors import DagNameUnknown, SchemaTooNew


class RunWatch:
    """Follows the workflow log of one run."""

    def __init__(self, engine: Engine, run: RunId) -> None:
        self._answers: dict[str, DagStarted | DagRefused] = {}
        self._running: set[DagId] = set()
        self._finished: dict[DagId, int] = {}  # in which opening; also of those whose start was not read yet
        self._openings: dict[DagId, int] = {}  # of those that were reopened
        self._opening = 0
        self._ended = -1  # the last opening whose end was read
        self._unreadable: SchemaTooNew | None = None
        self._news: dict[asyncio.Future[None], None] = {}  # who waits, first come first
        self._engine = engine
        self._follower = Follower(engine.bus, engine.subjects.log(run), self._on_record)
        self._started: asyncio.Task[None] | None = None
        self.users = 0

    async def ready(self) -> None:
        """Return when what the log holds is known."""
        if self._started is None:
            self._started = asyncio.ensure_future(self._follower.start())
            self._engine.reconciler.add(self._follower.check)
        await asyncio.shield(self._started)

    @property
    def over(self) -> bool:
        """Whether the run has ended: there is nothing to wait for."""
        return self._ended >= self._opening

    @property
    def is_useless(self) -> bool:
        """Whether nothing more can be learned of it: the run is over, or its log could not be read."""
        started = self._started
        unread = started is not None and started.done() and (started.cancelled() or started.exception() is not None)
        return self.over or unread or self._unreadable is not None

    async def answer(self, key: str) -> DagId | None:
        """The running name that the request `key` was granted; None where the run is ending.

        Raises:
            DagNameUnknown: the workflow has no such dag.
        """
        await self.until(lambda: key in self._answers or self.over)
        match self._answers.get(key):
            case DagStarted(dag=dag):
                return dag
            case DagRefused(unknown=True, reason=reason):
                raise DagNameUnknown(reason)
            case _:
                return None

    def running(self, names: Iterable[DagId] | None, own: DagId) -> set[DagId]:
        """Those of `names` that are running; without names, all that are but `own`."""
        if self.over:
            return set()
        return self._running - {own} if names is None else self._running.intersection(names)

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Return when it is so, after some event of this log.

        Raises:
            SchemaTooNew: a newer nflow drives this run, and what it says cannot be read here.
        """
        while not is_so():
            if self._unreadable is not None:
                raise self._unreadable
            news = asyncio.get_running_loop().create_future()
            self._news[news] = None
            try:
                await news
            finally:
                self._news.pop(news, None)

    def close(self) -> None:
        """Follow no more."""
        self._engine.reconciler.discard(self._follower.check)
        self._follower.close()
        if self._started is not None:
            self._started.cancel()

    def _on_record(self, record: Record) -> None:
        try:
            events = readable(record)
        except SchemaTooNew as error:
            self._unreadable = error
            self._tell()
            return
        for event in events:
            match event:
                case DagStarted(key=key, dag=dag):
                    self._answers[key] = event
                    self._look_at(dag)
                case DagRefused(key=key):
                    self._answers[key] = event
                case DagFinished(dag=dag, opening=opening):
                    self._finished[dag] = max(opening, self._finished.get(dag, 0))
                    self._look_at(dag)
                case RunFinished(opening=opening):
                    self._ended = max(opening, self._ended)
                case RunRetried():
                    self._reopen(event)
                case _:
                    continue
            self._tell()

    def _tell(self) -> None:
        for news in self._news:
            if not news.done():
                news.set_result(None)

    def _reopen(self, event: RunRetried) -> None:
        """The run goes on: what was refused as it ended may be asked for again."""
        self._opening = event.number
        self._answers = {
            key: answer
            for key, answer in self._answers.items()
            if isinstance(answer, DagStarted) or answer.opening >= event.number
        }
        for dag in event.dags:
            self._openings[dag] = event.number
            self._look_at(dag)

    def _look_at(self, dag: DagId) -> None:
        """Take down whether a dag run is running; its end may have been read before what came before it."""
        if self._finished.get(dag, -1) >= self._openings.get(dag, 0):
            self._running.discard(dag)
        else:
            self._running.add(dag)
