"""A way to a server that can be cut, darkened and slowed: what a network does to one client, on purpose."""

import asyncio
import socket
import struct
from contextlib import suppress

from tests.e2e.news import News

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
        self._lights: dict[asyncio.Task[None], asyncio.Event] = {}
        self._pairs: dict[asyncio.Task[None], tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = {}
        self._is_dark = False  # for connections to come
        self._delay = 0.0
        self._news = News()

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def open(self) -> "Line":
        self._server = await asyncio.start_server(self._on_client, "127.0.0.1", 0)
        return self

    async def until(self, connections: int) -> None:
        """Return when there are so many."""
        await self._news.until(lambda: len(self._pairs) == connections)

    def cut(self, *, only_first: bool = False) -> int:
        """Break its connections, or the oldest one; how many those were. New ones may be made at once."""
        broken = list(self._pairs.values())[: 1 if only_first else None]
        for pair in broken:
            _reset(*pair)
        return len(broken)

    def darken(self, *, only_old: bool = False) -> None:
        """Let nothing through from now on, in either direction, on old and new connections, or on old ones only."""
        self._is_dark = not only_old
        for light in self._lights.values():
            light.clear()

    def lighten(self) -> None:
        """Let everything through again, what has waited first."""
        self._is_dark = False
        for light in self._lights.values():
            light.set()

    def slow(self, seconds: float) -> None:
        """Hold up whatever passes for so long; 0: no more."""
        self._delay = seconds

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        works = list(self._lights)
        self.cut()
        for work in works:
            work.cancel()
        await asyncio.gather(*works, return_exceptions=True)

    async def _on_client(self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        work = asyncio.current_task()
        assert work is not None
        light = self._lights[work] = asyncio.Event()
        if not self._is_dark:
            light.set()
        try:
            await light.wait()
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self._to)
            self._pairs[work] = to_client, to_server
            self._news.tell()
            await asyncio.gather(
                self._pass_on(from_client, to_server, light), self._pass_on(from_server, to_client, light)
            )
        except (OSError, asyncio.CancelledError):  # nobody listens there, or the suite is at its end
            pass
        finally:
            del self._lights[work]
            _abort(to_client, *self._pairs.pop(work, ()))
            self._news.tell()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, light: asyncio.Event) -> None:
        """One direction. When one end is gone, the other one hears of it, but only of that and only in the light."""
        with suppress(OSError):
            while data := await reader.read(_CHUNK_BYTES):
                if self._delay:
                    await asyncio.sleep(self._delay)  # the fault itself
                await light.wait()
                writer.write(data)
                await writer.drain()
        await light.wait()
        with suppress(OSError):
            writer.write_eof()


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
