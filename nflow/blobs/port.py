"""The port: large values as streams of pieces, wherever they are kept.

`jetstream.py` keeps them on the bus, `files.py` on a shared file system; the same tests run on both.
"""

from collections.abc import AsyncGenerator, AsyncIterable
from typing import Protocol

from nflow.core.dataset import Ref
from nflow.core.ids import RunId
from nflow.errors import BlobLost
from nflow.wire.values import Data

#: The largest piece that `put` takes.
PIECE_BYTES = 512 * 1024


class BlobStore(Protocol):
    """Where large values are kept. No more of one than a few pieces is ever in memory."""

    async def put(self, run: RunId, pieces: AsyncIterable[Data]) -> str:
        """Store a value for as long as `run` keeps its data; where, for its `Ref`.

        Pieces are taken as fast as they can be stored, and must not be changed afterwards. Nobody can see a value that
        was not stored whole.

        Raises:
            StorageFull, BlobFolderUnusable: there is no room for it, or no such place.
        """

    def get(self, ref: Ref) -> AsyncGenerator[Data, None]:
        """The value, piece by piece, in order. Its digest is for the reader to check; who stops early closes it.

        Raises:
            BlobLost: it is gone, or not of the size that was stored.
        """

    async def remove(self, ref: Ref) -> None:
        """Forget one value."""

    async def drop(self, run: RunId) -> None:
        """Forget all that was stored for `run`."""


def lost(ref: Ref, what: str = "A value", why: str = "gone or damaged") -> BlobLost:
    """The error for a value that cannot be had any more."""
    return BlobLost(
        f"{what} ({ref.type}, {ref.size_bytes} bytes) is lost: what was stored at {ref.where!s} is {why}. "
        "Run the task again that made it."
    )
