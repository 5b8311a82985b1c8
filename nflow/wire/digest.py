"""The name of bytes: what code, specs and blobs are called by, and checked against."""

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from hashlib import blake2b, sha256

#: A value is digested in segments of so many bytes, so that several threads can work on one.
SEGMENT_BYTES = 1024 * 1024

#: Characters of a digest.
DIGEST_LENGTH = 32

#: From this many bytes on it pays to have threads for that.
_THREADS_FROM_BYTES = 4 * SEGMENT_BYTES
_THREADS = min(4, os.cpu_count() or 1)

_Data = bytes | bytearray | memoryview


def digest(data: _Data) -> str:
    """BLAKE2b-128 of `data`, in hex: the name of code and specs."""
    return blake2b(data, digest_size=16).hexdigest()


def digest_of_parts(parts: Iterable[_Data]) -> str:
    """What `ValueDigest` makes of the concatenation of `parts`, which is never made."""
    return _of_segments(map(_segment_digest, cut(parts, SEGMENT_BYTES)))


class ValueDigest:
    """The digest of a value that passes: SHA-256 of its segments' SHA-256, cut to 128 bits, in hex.

    SHA-256, for processors have instructions for it: a large value is digested about as fast as it is copied.
    """

    def __init__(self, size_bytes: int) -> None:
        self._pool = ThreadPoolExecutor(_THREADS, "nflow-digest") if size_bytes >= _THREADS_FROM_BYTES else None
        self._digests: list[bytes | Future[bytes]] = []

    def add(self, segment: Sequence[_Data]) -> None:
        """The next segment, whole, in parts that must not change before `hex`; only the last one may be short."""
        pool = self._pool
        self._digests.append(pool.submit(_segment_digest, segment) if pool else _segment_digest(segment))

    def hex(self) -> str:
        """The digest of all that was added; ends the threads."""
        made = [each if isinstance(each, bytes) else each.result() for each in self._digests]
        self.close()
        return _of_segments(made)

    def close(self) -> None:
        """Digest no more."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)


def cut(parts: Iterable[_Data], size_bytes: int) -> Iterator[list[memoryview]]:
    """The concatenation of `parts` in pieces of one size, the last one shorter; each is a list of views."""
    piece: list[memoryview] = []
    room = size_bytes
    for part in parts:
        rest = memoryview(part)
        while rest:
            piece.append(rest[:room])
            room -= len(piece[-1])
            rest = rest[len(piece[-1]) :]
            if not room:
                yield piece
                piece, room = [], size_bytes
    if piece:
        yield piece


def _segment_digest(parts: Sequence[_Data]) -> bytes:
    running = sha256()
    for part in parts:
        running.update(part)
    return running.digest()


def _of_segments(digests: Iterable[bytes]) -> str:
    return sha256(b"".join(digests)).hexdigest()[:DIGEST_LENGTH]
