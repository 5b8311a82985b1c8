"""What only the owner may write: in order, one append at a time, and never lost without a word."""

import asyncio

import pytest

from nflow.bus.port import Guard
from nflow.core.events import DagRefused, TaskSkipped
from nflow.engine.log import EVENTS_PER_RECORD, OwnLog
from nflow.errors import Fenced, StorageFull
from nflow.wire.messages import unpack_events
from tests.engine.conftest import StageBus, settle

OWNER, OWN = "nflow.event.r.d._owner", "nflow.event.r.d._log"


def skipped(number: int) -> TaskSkipped:
    return TaskSkipped(task=f"t{number}")


async def own_log(bus, failures=None):
    seq = await bus.append(OWNER, b"me")
    return OwnLog(bus, OWN, Guard(OWNER, seq), (failures if failures is not None else []).append)


async def stored(bus):
    records = (await bus.read(OWN)).records
    return [[event.task for event in unpack_events(record.payload)] for record in records]


async def test_events_are_stored_in_their_order(bus):
    log = await own_log(bus)

    for number in range(5):
        log.append([skipped(number)])
    await log.written()

    assert [task for tasks in await stored(bus) for task in tasks] == ["t0", "t1", "t2", "t3", "t4"]


async def test_what_gathers_during_an_append_goes_with_the_next_one(bus):
    log = await own_log(bus)

    log.append([skipped(0)])
    await asyncio.sleep(0)  # the first is on its way
    for number in range(1, 5):
        log.append([skipped(number)])
    await log.written()

    assert await stored(bus) == [["t0"], ["t1", "t2", "t3", "t4"]]
    assert bus.most_appending == 1


async def test_very_many_events_are_several_records(bus):
    log = await own_log(bus)

    log.append([skipped(number) for number in range(2 * EVENTS_PER_RECORD + 1)])
    await log.written()

    assert [len(events) for events in await stored(bus)] == [EVENTS_PER_RECORD, EVENTS_PER_RECORD, 1]


async def test_a_record_is_never_larger_than_a_message_may_be(server):
    bus = StageBus(server, max_payload_bytes=10_000)
    log = await own_log(bus)

    log.append([DagRefused(key="k" * 900, reason="ü" * 100) for _ in range(50)])
    await log.written()

    records = (await bus.read(OWN)).records
    assert sum(len(unpack_events(record.payload)) for record in records) == 50
    assert max(len(record.payload) for record in records) <= 10_000


async def test_whoever_waits_is_not_held_up_by_what_came_later(bus):
    """Once, a log that was never idle kept everybody waiting who had asked whether theirs was stored."""
    log = await own_log(bus)

    async def more(subject: str) -> None:
        log.append([skipped(99)])

    log.append([skipped(0)])
    bus.before_append = more

    async with asyncio.timeout(5):
        await log.written()
    log.close()


async def test_an_owner_that_has_a_successor_is_told(bus, other):
    failures: list[Exception] = []
    log = await own_log(bus, failures)
    await other.append(OWNER, b"successor")

    log.append([skipped(0)])

    with pytest.raises(Fenced):
        await log.written()
    assert [type(error) for error in failures] == [Fenced]
    assert await stored(bus) == []


async def test_after_a_failure_nothing_more_is_written(bus, other):
    log = await own_log(bus, [])
    await other.append(OWNER, b"successor")
    log.append([skipped(0)])
    await settle()

    log.append([skipped(1)])

    with pytest.raises(Fenced):
        await log.written()
    assert await stored(bus) == []


async def test_a_full_server_is_no_secret_to_the_owner(bus, server):
    """Once, the events were gone, and the driver waited for them for ever."""
    failures: list[Exception] = []
    log = await own_log(bus, failures)
    server.is_full = lambda subject: subject == OWN

    log.append([skipped(0)])
    await settle()

    assert [type(error) for error in failures] == [StorageFull]
    with pytest.raises(StorageFull):
        await log.written()


async def test_a_closed_log_writes_no_more(bus):
    log = await own_log(bus)
    log.append([skipped(0)])

    log.close()
    await settle()

    assert await stored(bus) == []
