"""How fast runs move: chains, fan-outs, the way to the first line of user code, many runs at once, a takeover."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable

from benchmarks import texts
from benchmarks.figure import Effort, Pair
from benchmarks.station import RUN_WITHIN, BenchError, Station
from nflow.bus.port import Record
from nflow.core.events import Event, RunFinished, Status, TaskStarted
from nflow.runs import Following

#: Runs that are submitted at once, from one client.
SUBMITS_IN_FLIGHT = 64


async def chain(effort: Effort) -> AsyncIterator[Pair]:
    """Milliseconds for each step, from the submission to the recorded end."""
    steps = effort.size(1000)
    async with Station() as station:
        workflow = station.workflow("chain", texts.chain(steps))
        await _warm_up(station)
        for _ in range(effort.times(5)):
            yield (
                1000 * await _seconds(station.run(workflow)) / steps,
                1000 * await _seconds(station.floor.chain(steps)) / steps,
            )


async def fan_out(effort: Effort) -> AsyncIterator[Pair]:
    """Tasks per second, from the submission to the recorded end."""
    width = effort.size(10_000)
    async with Station() as station:
        workflow = station.workflow("fan_out", texts.fan_out(width))
        await _warm_up(station)
        for _ in range(effort.times(5)):
            yield width / await _seconds(station.run(workflow)), width / await _seconds(station.floor.fan_out(width))


async def first_line(effort: Effort) -> AsyncIterator[Pair]:
    """Milliseconds from the call of `submit` to the first line of user code."""
    async with Station() as station:
        workflow = station.workflow("first_line", texts.FIRST_LINE)
        out = station.folder / "at"
        await station.run(workflow, {"out": str(out)})
        for _ in range(effort.times(21)):
            start = time.time()
            await station.run(workflow, {"out": str(out)})
            reached: list[float] = []
            started = time.perf_counter()
            await station.floor.run(first_line=lambda: reached.append(time.perf_counter()))  # noqa: B023 - awaited here
            yield 1000 * (float(out.read_text()) - start), 1000 * (reached[0] - started)


async def many_runs(effort: Effort) -> AsyncIterator[Pair]:
    """Seconds until the last of many runs has ended, all submitted at once."""
    count = effort.size(1000)
    for _ in range(effort.times(3)):
        async with Station() as station:
            await _warm_up(station)
            yield await _seconds(_run_many(station, count)), await _seconds(_floors(station, count))


async def takeover(effort: Effort) -> AsyncIterator[Pair]:
    """Seconds from `kill -9` of the worker that drives and runs everything to the task's start elsewhere."""
    for _ in range(effort.times(3)):
        async with Station() as station:
            yield await _take_over(station), None


async def _take_over(station: Station) -> float:
    workflow, mark = station.workflow("endless", texts.ENDLESS), station.folder / "mark"
    starts: asyncio.Queue[None] = asyncio.Queue()

    def on_event(event: Event, _: Record) -> None:
        if isinstance(event, TaskStarted):
            starts.put_nowait(None)

    run = await station.client.submit(workflow, {"mark": str(mark)})
    async with (
        asyncio.timeout(RUN_WITHIN),
        Following(station.client.engine, station.client.engine.subjects.run_events(run), on_event),
    ):
        await starts.get()
        await station.start_worker()
        station.workers[0].kill()
        seconds = await _seconds(starts.get())
        await station.client.wait(run)
    return seconds


async def _run_many(station: Station, count: int) -> None:
    workflow = station.workflow("one_task", texts.chain(1))
    over, left = asyncio.Event(), count
    failures: list[RunFinished] = []

    def on_event(event: Event, _: Record) -> None:
        nonlocal left
        if isinstance(event, RunFinished):
            left -= 1
            if event.status is not Status.SUCCEEDED:
                failures.append(event)
        if not left:
            over.set()

    places = asyncio.Semaphore(SUBMITS_IN_FLIGHT)

    async def submit() -> None:
        async with places:
            await station.client.submit(workflow)

    engine = station.client.engine
    already = sum(1 for entry in await station.client.all() if not entry.is_active)
    left += already
    try:
        async with asyncio.timeout(RUN_WITHIN), Following(engine, f"{engine.bus.namespace}.event.*._._log", on_event):
            await asyncio.gather(*(submit() for _ in range(count)))
            await over.wait()
    except TimeoutError:
        raise BenchError(f"{left} of {count} runs did not end within {RUN_WITHIN:.0f} s") from None
    if failures:
        raise BenchError(f"{len(failures)} of {count} runs failed, the first: {failures[0].reason}")


async def _floors(station: Station, count: int) -> None:
    await asyncio.gather(*(station.floor.run() for _ in range(count)))


async def _warm_up(station: Station) -> None:
    await station.run(station.workflow("warm_up", texts.fan_out(20)))
    await station.floor.chain(20)


async def _seconds(work: Awaitable[object]) -> float:
    start = time.perf_counter()
    await work
    return time.perf_counter() - start
