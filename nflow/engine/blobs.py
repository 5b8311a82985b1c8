"""Large data: cut into chunks of their own on the way in, read in one batch on the way out.

Code and specs are stored under their digest, so that a workflow that runs a thousand times is stored once; what tasks
hand on is stored under its run and goes with it.
"""

import asyncio
import secrets
from contextlib import suppress

from nflow.bus.port import Bus
from nflow.core.dataset import BLOB, Ref
from nflow.core.ids import RunId
from nflow.errors import BlobLost, Conflict
from nflow.wire.digest import digest
from nflow.wire.subjects import Subjects

CHUNK_BYTES = 512 * 1024
CHUNKS_IN_FLIGHT = 16


class Blobs:
    """Bytes of any size on the bus."""

    def __init__(self, bus: Bus, subjects: Subjects) -> None:
        self._bus = bus
        self._subjects = subjects

    async def put(self, run: RunId, data: bytes | bytearray | memoryview, type: str) -> Ref:  # noqa: A002 - the field's name
        """Store `data` for as long as `run` keeps its data."""
        where = self._subjects.upload(run, secrets.token_hex(8))
        await self._put_chunks(where, data)
        return Ref(scheme=BLOB, where=where, size_bytes=len(data), digest=digest(data), type=type)

    async def get(self, ref: Ref) -> bytes:
        """What a blob reference points to.

        Raises:
            BlobLost: it is gone, or it is not what was stored.
        """
        assert isinstance(ref.where, str)
        data = await self._get_chunks(ref.where)
        if len(data) != ref.size_bytes or digest(data) != ref.digest:
            raise BlobLost(f"{ref.size_bytes} bytes of data ({ref.type}) at {ref.where} are gone or damaged.")
        return data

    async def put_code(self, data: bytes) -> str:
        """Store code or a spec under its digest, which is returned; storing it again costs one look."""
        name = digest(data)
        await self._put_chunks(self._subjects.code(name), data)
        return name

    async def get_code(self, name: str) -> bytes:
        """The code or spec of that digest.

        Raises:
            BlobLost: it is gone, or it is not what was stored.
        """
        data = await self._get_chunks(self._subjects.code(name))
        if digest(data) != name:
            raise BlobLost(
                f"The code {name} of this workflow is gone from the server or damaged. Submit the run again."
            )
        return data

    async def drop(self, run: RunId) -> None:
        """Forget everything that tasks of `run` stored."""
        await self._bus.purge(self._subjects.blobs_of(run))

    async def _put_chunks(self, upload: str, data: bytes | bytearray | memoryview) -> None:
        view = memoryview(data)
        starts = iter(enumerate(range(0, max(len(view), 1), CHUNK_BYTES)))

        async def carry() -> None:
            for number, start in starts:
                chunk = bytes(view[start : start + CHUNK_BYTES])
                with suppress(Conflict):  # stored before: by an earlier submit, or by an earlier try of this one
                    await self._bus.append(self._subjects.blob(upload, number), chunk, expect=0)

        if len(view) <= CHUNK_BYTES:
            await carry()
            return
        try:
            async with asyncio.TaskGroup() as carriers:
                for _ in range(CHUNKS_IN_FLIGHT):
                    carriers.create_task(carry())
        except ExceptionGroup as failed:  # it is of no use to the caller that many carried the same burden
            raise failed.exceptions[0] from None

    async def _get_chunks(self, upload: str) -> bytes:
        chunks: dict[int, bytes] = {}
        after, pending = 0, 1
        while pending:
            page = await self._bus.read(self._subjects.chunks(upload), after=after)
            for record in page.records:
                chunks[int(record.subject.rpartition(".")[2])] = record.payload
                after = record.seq
            pending = page.pending if page.records else 0
        return b"".join(chunks[number] for number in sorted(chunks))
