"""Large values on the bus: cut into chunks, stored several at a time, read in batches.

What one transfer may have in memory shrinks with the number of transfers, so that a worker with many slots stays
small; none ever waits for another one, whose task may be slow.
"""

import asyncio
import secrets
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, suppress

from nflow.blobs.port import PIECE_BYTES, lost
from nflow.bus.port import Bus, Page
from nflow.core.dataset import Ref
from nflow.core.ids import RunId
from nflow.errors import Conflict
from nflow.wire.subjects import Subjects
from nflow.wire.values import Data

#: Chunks of one transfer that are under way at once, while it is alone.
CHUNKS_IN_FLIGHT = 16


class JetStreamBlobs:
    """Blobs as records of the bus."""

    def __init__(self, bus: Bus, subjects: Subjects) -> None:
        self._bus = bus
        self._subjects = subjects
        self._transfers = 0

    async def put(self, run: RunId, pieces: AsyncIterable[Data]) -> str:
        """See the port."""
        where = self._subjects.upload(run, secrets.token_hex(8))
        await self.put_at(where, pieces)
        return where

    async def put_at(self, where: str, pieces: AsyncIterable[Data]) -> None:
        """Store under a name of one's own; chunks that are there already are left as they are."""
        under_way: deque[asyncio.Task[None]] = deque()
        number = 0
        async with self._transfer():
            try:
                async for piece in pieces:
                    for chunk in self._chunks_of(piece):
                        under_way.append(asyncio.ensure_future(self._append(where, number, chunk)))
                        number += 1
                    while len(under_way) >= self._window:
                        await under_way.popleft()
                if number == 0:
                    await self._append(where, 0, b"")
                while under_way:
                    await under_way.popleft()
            finally:
                for task in under_way:
                    task.cancel()
                await asyncio.gather(*under_way, return_exceptions=True)

    async def renew(self, where: str, pieces: AsyncIterable[Data]) -> None:
        """Store what is under a name once more, then forget the older copy.

        The first chunk is stored before the others: who looks at that one alone knows how old the copy is.
        """
        first = number = 0
        async for piece in pieces:
            for chunk in self._chunks_of(piece):
                seq = await self._bus.append(self._subjects.blob(where, number), chunk)
                first = first or seq
                number += 1
        await self._bus.purge(self._subjects.chunks(where), through=first - 1)

    async def stored_at(self, where: str) -> float | None:
        """When what is under a name was stored, by the server's clock."""
        record = await self._bus.last(self._subjects.blob(where, 0))
        return None if record is None else record.at

    async def get(self, ref: Ref) -> AsyncGenerator[Data, None]:
        """See the port."""
        assert isinstance(ref.where, str)
        left = ref.size_bytes
        async with aclosing(self.get_at(ref.where)) as chunks:
            async for chunk in chunks:
                left -= len(chunk)
                if left < 0:
                    break
                yield chunk
        if left:
            raise lost(ref)

    async def get_at(self, where: str) -> AsyncGenerator[bytes, None]:
        """What is stored under a name, as far as it is there, in order."""
        early: dict[int, bytes] = {}  # stored ahead of its turn: a chunk before it was sent twice
        number = 0
        async with self._transfer(), aclosing(self._pages(where)) as pages:
            async for page in pages:
                early |= {_number_of(record.subject): record.payload for record in page.records}
                while (chunk := early.pop(number, None)) is not None:
                    number += 1
                    yield chunk

    async def remove(self, ref: Ref) -> None:
        """See the port."""
        await self._bus.purge(self._subjects.chunks(str(ref.where)))

    async def drop(self, run: RunId) -> None:
        """See the port."""
        await self._bus.purge(self._subjects.blobs_of(run))

    async def _pages(self, where: str) -> AsyncGenerator[Page, None]:
        """Batches of chunks; the next one is on its way while the reader is busy with this one."""
        ahead = self._read(where, 0)
        try:
            while True:
                page = await ahead
                more = page.pending > 0 and bool(page.records)
                if more:
                    ahead = self._read(where, page.records[-1].seq)
                yield page
                if not more:
                    return
        finally:
            if not ahead.done():
                ahead.cancel()
                await asyncio.wait([ahead])

    def _read(self, where: str, after: int) -> "asyncio.Task[Page]":
        limit = max(1, self._window // 2)
        return asyncio.ensure_future(self._bus.read(self._subjects.chunks(where), after=after, limit=limit))

    async def _append(self, where: str, number: int, chunk: bytes) -> None:
        with suppress(Conflict):  # stored before: by an earlier submit, or by an earlier try of this one
            await self._bus.append(self._subjects.blob(where, number), chunk, expect=0)

    def _chunks_of(self, piece: Data) -> Iterator[bytes]:
        size = min(PIECE_BYTES, self._bus.max_payload_bytes)
        if len(piece) <= size:
            yield bytes(piece)
            return
        view = memoryview(piece)
        for start in range(0, len(view), size):
            yield bytes(view[start : start + size])

    @property
    def _window(self) -> int:
        return max(2, CHUNKS_IN_FLIGHT // max(1, self._transfers))

    @asynccontextmanager
    async def _transfer(self) -> AsyncIterator[None]:
        self._transfers += 1
        try:
            yield
        finally:
            self._transfers -= 1


def _number_of(subject: str) -> int:
    return int(subject.rpartition(".")[2])
