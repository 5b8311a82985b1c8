"""A line does to connections what it is told to."""

import asyncio

import pytest

from tests.chaos.line import Line

PATIENCE = 5.0


@pytest.fixture
def heard():
    """What was said to the server."""
    return []


@pytest.fixture
async def echo(heard):
    """A server that says what it hears."""

    async def on_client(reader, writer):
        while data := await reader.read(100):
            heard.append(data)
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(on_client, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


@pytest.fixture
async def line(echo):
    line = await Line(echo).open()
    yield line
    await line.close()


@pytest.fixture
async def connect(line):
    writers = []

    async def connect():
        reader, writer = await asyncio.open_connection("127.0.0.1", line.port)
        writers.append(writer)
        return reader, writer

    yield connect
    for writer in writers:
        writer.transport.abort()


async def ask(reader, writer, text=b"hello"):
    writer.write(text)
    async with asyncio.timeout(PATIENCE):
        return await reader.readexactly(len(text))


async def test_what_is_said_passes_both_ways(connect):
    assert await ask(*await connect()) == b"hello"


async def test_a_cut_ends_a_connection_and_new_ones_can_be_made(line, connect):
    reader, writer = await connect()
    await ask(reader, writer)

    broken = line.cut()

    assert broken == 1
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(ConnectionError):
            await reader.readexactly(1)
    assert await ask(*await connect()) == b"hello"


async def test_a_cut_of_the_first_connection_spares_the_others(line, connect):
    first, second = await connect(), await connect()
    await ask(*first)
    await ask(*second)

    line.cut(only_first=True)

    async with asyncio.timeout(PATIENCE):
        with pytest.raises(ConnectionError):
            await first[0].readexactly(1)
    assert await ask(*second) == b"hello"


async def test_what_is_said_in_the_dark_is_heard_when_it_is_light_again(line, connect):
    old = await connect()
    await ask(*old)

    line.darken()
    new = await connect()
    asking = [asyncio.ensure_future(ask(*each)) for each in (old, new)]
    done, _ = await asyncio.wait(asking, timeout=0.2)
    line.lighten()

    assert not done
    assert await asyncio.gather(*asking) == [b"hello", b"hello"]


async def test_a_line_that_is_dark_for_old_connections_is_light_for_new_ones(line, connect):
    old = await connect()
    await ask(*old)

    line.darken(only_old=True)
    asking = asyncio.ensure_future(ask(*old))
    answer = await ask(*await connect())

    assert answer == b"hello"
    assert not asking.done()
    line.lighten()
    assert await asking == b"hello"


async def test_what_was_said_in_the_dark_is_heard_although_its_speaker_has_left(line, connect, heard):
    _, writer = await connect()
    await line.until(1)
    line.darken()
    writer.write(b"late")
    writer.close()

    line.lighten()
    await line.until(0)

    assert heard == [b"late"]


async def test_a_slow_line_takes_its_time(line, connect):
    connection = await connect()
    line.slow(0.1)
    began = asyncio.get_running_loop().time()

    await ask(*connection)

    assert asyncio.get_running_loop().time() - began >= 0.2
