"""What the monitor hears: the only part of it that knows of a bus.

It reads the index first, which makes a picture, and listens from then on; logs of runs are read afterwards, those that
a person looks at first. How full queues are is a gauge, looked at once a second.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Iterable
from contextlib import AsyncExitStack, suppress

from nflow.bus.paging import all_records
from nflow.bus.port import Page, QueueState, Record
from nflow.core.events import Event, RunRetried, RunStarted
from nflow.core.ids import RunId
from nflow.core.spec import WorkflowSpec
from nflow.engine.engine import Engine
from nflow.engine.log import readable
from nflow.engine.runs import RunEntry
from nflow.engine.serving import served_by
from nflow.engine.standing import active, by_their_logs
from nflow.errors import BlobLost, BusError, NflowError
from nflow.runs import Following, Runs, whoever_asks
from nflow.top.model import Link, Model
from nflow.top.opened import Opened
from nflow.top.queues import Fill
from nflow.top.runs import RunLine, worker_in
from nflow.view.detail import retries_of
from nflow.view.run import RunView
from nflow.wire.subjects import ANY_PYTHON, event_place, job_place, queue_of
from nflow.worker.roster import Roster

_log = logging.getLogger(__name__)

#: Seconds between two looks at the queues.
GAUGE = 1.0

#: Seconds between two looks for runs that were removed.
FORGET = 60.0

#: Runs of the first picture, those that have changed last; the others come a moment later.
FIRST = 300

#: Records before the first picture that are heard too, so that there is something to tell of.
TAIL = 300

#: Logs of runs that are read at the same time.
READERS = 4

#: Jobs in a queue that nobody serves, up to which it is told whose they are.
MOST_NAMED = 5000

#: Tokens of a job's subject that tell its queue, and those that tell its run too.
_QUEUE_TOKENS, _RUN_TOKENS = 5, 7


class Feed:
    """Keeps a model up to date while the `async with` lasts."""

    def __init__(
        self, engine: Engine, model: Model, *, gauge: float | None = GAUGE, grace: float | None = None
    ) -> None:
        """Make a feed that has heard nothing.

        Args:
            engine: Where to listen.
            model: What to tell.
            gauge: Seconds between two looks at the queues; None: none but the first.
            grace: Seconds that running tasks get when their run is stopped; None: as long as they like.
        """
        self.engine = engine
        self.model = model
        self._runs = Runs(engine)
        self.grace = grace
        self.visible: tuple[RunId, ...] = ()  #: runs that a person sees, whose logs come first
        self._gauge = gauge
        self._offset = 0.0  # from the clock of this host to the server's
        self._indexed = 0  # the index was read up to here
        self._newest = 0  # the record behind which everything is news
        self._old: set[RunId] = set()  # runs whose events may have begun before this feed listened
        self._reading: dict[RunId, asyncio.Task[None]] = {}
        self._unread = asyncio.Event()
        self._pictured = asyncio.Event()
        self._around = AsyncExitStack()
        self._tasks: set[asyncio.Task[None]] = set()

    def now(self) -> float:
        """The time by the server's clock."""
        return time.time() + self._offset

    def look(self) -> None:
        """Note whether the server is there. For whoever draws, at every frame: it costs nothing."""
        is_up = self.engine.bus.connected_for() > 0
        if is_up != self.model.link.is_up:
            self.model.take_link(Link(is_up=is_up, since=self.now()))

    def show(self, visible: Iterable[RunId]) -> None:
        """A person sees these runs."""
        self._pictured.set()
        seen = tuple(visible)
        if seen != self.visible:
            self.visible = seen
            self._unread.set()

    async def __aenter__(self) -> "Feed":
        """Return when there is enough for a first picture: the runs that have changed last, and the workers."""
        bus, subjects, index = self.engine.bus, self.engine.subjects, self.engine.index
        # before the index is read, which thus tells of all that was before
        self._newest, newest_entry = await asyncio.gather(bus.newest(subjects.all_events()), index.newest())
        self._around.callback(index.watch(self._on_entry).close)
        self._roster = Roster(self.engine, lambda: None)
        await asyncio.gather(
            self._read_index(max(newest_entry - FIRST, 0)),
            self._around.enter_async_context(self._roster),
            self._set_clock(),
        )
        self.model.take_workers(self._roster.entries)
        after = max(self._newest - TAIL, 0)
        self._following = Following(self.engine, subjects.all_events(), self._on_event, after=after)
        self._ready = asyncio.ensure_future(self._begin())
        return self

    async def _begin(self) -> None:
        """Hear of all that the first picture had no time for, and of all that comes."""
        await self._pictured.wait()
        await asyncio.gather(self._read_index(0), self._look_at_queues())
        await self._ask_logs()
        self._old = {line.run for line in self.model.runs}
        await self._around.enter_async_context(self._following)
        self._around.callback(self.engine.bus.on_reconnect(self._on_reconnect).close)
        self._spawn(self._read_for_ever())
        if self._gauge is not None:
            self._spawn(self._look_for_ever(self._gauge))
            self._spawn(self._forget_for_ever())

    async def __aexit__(self, *_: object) -> None:
        tasks = (self._ready, *self._tasks, *self._reading.values())
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await self._around.aclose()

    async def until(self, news: Awaitable[object]) -> None:
        """Return when `news` comes.

        Raises:
            SchemaTooNew: a newer nflow writes here, and what it says cannot be read.
            BusError: the server does not answer as it should.
        """
        coming = asyncio.ensure_future(news)
        await asyncio.wait((coming, self._ready), return_when=asyncio.FIRST_COMPLETED)
        try:
            if self._ready.done():
                self._ready.result()
            await self._following.until(coming)
        finally:
            coming.cancel()

    async def complete(self) -> None:
        """Return when all that was there was read: the index, and the logs of runs that move or are seen."""
        self._pictured.set()
        await self._ready
        await self._read_logs()
        while self._reading:
            await asyncio.wait(self._reading.values())

    async def _read_logs(self) -> None:
        while runs := self.model.unread(self.visible, READERS):
            await asyncio.wait(list(map(self._reading_of, runs)))

    # --- what a person wants ---

    def open(self, run: RunId) -> Opened:
        """Look into a run."""
        return Opened(self.engine, run)

    async def stop(self, run: RunId, *, is_urgent: bool = False) -> None:
        """Ask a run to stop; in urgent cases, running tasks are killed at once."""
        await self._runs.stop(run, grace=0.0 if is_urgent else self.grace, by=whoever_asks())

    async def retry(self, run: RunId) -> None:
        """Let a run go on that has ended. Raises UsageError where it cannot."""
        await self._runs.retry(run, by=whoever_asks())

    # --- what comes ---

    def _on_event(self, event: Event, record: Record) -> None:
        if record.seq <= self._newest:  # the index and the logs were read later than that
            self.model.recall(event, record)
            return
        self.model.take(event, record)
        if isinstance(event, RunStarted):
            run = RunId(event_place(record.subject).run)
            self._reading_of(run, None if run in self._old else event.spec)
        elif isinstance(event, RunRetried):
            self._unread.set()

    def _on_entry(self, entry: RunEntry) -> None:
        self.model.version += 1
        self.model.runs.update(entry)
        if entry.is_active:
            self._unread.set()

    def _on_reconnect(self) -> None:
        self._spawn(self._read_index(self._indexed))
        self._spawn(self._set_clock())

    async def _set_clock(self) -> None:
        self._offset = await self.engine.bus.server_time() - time.time()

    async def _read_index(self, after: int) -> None:
        entries, self._indexed = await self.engine.index.since(after)
        for entry in entries:
            self._on_entry(entry)

    async def _ask_logs(self) -> None:
        """Of runs that move, their logs know better than the index how far they are."""
        going_on = await active(self.engine)
        asked = {entry.run for entry in going_on}
        others = [line.entry for line in self.model.runs if line.entry.is_active and line.run not in asked]
        for entry in [*going_on, *await by_their_logs(self.engine, others)]:
            line = self.model.runs.get(entry.run)
            if line is None or line.entry != entry:
                self._on_entry(entry)

    async def forget(self) -> None:
        """Runs that are not in the index any more are forgotten: whoever removes them leaves no word of it."""
        over = {line.run for line in self.model.runs if not line.entry.is_active}
        self.model.forget(over - await self.engine.index.runs())

    # --- logs ---

    async def _read_for_ever(self) -> None:
        while True:
            self._unread.clear()
            await self._read_logs()
            await self._unread.wait()

    def _reading_of(self, run: RunId, spec: str | None = None) -> asyncio.Task[None]:
        """The reading of a run, which goes on or begins: of its log, or where all of that was heard, of its spec."""
        task = self._reading.get(run)
        if task is None:
            work = self._read(run) if spec is None else self._learn(run, spec)
            task = self._reading[run] = asyncio.ensure_future(work)
            task.add_done_callback(lambda _: self._reading.pop(run, None))
            task.add_done_callback(self._tell_trouble)
        return task

    async def _read(self, run: RunId) -> None:
        line = self.model.runs.get(run)
        if line is None:
            return
        try:
            while not await self._read_once(line):
                pass
        except BusError as error:
            _log.debug("the log of run %s could not be read for now: %s", run, error)
        finally:
            line.give_up_reading()
        self.model.version += 1

    async def _read_once(self, line: RunLine) -> bool:
        """Read the log of a run; of one that has ended only that of its workflow, which has the counts.

        False if that should be done again: the run began, or began again, while it was done.
        """
        is_active, subjects = line.entry.is_active, self.engine.subjects
        line.begin_reading()
        view, through, worker = None, 0, ""
        async for record in all_records(
            self.engine.bus, subjects.run_events(line.run) if is_active else subjects.log(line.run)
        ):
            for event in readable(record):
                if isinstance(event, RunStarted):
                    view = await self._view(event.spec)
                if view is not None:
                    view.take(event, record)
                worker = worker_in(event) or worker
            through = record.seq
        if line.entry.is_active and not is_active:
            return False
        if view is None:
            return line.is_blank()
        line.worker = line.worker or worker
        line.learn(view, through=through)
        return True

    async def _learn(self, run: RunId, spec: str) -> None:
        """A run began before the eyes of this feed; it only needs to know how large it is."""
        view = await self._view(spec)
        if (line := self.model.runs.get(run)) is not None:
            line.learn(view, through=0)
            self.model.version += 1

    async def _view(self, spec: str) -> RunView:
        try:
            return view_of(await self.engine.specs.get(spec))
        except NflowError as error:
            if not isinstance(error, BlobLost):
                _log.debug("a spec could not be read: %s", error)
            return RunView({})  # of an old run: all but its sizes and retries is known

    # --- the gauge ---

    async def _look_for_ever(self, every: float) -> None:
        while True:
            await asyncio.sleep(every)  # a clock, not a wait: queues tell nobody how full they are
            try:
                await self._look_at_queues()
                if self.model.runs.strangers:
                    await self._read_index(self._indexed)
            except BusError as error:
                _log.debug("how full the queues are is not known for now: %s", error)

    async def _forget_for_ever(self) -> None:
        while True:
            await asyncio.sleep(FORGET)  # a clock, not a wait: nothing tells that a run was removed
            try:
                await self.forget()
            except BusError as error:
                _log.debug("which runs were removed is not known for now: %s", error)

    async def _look_at_queues(self) -> None:
        bus, subjects = self.engine.bus, self.engine.subjects
        states, jobs = await asyncio.gather(bus.queues(), bus.read(subjects.jobs(), limit=1))
        heads = {_head(state.queue.subject): state for state in states}
        known = sum(state.waiting + state.in_hand for state in states)
        fills = list(await asyncio.gather(*(self._fill(head, state) for head, state in heads.items())))
        if _count(jobs) > known:  # some wait in queues that nobody has ever served, of which no consumer tells
            others = await bus.heads(subjects.jobs(), _QUEUE_TOKENS) - heads.keys()
            fills += await asyncio.gather(*map(self._fill, sorted(others)))
        self.model.take_workers(self._roster.entries)
        self.model.take_fills(fills)

    async def _fill(self, head: str, state: QueueState | None = None) -> Fill:
        kind, queue, python = queue_of(head)
        waiting, oldest = (state.waiting, None) if state else (0, None)
        if state is None or state.waiting:
            page = await self.engine.bus.read(
                self.engine.subjects.jobs_under(head), after=state.delivered if state else 0, limit=1
            )
            oldest = page.records[0].at if page.records else None
            waiting = state.waiting if state else _count(page)
        return Fill(
            kind=kind,
            queue=queue,
            python=python,
            waiting=waiting,
            in_hand=state.in_hand if state else 0,
            oldest=oldest,
            runs=await self._whose(head, waiting, queue, python),
        )

    async def _whose(self, head: str, waiting: int, queue: str, python: str) -> tuple[str, ...]:
        """Whose jobs wait in a queue that nobody serves."""
        served = served_by(self._roster.entries)
        if not 0 < waiting <= MOST_NAMED or served.lack(queue, None if python == ANY_PYTHON else python) is None:
            return ()
        heads = await self.engine.bus.heads(self.engine.subjects.jobs_under(head), _RUN_TOKENS)
        return tuple(sorted(job_place(each).run for each in heads))

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(self._quietly(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(self._tell_trouble)

    def _tell_trouble(self, task: asyncio.Task[None]) -> None:
        """A part of this feed has failed, and brings nothing more: who looks on must know."""
        if not task.cancelled() and (error := task.exception()) is not None:
            told = str(error) if isinstance(error, NflowError) else f"{type(error).__name__}: {error}"
            self.model.take_trouble(told)
            _log.debug("a part of the monitor has failed", exc_info=error)

    @staticmethod
    async def _quietly(work: Awaitable[None]) -> None:
        with suppress(BusError):
            await work


def view_of(spec: WorkflowSpec) -> RunView:
    """A view of a run of this workflow that has seen nothing."""
    return RunView({name: len(dag.tasks) for name, dag in spec.dags.items()}, retries_of(spec))


def _head(subject: str) -> str:
    return ".".join(subject.split(".")[:_QUEUE_TOKENS])


def _count(page: Page) -> int:
    return len(page.records) + page.pending
