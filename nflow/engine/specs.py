"""Specs and code by digest, kept in memory while they are in use: many dag runs of a run share one spec."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from nflow.core.spec import WorkflowSpec
from nflow.engine.blobs import Blobs
from nflow.wire.messages import unpack_spec

T = TypeVar("T")


class Cache(Generic[T]):
    """The most recently used values by digest; a value that is being fetched is fetched once."""

    def __init__(self, fetch: Callable[[str], Awaitable[T]], size: int) -> None:
        self._fetch = fetch
        self._size = size
        self._values: OrderedDict[str, asyncio.Future[T]] = OrderedDict()

    async def get(self, digest: str) -> T:
        """The value of that digest; what cannot be fetched now is tried again the next time."""
        future = self._values.get(digest)
        if future is None:
            future = self._values[digest] = asyncio.ensure_future(self._fetch(digest))
            future.add_done_callback(lambda done: self._forget_failure(digest, done))
            if len(self._values) > self._size:
                self._values.popitem(last=False)
        else:
            self._values.move_to_end(digest)
        return await asyncio.shield(future)

    def _forget_failure(self, digest: str, done: asyncio.Future[T]) -> None:
        if (done.cancelled() or done.exception() is not None) and self._values.get(digest) is done:
            del self._values[digest]


def spec_cache(blobs: Blobs) -> Cache[WorkflowSpec]:
    """Specs by digest, decoded."""

    async def fetch(digest: str) -> WorkflowSpec:
        return unpack_spec(await blobs.get_code(digest))

    return Cache(fetch, size=64)


def code_cache(blobs: Blobs) -> Cache[bytes]:
    """Code by digest, as bytes: only slots open it."""
    return Cache(blobs.get_code, size=1024)
