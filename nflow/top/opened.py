"""One run that a person looks into: all its events, and the last lines of the task that they look at."""

import asyncio
import logging
from collections import deque
from contextlib import suppress

from nflow.bus.port import Page, Record
from nflow.core.events import Event, RunStarted
from nflow.core.ids import DagId, RunId, TaskId
from nflow.engine.engine import Engine
from nflow.engine.log import Follower, readable
from nflow.errors import BusError, MessageError, NflowError
from nflow.runs import Following
from nflow.top.tree import Leaf, Plan
from nflow.view.detail import RunDetail, retries_of
from nflow.wire.lines import Line, unpack_passage

_log = logging.getLogger(__name__)

#: Lines that are kept, and messages of the end of a task's output that are read for them; each holds some lines.
LINES, MESSAGES = 500, 20

#: Looks for the end of a task's output: between its messages stand those of others.
_LEAPS = 24


class Opened:
    """Follows one run until it is closed."""

    def __init__(self, engine: Engine, run: RunId) -> None:
        self.detail = RunDetail(run=run)
        self.plan = Plan()
        self.lines: deque[Line] = deque(maxlen=LINES)  #: the last ones of the task that is looked at
        self._known: deque[tuple[str, int]] = deque(maxlen=LINES)  # passages that were taken
        self.version = 0  #: grows with everything that comes
        self._engine = engine
        self._run = run
        self._following: Following | None = None
        self._place: tuple[DagId, TaskId] | None = None
        self._follower: Follower | None = None
        self._seeking: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read what its logs hold, and listen from then on."""
        subjects = self._engine.subjects
        await self._plan(await self._engine.bus.read(subjects.own(self._run), limit=1))
        self._following = Following(self._engine, subjects.run_events(self._run), self._on_event)
        await self._following.__aenter__()

    async def close(self) -> None:
        """Listen no more."""
        self.look_at(None)
        if self._following is not None:
            await self._following.__aexit__()
            self._following = None

    def look_at(self, leaf: Leaf | None) -> None:
        """Follow what this task writes; None, or a dag run: no task."""
        place = None if leaf is None or leaf.task is None else (leaf.dag, leaf.task)
        if place == self._place:
            return
        self._place = place
        self._leave()
        self.lines.clear()
        if place is not None:
            self._seeking = asyncio.ensure_future(self._follow(*place))

    def _leave(self) -> None:
        if self._seeking is not None:
            self._seeking.cancel()
        if self._follower is not None:
            self._engine.reconciler.discard(self._follower.check)
            self._follower.close()
        self._seeking = self._follower = None

    async def _plan(self, page: Page) -> None:
        for record in page.records:
            for event in readable(record):
                if isinstance(event, RunStarted):
                    await self._learn(event.spec)

    async def _learn(self, digest: str) -> None:
        with suppress(NflowError):  # of an old run: all but its graph and its retries is known
            spec = await self._engine.specs.get(digest)
            self.plan, self.detail.retries = Plan.of(spec), retries_of(spec)

    def _on_event(self, event: Event, record: Record) -> None:
        self.version += 1
        self.detail.take(event, record)

    async def _follow(self, dag: DagId, task: TaskId) -> None:
        subject = self._engine.subjects.lines(self._run, dag, task)
        try:
            after = await self._near_end(subject)
            self._follower = Follower(self._engine.bus, subject, self._on_lines, after=after)
            await self._follower.start()
            self._engine.reconciler.add(self._follower.check)
        except BusError as error:
            _log.debug("the lines of %s/%s cannot be read for now: %s", dag, task, error)

    async def _near_end(self, subject: str) -> int:
        """A sequence behind which only the last messages are: each look leaps over as many as are too many."""
        after = 0
        for _ in range(_LEAPS):
            page = await self._engine.bus.read(subject, after=after, limit=1)
            if not page.records or page.pending < MESSAGES:
                break
            after = page.records[0].seq + page.pending - MESSAGES
        return after

    def _on_lines(self, record: Record) -> None:
        with suppress(MessageError):
            passage = unpack_passage(record.payload)
            key = passage.sender, passage.number
            if passage.sender and key in self._known:  # its worker has sent it twice, over an outage
                return
            self._known.append(key)
            self.version += 1
            self.lines.extend(passage.lines)
