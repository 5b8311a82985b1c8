"""The contract of plain messages: to whoever listens now."""

import asyncio

import pytest

from nflow.errors import NobodyThere


async def test_a_message_reaches_who_listens(bus, other, world, run):
    heard, arrived = [], asyncio.Event()
    bus.subscribe(f"nflow.ctl.{run}.*", lambda subject, payload: (heard.append((subject, payload)), arrived.set()))
    await bus.flush()

    other.publish(f"nflow.ctl.{run}.stop", b"now")
    await world.until(arrived)

    assert heard == [(f"nflow.ctl.{run}.stop", b"now")]


async def test_one_client_hears_its_own_messages_in_order(bus, world, run):
    heard, arrived = [], asyncio.Event()
    bus.subscribe(f"nflow.ctl.{run}", lambda _, payload: (heard.append(payload), payload == b"9" and arrived.set()))

    for number in range(10):
        bus.publish(f"nflow.ctl.{run}", b"%d" % number)
    await world.until(arrived)

    assert heard == [b"%d" % number for number in range(10)]


async def test_a_request_is_answered(bus, other, run):
    async def double(payload: bytes) -> bytes:
        return payload * 2

    bus.answer(f"nflow.holder.{run}", double)
    await bus.flush()

    assert await other.ask(f"nflow.holder.{run}", b"ab", timeout=5.0) == b"abab"


async def test_a_request_to_nobody_fails_at_once(bus, world, run):
    asked = world.time()

    with pytest.raises(NobodyThere):
        await bus.ask(f"nflow.holder.{run}", b"?", timeout=30.0)

    assert world.time() - asked < 5.0


async def test_a_request_to_somebody_silent_ends_in_time(bus, other, world, run):
    asked, done = asyncio.Event(), asyncio.Event()

    async def think(_: bytes) -> bytes:
        asked.set()
        await asyncio.Event().wait()
        return b"never"

    async def ask() -> None:
        with pytest.raises(TimeoutError):
            await other.ask(f"nflow.holder.{run}", b"?", timeout=0.3)
        done.set()

    bus.answer(f"nflow.holder.{run}", think)
    await bus.flush()
    asking = asyncio.ensure_future(ask())
    await world.until(done)
    await asking

    assert asked.is_set()


async def test_who_has_stopped_answering_is_not_there(bus, other, run):
    async def answer(_: bytes) -> bytes:
        return b"here"

    bus.answer(f"nflow.holder.{run}", answer).close()
    await bus.flush()

    with pytest.raises(NobodyThere):
        await other.ask(f"nflow.holder.{run}", b"?", timeout=5.0)


async def test_a_connected_client_knows_for_how_long(bus):
    await bus.flush()

    assert bus.connected_for() >= 0.0
