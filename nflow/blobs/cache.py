"""Large values that tasks of this worker have read lately, by digest: fetched once, however many want them at once.

Small ones are in memory, others are files in a private folder, which slots read by themselves, while they are still
being fetched too. The least recently used go first. What is here is a copy: whoever finds it damaged forgets it.
"""

import asyncio
import fcntl
import os
import shutil
import tempfile
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing, suppress
from pathlib import Path

from nflow.blobs.files import MOST_PARTS, after
from nflow.core.dataset import Ref
from nflow.wire.values import Data

Fetch = Callable[[Ref], AsyncGenerator[Data, None]]

#: Values up to this size are kept in memory: altogether a sixteenth of the cache, and at most so many bytes.
SMALL_BYTES = 256 * 1024
MEMORY_BYTES = 32 * 1024 * 1024

#: A large one is written to its file in batches of about this size.
_BATCH_BYTES = 2 * 1024 * 1024

_PREFIX = "nflow-cache-"
_LOCK = "lock"


class CacheBroken(Exception):
    """A copy cannot be had here: fetch the value itself."""


class Copy:
    """One value in the cache, or on its way there."""

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self.data: bytes | None = None  #: a small one, once it is there
        self.path: Path | None = None  #: a large one, from the beginning
        self.there = 0  #: bytes that can be read already
        self.work: asyncio.Task[None] | None = None
        self._news: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def note(self, there: int) -> None:
        """So much of it is there by now."""
        self.there = there
        self._wake()

    def fetched(self, work: "asyncio.Task[None]") -> None:
        """The last byte is there, or none will come."""
        if not work.cancelled():
            work.exception()  # whoever reads it is told
        self._wake()

    async def progress(self) -> AsyncIterator[int]:
        """How many bytes are there, until all are. Raises whatever the fetching met."""
        told = -1
        while told < self.size_bytes:
            if self.there > told:
                told = self.there
                yield told
            elif self.work is not None and self.work.done():
                if self.work.cancelled():
                    raise CacheBroken
                self.work.result()
                raise CacheBroken
            else:
                await asyncio.shield(self._news)

    def _wake(self) -> None:
        news, self._news = self._news, asyncio.get_running_loop().create_future()
        if not news.done():
            news.set_result(None)


class BlobCache:
    """Copies of at most `size_bytes`."""

    def __init__(self, fetch: Fetch, size_bytes: int, place: Path | None = None) -> None:
        """Make an empty one.

        Args:
            fetch: Gets a value from where it is kept.
            size_bytes: Of all copies; 0: there are none.
            place: Where to make the folder for files; by default that for temporary ones.
        """
        self._fetch = fetch
        self._small = _Shelf(min(size_bytes // 16, MEMORY_BYTES))
        self._large = _Shelf(size_bytes - self._small.size_bytes)
        self._place = place
        self._folder: _Folder | None = None

    def copy_of(self, ref: Ref) -> Copy | None:
        """The copy of a value, which is fetched now if need be; None where there is no room for one."""
        shelf = self._small if ref.size_bytes <= SMALL_BYTES else self._large
        copy = shelf.find(ref.digest)
        if copy is None and shelf.make_room(ref.size_bytes):
            copy = Copy(ref.size_bytes)
            fetching = self._fetch_data(ref, copy) if shelf is self._small else self._fetch_file(ref, copy)
            shelf.add(ref.digest, copy)
            copy.work = asyncio.ensure_future(fetching)
            copy.work.add_done_callback(copy.fetched)
            copy.work.add_done_callback(lambda work: self._check(ref, copy, work))
        return copy

    def forget(self, ref: Ref) -> None:
        """A copy was found damaged."""
        for shelf in (self._small, self._large):
            shelf.remove(ref.digest)

    async def close(self) -> None:
        """Stop fetching, and remove the files."""
        copies = [*self._small, *self._large]
        works = [copy.work for copy in copies if copy.work is not None]
        for work in works:
            work.cancel()
        await asyncio.gather(*works, return_exceptions=True)
        if self._folder is not None:
            await asyncio.to_thread(self._folder.remove)

    def _check(self, ref: Ref, copy: Copy, work: "asyncio.Task[None]") -> None:
        if (work.cancelled() or work.exception() is not None) and self._find(ref) is copy:
            self.forget(ref)

    def _find(self, ref: Ref) -> Copy | None:
        return self._small.find(ref.digest) or self._large.find(ref.digest)

    async def _fetch_data(self, ref: Ref, copy: Copy) -> None:
        copy.data = b"".join([bytes(piece) async for piece in self._fetch(ref)])
        copy.note(len(copy.data))

    async def _fetch_file(self, ref: Ref, copy: Copy) -> None:
        try:
            if self._folder is None:
                self._folder = await asyncio.to_thread(_Folder, self._place)
            copy.path = self._folder.path / ref.digest
            with copy.path.open("wb", buffering=0) as file:
                copy.note(0)
                async with aclosing(_batches(self._fetch(ref))) as batches:
                    async for batch in batches:
                        await asyncio.to_thread(_write, file.fileno(), batch)
                        copy.note(copy.there + sum(map(len, batch)))
        except OSError as error:
            raise CacheBroken from error


class _Shelf:
    """Copies of one kind, the most recently used ones last."""

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self._copies: OrderedDict[str, Copy] = OrderedDict()
        self._used_bytes = 0

    def __iter__(self) -> Iterator[Copy]:
        return iter(self._copies.values())

    def find(self, digest: str) -> Copy | None:
        """That copy, which is used now."""
        copy = self._copies.get(digest)
        if copy is not None:
            self._copies.move_to_end(digest)
        return copy

    def make_room(self, size_bytes: int) -> bool:
        """Whether there is room, once others are gone that can go."""
        if size_bytes > self.size_bytes:
            return False
        for digest, copy in list(self._copies.items()):
            if self._used_bytes + size_bytes <= self.size_bytes:
                break
            if copy.there == copy.size_bytes:  # else it is on its way, and somebody waits for it
                self.remove(digest)
        return self._used_bytes + size_bytes <= self.size_bytes

    def add(self, digest: str, copy: Copy) -> None:
        """Take one in."""
        self._copies[digest] = copy
        self._used_bytes += copy.size_bytes

    def remove(self, digest: str) -> None:
        """Let one go; whoever has its file open reads on."""
        copy = self._copies.pop(digest, None)
        if copy is not None:
            self._used_bytes -= copy.size_bytes
            if copy.path is not None:
                with suppress(OSError):
                    copy.path.unlink()


class _Folder:
    """A folder of this worker's own, with a lock in it by which others see that the worker lives."""

    def __init__(self, place: Path | None) -> None:
        sweep(place)
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
        self._lock = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def remove(self) -> None:
        """Remove it, with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def sweep(place: Path | None = None) -> None:
    """Remove the folders of this user's workers that have died."""
    for folder in Path(place or tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError):  # somebody else's, or gone in this moment
            lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
            finally:
                os.close(lock)


async def _batches(pieces: AsyncGenerator[Data, None]) -> AsyncGenerator[list[Data], None]:
    """Pieces together, as many as it pays to go to a thread for."""
    batch: list[Data] = []
    async with aclosing(pieces):
        async for piece in pieces:
            batch.append(piece)
            if sum(map(len, batch)) >= _BATCH_BYTES:
                yield batch
                batch = []
    if batch:
        yield batch


def _write(fd: int, batch: list[Data]) -> None:
    rest = [memoryview(piece) for piece in batch]
    while rest:
        rest = after(rest, os.writev(fd, rest[:MOST_PARTS]))
