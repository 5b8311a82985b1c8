"""Large values as files in a folder that all machines share; slots read and write them by themselves.

A file gets its name once it is whole and on the disk, so that no reader, on no machine, sees half of one. Each run has
a folder of its own, which goes with the run's data.
"""

import asyncio
import errno
import os
import secrets
import shutil
from collections.abc import AsyncGenerator, AsyncIterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from nflow.blobs.port import PIECE_BYTES, lost
from nflow.blobs.room import room_for
from nflow.core.dataset import FILE, Ref
from nflow.core.ids import RunId
from nflow.errors import BlobFolderUnusable
from nflow.wire.digest import SEGMENT_BYTES, ValueDigest, cut
from nflow.wire.subjects import token
from nflow.wire.values import Data

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
#: Parts of one call of the system, which takes 1024.
MOST_PARTS = 64


class FileBlobs:
    """Blobs as files below one folder, for those who have them in a loop; see the port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def check(self) -> None:
        """Make sure that values can be kept there.

        Raises:
            BlobFolderUnusable: they cannot.
        """
        await asyncio.to_thread(self._check)

    def _check(self) -> None:
        with _explained(self.folder):
            if not self.folder.is_dir():
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
            if not os.access(self.folder, os.R_OK | os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    async def put(self, run: RunId, pieces: AsyncIterable[Data]) -> str:
        """See the port."""
        with _Writing(self.folder, run) as writing:
            async for piece in pieces:
                await asyncio.to_thread(writing.write, [memoryview(piece)])
            return await asyncio.to_thread(writing.finish)

    async def get(self, ref: Ref) -> AsyncGenerator[Data, None]:
        """See the port."""
        with _open(self.folder, ref, "A value") as file:
            while piece := await asyncio.to_thread(file.read, PIECE_BYTES):
                yield piece

    async def remove(self, ref: Ref) -> None:
        """See the port."""
        await asyncio.to_thread((self.folder / str(ref.where)).unlink, missing_ok=True)

    async def drop(self, run: RunId) -> None:
        """See the port."""
        await asyncio.to_thread(shutil.rmtree, self.folder / token(run), ignore_errors=True)


def write(folder: Path, run: RunId, parts: Sequence[Data], *, type_: str, digest: str | None = None) -> Ref:
    """Store the concatenation of `parts` for as long as `run` keeps its data.

    Args:
        folder: The shared one, which must exist.
        run: Whose data they are.
        parts: The encoded value, which is not copied.
        type_: What kind of value it is.
        digest: Of the value, where it is known already.

    Raises:
        BlobFolderUnusable: it cannot be written there.
    """
    size_bytes = sum(map(len, parts))
    digesting = None if digest is not None else ValueDigest(size_bytes)
    try:
        with _Writing(folder, run) as writing:
            for segment in cut(parts, SEGMENT_BYTES):
                if digesting is not None:
                    digesting.add(segment)
                writing.write(segment)
            where = writing.finish()
        made = digest if digesting is None else digesting.hex()
    finally:
        if digesting is not None:
            digesting.close()
    return Ref(scheme=FILE, where=where, size_bytes=size_bytes, digest=made or "", type=type_)


def read(folder: Path, ref: Ref, what: str) -> memoryview:
    """The value of `ref`, in memory of its own.

    Raises:
        BlobLost: it is gone, or not what was stored.
        BlobFolderUnusable: it cannot be read there.
    """
    with _open(folder, ref, what) as file:
        value = read_whole(file, ref.size_bytes, ref.digest)
    if value is None:
        raise lost(ref, what)
    return value


def read_whole(file: BinaryIO, size_bytes: int, digest: str) -> memoryview | None:
    """What an open file holds, unless it is not what it should be."""
    value, digesting = room_for(size_bytes), ValueDigest(size_bytes)
    try:
        for start in range(0, size_bytes, SEGMENT_BYTES):
            segment = value[start : start + SEGMENT_BYTES]
            if not _fill(file, segment):
                return None
            digesting.add([segment])
        return value if digesting.hex() == digest else None
    finally:
        digesting.close()


class _Writing:
    """One file that is being written, and vanishes unless it is finished."""

    def __init__(self, folder: Path, run: RunId) -> None:
        self._folder = folder
        self._where = f"{token(run)}/{secrets.token_hex(12)}"
        self._part = folder / f"{self._where}.part"
        self._fd = -1

    def __enter__(self) -> "_Writing":
        with _explained(self._folder):
            try:
                self._part.parent.mkdir(exist_ok=True)  # not its parents: a file system that is away must be missed
                self._fd = os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
            except FileNotFoundError:
                if not self._folder.is_dir():
                    raise
                # the run's folder went in between, with the data of a run that is over
                raise BlobFolderUnusable(f"{self._part.parent} was removed: the data of its run are gone.") from None
        return self

    def __exit__(self, *_: object) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            with suppress(OSError):
                self._part.unlink()

    def write(self, parts: Sequence[memoryview]) -> None:
        """Write these parts after those before."""
        with _explained(self._folder):
            for start in range(0, len(parts), MOST_PARTS):
                rest = list(parts[start : start + MOST_PARTS])
                while rest:
                    rest = after(rest, os.writev(self._fd, rest))

    def finish(self) -> str:
        """Let others see it; where it is, below the folder."""
        with _explained(self._folder):
            os.fsync(self._fd)
            os.close(self._fd)
            self._fd = -1
            try:
                self._part.rename(self._folder / self._where)
            except OSError:
                self._part.unlink(missing_ok=True)
                raise
            _sync_folder(self._part.parent)
        return self._where


def after(parts: list[memoryview], count: int) -> list[memoryview]:
    """What is left of `parts` when so many bytes of them are done."""
    for number, part in enumerate(parts):
        if count < len(part):
            return [part[count:], *parts[number + 1 :]]
        count -= len(part)
    return []


def _fill(file: BinaryIO, segment: memoryview) -> bool:
    at = 0
    while at < len(segment):
        count = file.readinto(segment[at:])  # type: ignore[attr-defined] # unbuffered files have it
        if not count:
            return False
        at += count
    return True


@contextmanager
def _open(folder: Path, ref: Ref, what: str) -> Iterator[BinaryIO]:
    """The file of `ref`, once its size is known to be right."""
    path = folder / str(ref.where)
    with _explained(folder):
        try:
            file = path.open("rb", buffering=0)
        except FileNotFoundError:
            if not folder.is_dir():
                raise
            raise lost(ref, what, "gone") from None
        with file:
            if os.fstat(file.fileno()).st_size != ref.size_bytes:
                raise lost(ref, what)
            yield file


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    """Say of an error of the file system what a person can do about it."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            advice = "Make room there; nothing was stored."
        elif isinstance(error, FileNotFoundError | NotADirectoryError):
            advice = "It must exist on each machine that works: is the file system mounted here?"
        elif isinstance(error, PermissionError):
            advice = "The user of this worker must be allowed to read and write there."
        else:
            advice = "Is the file system in order?"
        reason = error.strerror or type(error).__name__
        raise BlobFolderUnusable(f"Large values cannot be kept in {folder} (blobs.url): {reason}. {advice}") from error


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system on which folders cannot be synced
            raise
    finally:
        os.close(fd)
