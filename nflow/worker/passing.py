"""Large values between slots and where they are kept: what a worker does of it, without ever having one whole."""

from contextlib import aclosing

from nflow.blobs.cache import BlobCache, CacheBroken, Copy
from nflow.blobs.port import BlobStore
from nflow.core.dataset import Ref
from nflow.core.ids import RunId
from nflow.wire.digest import DIGEST_LENGTH
from nflow.worker.channel import Channel, Incoming


async def receive(size_bytes: int, channel: Channel, store: BlobStore, run: RunId) -> tuple[str, str]:
    """Store the value that a slot sends; where it is, and the digest that the slot has made of it meanwhile."""
    value = Incoming(channel, size_bytes)
    try:
        where = await store.put(run, value)
    except Exception:
        await value.drain()  # the slot hears of it when it has sent all
        await channel.receive(DIGEST_LENGTH)
        raise
    return where, (await channel.receive(DIGEST_LENGTH)).decode()


async def send(ref: Ref, channel: Channel, store: BlobStore, cache: BlobCache, *, may_be_cached: bool) -> None:
    """Send a value to a slot; if it may be a copy from the cache, the slot asks again where that is damaged.

    Raises:
        BlobLost: it is gone.
    """
    if not may_be_cached:
        cache.forget(ref)
    copy = cache.copy_of(ref) if may_be_cached else None
    if copy is None:
        async with aclosing(store.get(ref)) as pieces:
            async for piece in pieces:
                await channel.piece(piece)
        return
    try:
        await _send_copy(copy, channel)
    except CacheBroken:
        cache.forget(ref)  # the slot sees that it has less than the whole


async def _send_copy(copy: Copy, channel: Channel) -> None:
    told = False
    async for there in copy.progress():
        if copy.data is not None:
            await channel.piece(copy.data)
        elif copy.path is not None:
            if not told:
                told = True
                await channel.file(copy.path)
            await channel.there(there)
