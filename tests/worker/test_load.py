"""What a worker tells of how much it does."""

import os
import subprocess
import sys

import pytest

from nflow.worker.load import Gauge, cpu_seconds
from nflow.worker.pool import Pool


class ThisProcess:
    """A slot that is the process of the test."""

    tasks_done = 0
    alive = True
    ended = False
    memory_bytes = 0
    pid = os.getpid()


async def this_process() -> ThisProcess:
    return ThisProcess()


@pytest.fixture
async def pool() -> Pool:
    pool = Pool(2, this_process, tasks_per_slot=10)
    await pool.warm_up()
    return pool


async def test_slots_with_tasks_are_busy_until_these_end(pool: Pool):
    slot = await pool.acquire(1.0)
    during = Gauge(pool).load()

    pool.release(slot)

    assert (during.busy, Gauge(pool).load().busy) == (1, 0)


async def test_a_task_that_waits_for_others_has_lent_its_slot(pool: Pool):
    await pool.acquire(1.0)

    async with pool.lending():
        load = Gauge(pool).load()

    assert (load.busy, load.lent) == (0, 1)


async def test_memory_is_that_of_the_worker_and_its_slots(pool: Pool):
    load = Gauge(pool).load()

    assert load.memory_bytes > 3 * 10_000_000  # this process, three times: as the worker and as both slots


async def test_the_cores_that_slots_use_are_counted_from_look_to_look(pool: Pool):
    gauge = Gauge(pool)
    gauge.load()

    sum(number * number for number in range(300_000))

    assert gauge.load().cpu > 0


def test_the_time_of_a_process_is_that_of_its_children_too():
    before = cpu_seconds(os.getpid())

    subprocess.run([sys.executable, "-c", "sum(range(3_000_000))"], check=True, timeout=30)

    assert cpu_seconds(os.getpid()) > before


def test_a_process_that_is_gone_has_used_nothing():
    assert cpu_seconds(2**22 + 1) == 0.0
