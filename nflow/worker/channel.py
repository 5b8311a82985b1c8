"""The way of large values between a worker and a slot: plain bytes on a socket of their own, beside the pipe.

Calls, stops and lines never wait behind them. Nothing is read from the socket before there is a place to put it, and
nothing is written before the other side has taken what came before: that is all there is to back-pressure.
"""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

from nflow.blobs.port import PIECE_BYTES
from nflow.wire.frames import DATA, END, FILE, HEAD, THERE
from nflow.wire.values import Data


class ChannelClosed(Exception):
    """The slot has ended."""


class Channel:
    """The worker's end. One value passes at a time, for the calls of a task take turns."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._loop = asyncio.get_running_loop()

    async def receive_into(self, room: memoryview) -> None:
        """Fill `room`.

        Raises:
            ChannelClosed: the slot ended first.
        """
        while room:
            try:
                count = await self._loop.sock_recv_into(self._sock, room)
            except OSError as error:
                raise ChannelClosed from error
            if not count:
                raise ChannelClosed
            room = room[count:]

    async def receive(self, size_bytes: int) -> bytes:
        """So many bytes."""
        room = bytearray(size_bytes)
        await self.receive_into(memoryview(room))
        return bytes(room)

    async def piece(self, data: Data) -> None:
        """Send the next bytes of a value."""
        await self._send(HEAD.pack(DATA, len(data)))
        await self._send(data)

    async def file(self, path: Path) -> None:
        """Tell where to read the value."""
        name = bytes(path)
        await self._send(HEAD.pack(FILE, len(name)) + name)

    async def there(self, size_bytes: int) -> None:
        """Tell how much the file holds by now."""
        await self._send(HEAD.pack(THERE, size_bytes))

    async def end(self) -> None:
        """Tell that nothing more will come."""
        await self._send(HEAD.pack(END, 0))

    def close(self) -> None:
        """Close this end."""
        self._sock.close()

    async def _send(self, data: Data) -> None:
        try:
            await self._loop.sock_sendall(self._sock, data)
        except OSError as error:
            raise ChannelClosed from error


class Incoming:
    """A value that a slot sends, taken piece by piece as there is room for it elsewhere."""

    def __init__(self, channel: Channel, size_bytes: int) -> None:
        self._channel = channel
        self._left = size_bytes

    async def __aiter__(self) -> AsyncIterator[bytearray]:
        while self._left:
            piece = bytearray(min(self._left, PIECE_BYTES))
            await self._channel.receive_into(memoryview(piece))
            self._left -= len(piece)
            yield piece

    async def drain(self) -> None:
        """Take what is left, for nothing: the slot sees to the end of its value before it listens."""
        async for _ in self:
            pass
