"""The child's end of the way of large values: plain bytes on a socket beside the pipe, so that nobody unpacks them."""

import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import BinaryIO, Self

from nflow.blobs.files import MOST_PARTS, after
from nflow.blobs.room import room_for
from nflow.wire.digest import SEGMENT_BYTES, ValueDigest, cut
from nflow.wire.frames import DATA, END, FILE, HEAD
from nflow.wire.values import Data


class WorkerGone(BaseException):
    """The worker has closed the pipe: there is nobody left to work for."""


class Bulk:
    """Bytes to and from the worker. One value passes at a time."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def send(self, parts: Sequence[Data]) -> None:
        """Send the concatenation of `parts`."""
        for start in range(0, len(parts), MOST_PARTS):
            rest = [memoryview(part) for part in parts[start : start + MOST_PARTS]]
            while rest:
                try:
                    rest = after(rest, self._sock.sendmsg(rest))
                except (BrokenPipeError, ConnectionResetError):
                    raise WorkerGone from None

    def receive_into(self, room: memoryview) -> None:
        """Fill `room`."""
        while room:
            count = self._sock.recv_into(room)
            if not count:
                raise WorkerGone
            room = room[count:]

    def receive(self, size_bytes: int) -> bytes:
        """So many bytes."""
        room = bytearray(size_bytes)
        self.receive_into(memoryview(room))
        return bytes(room)

    def head(self) -> tuple[bytes, int]:
        """What the worker sends next."""
        kind, number = HEAD.unpack(self.receive(HEAD.size))
        return kind, number

    def close(self) -> None:
        """Close this end."""
        self._sock.close()


def send_value(bulk: Bulk, parts: Sequence[Data], size_bytes: int, digest: str | None) -> None:
    """Send a value, and its digest behind it, which is taken meanwhile unless it is known."""
    if digest is not None:
        bulk.send(parts)
        bulk.send([digest.encode()])
        return
    digesting = ValueDigest(size_bytes)
    try:
        for segment in cut(parts, SEGMENT_BYTES):
            digesting.add(segment)
            bulk.send(segment)
        bulk.send([digesting.hex().encode()])
    finally:
        digesting.close()


class Receiving:
    """A value that the worker sends, or lets be read from its cache, on its way into memory of its own."""

    def __init__(self, size_bytes: int) -> None:
        self.value = room_for(size_bytes)
        self._digesting = ValueDigest(size_bytes)
        self._at = self._digested = 0
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._digesting.close()
        if self._file is not None:
            self._file.close()

    def take(self, bulk: Bulk) -> None:
        """Take all that the worker sends."""
        while True:
            kind, number = bulk.head()
            if kind == END:
                return
            if kind == DATA:
                bulk.receive_into(self.value[self._at : self._at + number])
                self._at += number
            elif kind == FILE:
                self._open(bulk.receive(number))
            elif self._file is not None:
                self._read_up_to(number, self._file)
            self._digest()

    def is_what(self, digest: str) -> bool:
        """Whether all of it has come, and is the value of this digest."""
        if self._at < len(self.value):
            return False
        if self._digested < self._at:
            self._digesting.add([self.value[self._digested :]])
        return self._digesting.hex() == digest

    def _open(self, path: bytes) -> None:
        with suppress(OSError):  # somebody has removed it; the value is asked for once more then
            self._file = open(path, "rb", buffering=0)  # noqa: PTH123, SIM115 - a path in bytes; closed in __exit__

    def _read_up_to(self, there: int, file: BinaryIO) -> None:
        while self._at < there:
            end = min(there, self._at + SEGMENT_BYTES)
            try:
                count = file.readinto(self.value[self._at : end])  # type: ignore[attr-defined] # unbuffered files have it
            except OSError:
                return
            if not count:
                return
            self._at += count
            self._digest()

    def _digest(self) -> None:
        """Begin with the segments that have come whole."""
        while self._at - self._digested >= SEGMENT_BYTES:
            end = self._digested + SEGMENT_BYTES
            self._digesting.add([self.value[self._digested : end]])
            self._digested = end
