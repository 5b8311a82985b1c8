"""A way to a server that can be cut, darkened and slowed: what a network does to one client, on purpose."""

import asyncio
import socket
import struct
from contextlib import suppress

_CHUNK_BYTES = 1 << 16
_NO_FAREWELL = struct.pack("ii", 1, 0)


class Line:
    """Listens on loopback and passes everything on to another port there.

    A dark line keeps what it was given, and hands it on when it is light again, as a network does that sends again what
    was lost: the servers hear things late that their senders have given up long ago.
    """

    def __init__(self, to: int) -> None:
        self._to = to
        self._server: asyncio.Server | None = None
        self._light = asyncio.Event()
        self._light.set()
        self._delay = 0.0
        self._pairs: dict[asyncio.Task[None], tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = {}

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def open(self) -> "Line":
        self._server = await asyncio.start_server(self._on_client, "127.0.0.1", 0)
        return self

    def cut(self, *, only_first: bool = False) -> int:
        """Break its connections, or the oldest one; how many those were. New ones may be made at once."""
        broken = list(self._pairs.values())[: 1 if only_first else None]
        for pair in broken:
            _reset(*pair)
        return len(broken)

    def darken(self) -> None:
        """Let nothing through from now on, in either direction, on old and new connections."""
        self._light.clear()

    def lighten(self) -> None:
        """Let everything through again, what has waited first."""
        self._light.set()

    def slow(self, seconds: float) -> None:
        """Hold up whatever passes for so long; 0: no more."""
        self._delay = seconds

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        works = list(self._pairs)
        self.cut()
        for work in works:
            work.cancel()
        await asyncio.gather(*works, return_exceptions=True)

    async def _on_client(self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        work = asyncio.current_task()
        assert work is not None
        try:
            await self._light.wait()
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self._to)
        except (OSError, asyncio.CancelledError):  # cancelled: at the end of the suite
            _abort(to_client)
            return
        self._pairs[work] = to_client, to_server
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pass_on(from_client, to_server))
                both.create_task(self._pass_on(from_server, to_client))
        except* (OSError, EOFError):
            pass
        except* asyncio.CancelledError:
            pass
        finally:
            del self._pairs[work]
            _abort(to_client, to_server)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(_CHUNK_BYTES):
            if self._delay:
                await asyncio.sleep(self._delay)  # the fault itself
            await self._light.wait()
            writer.write(data)
            await writer.drain()
        await self._light.wait()  # nobody hears of the end of a connection in the dark
        raise EOFError


def _reset(*writers: asyncio.StreamWriter) -> None:
    """Break connections so that both ends hear of it as of a broken one, not as of one that was closed."""
    for writer in writers:
        with suppress(OSError):
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_FAREWELL)
    _abort(*writers)


def _abort(*writers: asyncio.StreamWriter) -> None:
    for writer in writers:
        with suppress(OSError):
            writer.transport.abort()
