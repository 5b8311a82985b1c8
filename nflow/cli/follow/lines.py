"""What the tasks of a run write, brought to whoever shows it: no faster than it is shown."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType

from nflow.bus.port import Record
from nflow.core.ids import RunId
from nflow.engine.engine import Engine
from nflow.errors import MessageError
from nflow.wire.lines import Line, unpack_lines

#: Messages that are read at once; each holds what a task wrote in one go, 64 KiB at most.
PAGE = 64


class Lines:
    """Reads on while the `async with` lasts, and to the end when it is left without an error.

    A push only tells that there is something to read. What has not been shown yet stays on the server, so that a task
    that prints without end fills no memory here, and a reader that pauses holds up nothing but what it reads.
    """

    def __init__(
        self, engine: Engine, run: RunId, show: Callable[[Sequence[Line]], Awaitable[object]], *, after: int = 0
    ) -> None:
        self._engine = engine
        self._subject = engine.subjects.lines_of(run)
        self._show = show
        self._seen = after
        self._news = asyncio.Event()
        self._ending = False
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Lines":
        self._watch = self._engine.bus.watch(self._subject, self._on_push)
        self._reconnects = self._engine.bus.on_reconnect(self._news.set)
        self._engine.reconciler.add(self._look_again)
        self._reading = asyncio.ensure_future(self._read())
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        assert self._reading is not None
        self._watch.close()
        self._reconnects.close()
        self._engine.reconciler.discard(self._look_again)
        if kind is not None:
            self._reading.cancel()
            return
        self._ending = True
        self._news.set()
        await self._reading

    async def _read(self) -> None:
        while True:
            last = self._ending  # asked before the look, which thus sees all that was written until then
            self._news.clear()
            await self._read_on()
            if last:
                return
            await self._news.wait()

    async def _read_on(self) -> None:
        pending = 1
        while pending:
            page = await self._engine.bus.read(self._subject, after=self._seen, limit=PAGE)
            pending = page.pending
            if page.records:
                self._seen = page.records[-1].seq
                await self._show([line for record in page.records for line in _lines(record)])

    def _on_push(self, _: Record) -> None:
        self._news.set()

    async def _look_again(self) -> int:
        """Once per lease period: a push may have been lost."""
        self._news.set()
        return 0


async def last_line(engine: Engine, run: RunId) -> int:
    """Where the lines of a run end by now, without reading them: each look leaps over as many as are still to come."""
    at, pending = 0, 1
    while pending:
        page = await engine.bus.read(engine.subjects.lines_of(run), after=at + pending - 1, limit=1)
        if not page.records:
            return at
        at, pending = page.records[-1].seq, page.pending
    return at


def _lines(record: Record) -> list[Line]:
    try:
        return unpack_lines(record.payload)[1]
    except MessageError as error:
        return [Line(at=record.at, stream="log", text=str(error), level="ERROR", logger="nflow")]
