"""Permits and slots: never more at once than allowed, none lost, nobody forgotten."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nflow.errors import JoinRefused
from nflow.worker.pool import MOST_LENT, Pool


class IdleSlot:
    """A slot as the pool sees it."""

    def __init__(self) -> None:
        self.alive = True
        self.tasks_done = 0
        self.memory_bytes = 0

    @property
    def ended(self) -> bool:
        return not self.alive

    def kill(self) -> None:
        self.alive = False


class Starts:
    """Starts slots, and counts them."""

    def __init__(self) -> None:
        self.slots: list[IdleSlot] = []
        self.error: Exception | None = None
        self.door = asyncio.Event()
        self.door.set()

    async def __call__(self) -> IdleSlot:
        await self.door.wait()
        if self.error is not None:
            raise self.error
        self.slots.append(IdleSlot())
        return self.slots[-1]


@pytest.fixture
def starts() -> Starts:
    return Starts()


@pytest.fixture
def pool(starts) -> Pool:
    return Pool(1, starts, tasks_per_slot=100)


async def settle() -> None:
    """Let everybody run who can."""
    for _ in range(20):
        await asyncio.sleep(0)


async def room(pool: Pool) -> int:
    """How many slots can be had right now."""
    taken = []
    while (slot := await pool.acquire(0.0)) is not None:
        taken.append(slot)
    for slot in taken:
        pool.release(slot)
    return len(taken)


async def test_a_slot_is_used_again(pool, starts):
    first = await pool.acquire(0.0)
    pool.release(first)

    assert await pool.acquire(0.0) is first
    assert len(starts.slots) == 1


async def test_a_worn_slot_is_replaced(starts):
    pool = Pool(1, starts, tasks_per_slot=2)
    slot = await pool.acquire(0.0)
    slot.tasks_done = 2

    pool.release(slot)

    assert not slot.alive
    assert await pool.acquire(0.0) is not slot


async def test_a_slot_that_keeps_too_much_memory_is_replaced(starts):
    pool = Pool(1, starts, tasks_per_slot=1000, recycle_memory=100)
    slot = await pool.acquire(1.0)
    slot.memory_bytes = 101

    pool.release(slot)

    assert not slot.alive
    assert await pool.acquire(1.0) is not slot


async def test_a_slot_that_died_while_it_was_idle_is_not_handed_out(pool):
    slot = await pool.acquire(0.0)
    pool.release(slot)
    slot.alive = False

    assert (await pool.acquire(0.0)).alive


async def test_whoever_finds_no_slot_within_its_patience_gets_none(pool):
    slot = await pool.acquire(0.0)

    assert await pool.acquire(0.0) is None

    pool.release(slot)
    assert await room(pool) == 1


async def test_those_who_wait_are_served_in_their_order(pool):
    slot = await pool.acquire(0.0)
    served: list[int] = []

    async def want(number: int) -> None:
        mine = await pool.acquire(10.0)
        served.append(number)
        pool.release(mine)

    waiting = [asyncio.ensure_future(want(number)) for number in range(5)]
    await settle()
    pool.release(slot)
    await asyncio.gather(*waiting)

    assert served == [0, 1, 2, 3, 4]


async def test_one_who_was_cancelled_while_waiting_takes_no_permit_along(pool):
    slot = await pool.acquire(0.0)
    waiting = asyncio.ensure_future(pool.acquire(10.0))
    await settle()

    waiting.cancel()
    pool.release(slot)
    await settle()

    assert await room(pool) == 1


async def test_one_who_was_cancelled_in_the_moment_of_its_turn_hands_the_permit_on(pool):
    slot = await pool.acquire(0.0)
    first, second = (asyncio.ensure_future(pool.acquire(10.0)) for _ in range(2))
    await settle()

    pool.release(slot)
    first.cancel()

    assert await second is not None


async def test_one_who_was_cancelled_while_its_slot_started_gives_its_permit_back(pool, starts):
    starts.door.clear()
    starting = asyncio.ensure_future(pool.acquire(0.0))
    await settle()

    starting.cancel()
    await settle()
    starts.door.set()

    assert await room(pool) == 1


async def test_a_slot_that_cannot_be_started_costs_no_permit(pool, starts):
    starts.error = OSError("too many open files")

    with pytest.raises(OSError, match="too many"):
        await pool.acquire(0.0)

    starts.error = None
    assert await room(pool) == 1


async def test_a_task_that_waits_for_others_lets_one_run_and_keeps_its_process(pool, starts):
    outer = await pool.acquire(0.0)

    async with pool.lending():
        inner = await pool.acquire(0.0)
        assert inner is not outer
        assert pool.lent == 1
        pool.release(inner)

    assert pool.lent == 0
    pool.release(outer)
    assert await room(pool) == 1


async def test_one_who_has_waited_for_others_goes_before_those_who_have_not_begun(pool):
    order: list[str] = []
    outer = await pool.acquire(0.0)

    async def join() -> None:
        async with pool.lending():
            await joined.wait()
        order.append("joined")
        pool.release(outer)

    async def begin(name: str) -> None:
        slot = await pool.acquire(10.0)
        order.append(name)
        pool.release(slot)

    joined = asyncio.Event()
    joining = asyncio.ensure_future(join())
    await settle()
    inner = await pool.acquire(0.0)
    others = [asyncio.ensure_future(begin(name)) for name in ("a", "b")]
    await settle()
    joined.set()
    await settle()
    pool.release(inner)
    await asyncio.gather(joining, *others)

    assert order == ["joined", "a", "b"]


async def test_joins_that_end_at_once_go_on_in_their_order(starts):
    pool = Pool(3, starts, tasks_per_slot=100)
    order: list[int] = []
    joined = asyncio.Event()

    async def join(number: int, slot: IdleSlot) -> None:
        async with pool.lending():
            await joined.wait()
        order.append(number)
        pool.release(slot)

    joining = [asyncio.ensure_future(join(number, await pool.acquire(0.0))) for number in range(3)]
    await settle()
    taken = [await pool.acquire(0.0) for _ in range(3)]
    joined.set()
    await settle()
    for slot in taken:
        pool.release(slot)
    await asyncio.gather(*joining)

    assert order == [0, 1, 2]


@pytest.mark.parametrize("moment", ["while it waits for others", "while it waits for a permit", "as it gets one"])
async def test_a_task_that_is_ended_in_a_join_leaves_the_permits_as_they_were(pool, moment):
    outer = await pool.acquire(0.0)
    joined = asyncio.Event()

    async def join() -> None:
        async with pool.lending():
            await joined.wait()

    joining = asyncio.ensure_future(join())
    await settle()
    inner = await pool.acquire(0.0)
    if moment != "while it waits for others":
        joined.set()
        await settle()
    if moment == "as it gets one":
        pool.release(inner)

    pool.release(outer)  # its process died
    joining.cancel()
    await settle()
    if moment != "as it gets one":
        pool.release(inner)

    assert pool.lent == 0
    assert await room(pool) == 1


async def test_too_many_joins_are_refused(starts):
    pool = Pool(1, starts, tasks_per_slot=100)

    async with contexts(pool, MOST_LENT):
        with pytest.raises(JoinRefused, match="256 tasks"):
            async with pool.lending():
                pass


class contexts:  # noqa: N801 - it reads as what it is
    """So many joins at once."""

    def __init__(self, pool: Pool, count: int) -> None:
        self._pool = pool
        self._count = count
        self._over = asyncio.Event()
        self._joins: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> None:
        for _ in range(self._count):
            await self._pool.acquire(0.0)
            self._joins.append(asyncio.ensure_future(self._join()))
            await asyncio.sleep(0)

    async def __aexit__(self, *_: object) -> None:
        for join in self._joins:
            join.cancel()
        await asyncio.gather(*self._joins, return_exceptions=True)

    async def _join(self) -> None:
        async with self._pool.lending():
            await self._over.wait()


async def test_a_closed_pool_ends_its_processes(starts):
    pool = Pool(2, starts, tasks_per_slot=100)
    busy = await pool.acquire(0.0)
    await pool.warm_up()

    pool.close()
    pool.release(busy)

    assert not any(slot.alive for slot in starts.slots)


class Life:
    """A task that begins, joins, ends, dies or is cancelled whenever it is told to."""

    def __init__(self, pool: Pool, lives: "list[Life]") -> None:
        self._pool = pool
        self._lives = lives
        self._next = asyncio.Event()
        self._joined = asyncio.Event()
        self._ends = self._joins = False
        self.most = 0  #: tasks at work at once, as it has seen
        self.works = False
        lives.append(self)
        self.work = asyncio.ensure_future(self._live())

    def join(self) -> None:
        self._joins = True
        self._next.set()

    def go_on(self) -> None:
        self._joined.set()

    def end(self) -> None:
        self._ends = True
        self._next.set()

    def cancel(self) -> None:
        self.work.cancel()

    async def _live(self) -> None:
        slot = await self._pool.acquire(10.0)
        try:
            while not self._ends:
                self.works = True
                self.most = sum(life.works for life in self._lives)
                await self._next.wait()
                self._next.clear()
                self.works = False
                if self._joins and not self._ends:
                    async with self._pool.lending():
                        await self._joined.wait()
        finally:
            self.works = False
            self._pool.release(slot)


@settings(max_examples=150, deadline=None)
@given(size=st.integers(1, 3), script=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 7)), max_size=60))
def test_no_permit_is_ever_lost_or_made(size, script):
    """Tasks begin, join, end and are cancelled at any moment; when all is over, all permits are there."""

    async def play() -> None:
        pool = Pool(size, Starts(), tasks_per_slot=100)
        lives: list[Life] = []
        for action, which in script:
            if action <= 1 or not lives:
                Life(pool, lives)
            elif action == 2:
                await settle()
            else:
                [Life.join, Life.go_on, Life.end, Life.cancel][action - 3](lives[which % len(lives)])
        for life in lives:
            life.go_on()
            life.end()
        async with asyncio.timeout(10):
            await asyncio.gather(*(life.work for life in lives), return_exceptions=True)

        assert pool.lent == 0
        assert max((life.most for life in lives), default=0) <= size
        assert await room(pool) == size

    asyncio.run(play())
