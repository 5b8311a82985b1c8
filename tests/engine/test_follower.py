"""A follower delivers every record once, whatever becomes of the pushes."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nflow.bus.clock import VirtualClock
from nflow.bus.memory import MemoryServer
from nflow.engine.log import Follower
from tests.engine.conftest import StageBus, settle

LOG = "nflow.event.r.d"


class Reader:
    """A follower, and what it has delivered."""

    def __init__(self, bus: StageBus) -> None:
        self.seqs: list[int] = []
        self.follower = Follower(bus, f"{LOG}.>", lambda record: self.seqs.append(record.seq))

    async def start(self) -> "Reader":
        await self.follower.start()
        return self


@pytest.fixture
async def reader(bus):
    return await Reader(bus).start()


async def test_it_begins_with_what_the_log_holds(bus):
    seqs = [await bus.append(f"{LOG}.{number % 3}", b"") for number in range(2500)]

    reader = await Reader(bus).start()

    assert reader.seqs == seqs


async def test_it_goes_on_with_what_is_pushed(bus, reader):
    seqs = [await bus.append(f"{LOG}.a", b"") for _ in range(3)]

    await settle()

    assert reader.seqs == seqs


async def test_what_is_stored_while_it_reads_the_past_is_delivered_once(bus, other):
    first = await bus.append(f"{LOG}.a", b"")
    later: list[int] = []

    async def meanwhile(subject: str) -> None:
        if not later:
            later.append(await other.append(f"{LOG}.a", b""))
            later.append(await other.append(f"{LOG}.b", b""))
            await settle()

    bus.before_read = meanwhile
    reader = await Reader(bus).start()

    assert reader.seqs == [first, *later]


async def test_a_lost_push_shows_by_the_next_one_on_its_subject(bus, server, reader):
    server.loses = lambda record: record.payload == b"lost"

    lost = await bus.append(f"{LOG}.a", b"lost")
    heard = await bus.append(f"{LOG}.a", b"heard")
    await settle()

    assert sorted(reader.seqs) == [lost, heard]


async def test_a_lost_push_that_nothing_follows_is_found_by_the_comparison(bus, server, reader):
    await bus.append(f"{LOG}.a", b"")
    server.loses = lambda record: True
    lost = await bus.append(f"{LOG}.b", b"")
    await settle()

    assert await reader.follower.check() == 1
    assert reader.seqs[-1] == lost
    assert await reader.follower.check() == 0


async def test_a_comparison_in_the_middle_of_traffic_finds_nothing_where_nothing_is_missing(bus, other, reader):
    async def traffic(subject: str) -> None:
        await other.append(f"{LOG}.a", b"")

    bus.before_read = traffic

    for _ in range(20):
        assert await reader.follower.check() == 0
    assert len(reader.seqs) == len(set(reader.seqs))


async def test_a_comparison_in_the_middle_of_traffic_finds_what_is_missing(bus, other, server, reader):
    async def traffic(subject: str) -> None:
        await other.append(f"{LOG}.a", b"")
        await settle()

    server.loses = lambda record: record.payload == b"lost"
    lost = await bus.append(f"{LOG}.b", b"lost")
    bus.before_read = traffic

    found = sum([await reader.follower.check() for _ in range(5)])

    assert found >= 1
    assert reader.seqs.count(lost) == 1


async def test_a_record_that_is_stored_between_the_two_looks_does_not_make_up_for_a_missing_one(
    bus, other, server, reader
):
    """Once, the second look overtook the first; then as many seemed to be stored as were delivered."""
    reads = []

    async def store_before_the_second_answer(subject: str) -> None:
        reads.append(subject)
        if len(reads) == 1:
            for _ in range(3):
                await settle()
            await other.append(f"{LOG}.a", b"")

    server.loses = lambda record: record.payload == b"lost"
    lost = await bus.append(f"{LOG}.b", b"lost")
    await other.append(f"{LOG}.a", b"")
    await settle()
    bus.before_read = store_before_the_second_answer

    for _ in range(3):
        await reader.follower.check()

    assert reader.seqs.count(lost) == 1


async def test_a_reconnect_brings_what_was_missed(bus, other, reader):
    bus.cut()
    missed = await other.append(f"{LOG}.a", b"")
    await settle()
    assert reader.seqs == []

    bus.mend()
    await settle()

    assert reader.seqs == [missed]


async def test_whoever_asks_is_told_whether_something_new_was_found(bus, server, reader):
    await bus.append(f"{LOG}.a", b"")
    await settle()
    assert await reader.follower.complete()

    server.loses = lambda record: True
    await bus.append(f"{LOG}.a", b"")
    await settle()

    assert not await reader.follower.complete()
    assert await reader.follower.complete()


async def test_it_waits_until_a_record_that_must_be_there_is_read(bus, server, reader):
    server.loses = lambda record: True
    seq = await bus.append(f"{LOG}.a", b"")

    await reader.follower.reach(seq)

    assert reader.seqs == [seq]


async def test_a_closed_one_listens_no_more(bus, reader):
    reader.follower.close()
    await bus.append(f"{LOG}.a", b"")
    bus.cut()
    bus.mend()
    await settle()

    assert reader.seqs == []
    assert bus._watching == []
    assert bus._reconnected == []


async def test_it_remembers_only_what_it_has_not_verified(bus, reader):
    for _ in range(50):
        await bus.append(f"{LOG}.a", b"")
    await settle()

    await reader.follower.check()

    assert len(reader.follower._ahead) == 0


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(0, 3)),
        st.tuples(st.sampled_from(["push", "lose", "repeat"]), st.integers(0, 30)),
        st.tuples(st.sampled_from(["check", "complete", "cut", "mend", "settle"]), st.just(0)),
    ),
    max_size=60,
)


@settings(max_examples=300, deadline=None)
@given(before=st.integers(0, 5), actions=ACTIONS)
def test_every_record_comes_once_whatever_becomes_of_the_pushes(before, actions):
    """Against a plain list: pushes come in any order, twice or never, between outages and comparisons."""

    async def play() -> None:
        server = MemoryServer(VirtualClock())
        bus, writer = StageBus(server), StageBus(server)
        stored = [await writer.append(f"{LOG}.0", b"") for _ in range(before)]
        reader = await Reader(bus).start()
        bus.pushes = []
        checks: list[asyncio.Future[object]] = []
        for action, which in actions:
            match action:
                case "append":
                    stored.append(await writer.append(f"{LOG}.{which}", b""))
                case "push" | "lose" | "repeat" if bus.pushes:
                    place = which % len(bus.pushes)
                    push = bus.pushes[place] if action == "repeat" else bus.pushes.pop(place)
                    if action != "lose":
                        push()
                case "check":
                    checks.append(asyncio.ensure_future(reader.follower.check()))
                case "complete":
                    checks.append(asyncio.ensure_future(reader.follower.complete()))
                case "cut":
                    bus.cut()
                case "mend":
                    bus.mend()
                case _:
                    await settle()
        bus.mend()
        await asyncio.gather(*checks)
        await settle()
        await reader.follower.check()

        assert sorted(reader.seqs) == stored
        assert await reader.follower.check() == 0
        assert await reader.follower.complete()
        reader.follower.close()
        await server.close()

    asyncio.run(play())
