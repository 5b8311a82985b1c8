"""What tasks print: how fast they may, and how soon it is seen."""

import time
from collections.abc import AsyncIterator
from statistics import median

from benchmarks import texts
from benchmarks.figure import Effort, Pair
from benchmarks.station import Station
from nflow.engine.lines import Lines


async def flood(effort: Effort) -> AsyncIterator[Pair]:
    """Megabytes per second, as the task itself sees it: most of them are left out, and none may hold it up."""
    megabytes = effort.size(512)
    async with Station() as station:
        out = station.folder / "seconds"
        workflow = station.workflow("flood", texts.FLOOD)
        for _ in range(effort.times(5)):
            await station.run(workflow, {"out": str(out), "megabytes": megabytes})
            yield megabytes / float(out.read_text()), None


async def latency(effort: Effort) -> AsyncIterator[Pair]:
    """Milliseconds from the print in a task to the program that follows, by the clock of the one host."""
    count = effort.size(500)
    async with Station() as station:
        workflow = station.workflow("clock", texts.CLOCK)
        for _ in range(effort.times(5)):
            run = await station.client.submit(workflow, {"lines": count})
            late: list[float] = []
            async with Lines(station.client.engine, run) as lines:
                async for passage in lines:
                    now = time.time()
                    late += [1000 * (now - float(line.text)) for line in passage.lines]
                    if len(late) >= count:
                        break
            yield median(late), None
