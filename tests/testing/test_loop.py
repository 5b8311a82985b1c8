"""Time that takes no time: pauses are jumped over, and the code of tasks is waited for."""

import asyncio
import threading
import time

from nflow.testing.loop import VirtualTimeLoop


def run(main, is_busy=lambda: False):
    with asyncio.Runner(loop_factory=lambda: VirtualTimeLoop(is_busy)) as runner:
        return runner.run(main)


def test_a_year_passes_at_once_and_in_order():
    woken = []

    async def sleeper(name, seconds):
        await asyncio.sleep(seconds)
        woken.append((name, round(asyncio.get_running_loop().time(), 3)))

    async def main():
        await asyncio.gather(sleeper("year", 365 * 86400), sleeper("hour", 3600), sleeper("day", 86400))

    start = time.monotonic()
    run(main())

    assert woken == [("hour", 3600), ("day", 86400), ("year", 365 * 86400)]
    assert time.monotonic() - start < 10


def test_time_stands_still_while_a_thread_is_busy():
    gate = threading.Event()
    busy = [True]

    async def main():
        loop = asyncio.get_running_loop()
        done = loop.create_future()

        def work():
            gate.wait()
            busy.clear()
            loop.call_soon_threadsafe(done.set_result, None)

        pause = loop.create_task(asyncio.sleep(3600))
        threading.Thread(target=work).start()
        loop.call_soon(gate.set)
        await done
        assert not pause.done()
        assert loop.time() == 0
        await pause
        return round(loop.time(), 3)

    assert run(main(), lambda: bool(busy)) == 3600
