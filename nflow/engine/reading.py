"""Records brought to whoever shows them: each once, in the order of their stream, no faster than they are taken.

A push only tells that there is something to read. What has not been taken yet stays on the server, so that a flood
fills no memory here, and a reader that pauses holds up nothing but itself. An outage leaves no gap and no repetition:
what is read next is what comes behind the last record that was read.
"""

import asyncio
from collections.abc import AsyncIterator

from nflow.bus.port import Record
from nflow.engine.engine import Engine

#: Records that are read at once. Of lines, each holds what a task wrote in one go: 64 KiB at most.
PAGE = 64


class Reading:
    """What is stored under a subject, and what is being stored while the `async with` lasts."""

    def __init__(self, engine: Engine, subject: str, *, after: int = 0, page: int = PAGE) -> None:
        """Read what is under `subject`, from behind the record `after`, so many records at once."""
        self._engine = engine
        self._subject = subject
        self._seen = after
        self._page = page
        self._news = asyncio.Event()
        self._ending = False

    async def __aenter__(self) -> "Reading":
        self._watch = self._engine.bus.watch(self._subject, self._on_push)
        self._reconnects = self._engine.bus.on_reconnect(self._news.set)
        self._engine.reconciler.add(self._look_again)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._watch.close()
        self._reconnects.close()
        self._engine.reconciler.discard(self._look_again)

    def finish(self) -> None:
        """Let the pages end with what is stored by now."""
        self._ending = True
        self._news.set()

    async def pages(self) -> AsyncIterator[list[Record]]:
        """Some records, again and again, as they come; without an end unless `finish` is called."""
        while True:
            last = self._ending  # asked before the look, which thus sees all that was stored until then
            self._news.clear()
            pending = 1
            while pending:
                page = await self._engine.bus.read(self._subject, after=self._seen, limit=self._page)
                pending = page.pending
                if page.records:
                    self._seen = page.records[-1].seq
                    yield page.records
            if last:
                return
            await self._news.wait()

    def _on_push(self, _: Record) -> None:
        self._news.set()

    async def _look_again(self) -> int:
        """Once per lease period: a push may have been lost."""
        self._news.set()
        return 0
