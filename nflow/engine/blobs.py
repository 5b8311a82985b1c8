"""Code, specs and what messages are too small for, as whole bytes; values of tasks pass as streams beside it.

Code and specs are stored under their digest, so that a workflow that runs a thousand times is stored once; what tasks
hand on is stored under its run and goes with it.
"""

import logging
from collections.abc import AsyncIterator, Iterable

from nflow.blobs.files import FileBlobs
from nflow.blobs.jetstream import JetStreamBlobs
from nflow.blobs.port import PIECE_BYTES, BlobStore, lost
from nflow.bus.port import Bus
from nflow.core.dataset import BLOB, FILE, Ref
from nflow.core.ids import RunId
from nflow.errors import BlobFolderUnusable, BlobLost, NflowError
from nflow.wire.digest import digest, digest_of_parts
from nflow.wire.subjects import Subjects
from nflow.wire.values import Data

_log = logging.getLogger(__name__)

#: Seconds for which what no run names is left alone: whoever has stored it may be about to submit the run.
YOUNG = 24 * 3600.0


class Blobs:
    """Bytes of any size, wherever they are kept."""

    def __init__(self, bus: Bus, subjects: Subjects, files: FileBlobs | None = None) -> None:
        self._bus = bus
        self._subjects = subjects
        self._files = files
        self.server = JetStreamBlobs(bus, subjects)  #: the ones on the bus, as streams

    async def put(self, run: RunId, data: Data, type: str) -> Ref:  # noqa: A002 - the field's name
        """Store `data` for as long as `run` keeps its data: on the bus, which everybody can reach."""
        where = await self.server.put(run, _pieces(data))
        return Ref(scheme=BLOB, where=where, size_bytes=len(data), digest=digest_of_parts([data]), type=type)

    async def get(self, ref: Ref) -> bytes:
        """What a reference to a blob or file points to.

        Raises:
            BlobLost: it is gone, or it is not what was stored.
            BlobFolderUnusable: it is in a shared folder that cannot be read here.
        """
        data = b"".join([bytes(piece) async for piece in self._store_of(ref).get(ref)])
        if digest_of_parts([data]) != ref.digest:
            raise lost(ref)
        return data

    async def put_code(self, data: bytes) -> str:
        """Store code or a spec under its digest, which is returned; storing it again costs one look."""
        name = digest(data)
        where = self._subjects.code(name)
        await self.server.put_at(where, _pieces(data))
        at = await self.server.stored_at(where)
        # what is old may be swept before the job that is to name it is stored
        if at is None or at < await self._bus.server_time() - YOUNG / 2:
            await self.server.renew(where, _pieces(data))
        return name

    async def get_code(self, name: str) -> bytes:
        """The code or spec of that digest.

        Raises:
            BlobLost: it is gone, or it is not what was stored.
        """
        data = b"".join([chunk async for chunk in self.server.get_at(self._subjects.code(name))])
        if digest(data) != name:
            raise BlobLost(
                f"The code {name} of this workflow is gone from the server or damaged. Submit the run again."
            )
        return data

    async def check(self) -> None:
        """Make sure that values of tasks can be kept where they are to be. Raises BlobFolderUnusable."""
        if self._files is not None:
            await self._files.check()

    async def remove(self, refs: Iterable[Ref]) -> None:
        """Forget single values, to which nothing leads any more; what cannot be removed now goes with its run."""
        for ref in refs:
            try:
                await self._store_of(ref).remove(ref)
            except (NflowError, OSError) as error:
                _log.warning("%s could not be removed: %s", ref.where, error)

    async def drop(self, run: RunId) -> None:
        """Forget everything that tasks of `run` stored."""
        await self.server.drop(run)
        if self._files is not None:
            await self._files.drop(run)

    def _store_of(self, ref: Ref) -> BlobStore:
        if ref.scheme != FILE:
            return self.server
        if self._files is None:
            raise BlobFolderUnusable(no_folder(ref))
        return self._files


def no_folder(ref: Ref) -> str:
    """What to do about a value in a shared folder that this process was not told of."""
    return (
        f"A value ({ref.type}, {ref.size_bytes} bytes) is in a shared folder, and this process knows none: "
        "set blobs.url here as on the workers."
    )


async def _pieces(data: Data) -> AsyncIterator[memoryview]:
    view = memoryview(data)
    for start in range(0, len(view), PIECE_BYTES):
        yield view[start : start + PIECE_BYTES]
