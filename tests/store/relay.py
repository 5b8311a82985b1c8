"""A relay before a server, which loses answers when a test says so."""

import asyncio
from contextlib import suppress


class Relay:
    """Listens on loopback and passes everything on. What it was told to lose was done, but nobody hears of it."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._server: asyncio.Server | None = None
        self._words = b""
        self._times = 0
        self._works: set[asyncio.Task[None]] = set()
        self.lost = 0

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def open(self) -> "Relay":
        self._server = await asyncio.start_server(self._on_client, "127.0.0.1", 0)
        return self

    def lose_answers(self, words: bytes, times: int = 1) -> None:
        """Cut the connection after the server has answered requests with these words, so often."""
        self._words, self._times = words, times

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        for work in self._works:
            work.cancel()
        await asyncio.gather(*self._works, return_exceptions=True)

    async def _on_client(self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        work = asyncio.current_task()
        assert work is not None
        self._works.add(work)
        from_server, to_server = await asyncio.open_connection("127.0.0.1", self._to)
        try:
            # Its protocol takes turns on a connection, but for the watch, whose answers come unasked.
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pass_on(from_client, to_server, from_server))
                both.create_task(_answer(from_server, to_client))
        except* (ConnectionError, asyncio.IncompleteReadError, EOFError):
            pass
        finally:
            for writer in (to_server, to_client):
                writer.transport.abort()
            self._works.discard(work)

    async def _pass_on(
        self, from_client: asyncio.StreamReader, to_server: asyncio.StreamWriter, from_server: asyncio.StreamReader
    ) -> None:
        while True:
            request = await _message(from_client)
            loses = bool(self._times and self._words in request)
            if loses:
                self._times -= 1
                self.lost += 1
                await self._lose(request)
                raise EOFError
            to_server.write(request)

    async def _lose(self, request: bytes) -> None:
        """Have it done over a connection of its own; the one who asked sees its own one break."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._to)
        with suppress(ConnectionError):
            writer.write(request)
            await _message(reader)
        writer.close()
        await writer.wait_closed()


async def _answer(from_server: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
    while True:
        to_client.write(await _message(from_server))


async def _message(reader: asyncio.StreamReader) -> bytes:
    """One message of MongoDB's wire protocol, which begins with its length."""
    size = await reader.readexactly(4)
    return size + await reader.readexactly(int.from_bytes(size, "little") - 4)
