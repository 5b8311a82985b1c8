"""`scripts/bench`: measures each figure several times, in turns with its floor; medians stand beside the budgets."""

import argparse
import asyncio
import json
import os
import platform
import signal
import sys
import time
from functools import partial

from benchmarks import costs, flow, history, lines, monitor, store, values
from benchmarks.figure import HEADER, Effort, Figure, Result, line
from benchmarks.station import BenchError
from nflow.loop import run

_SAME_MESSAGES = "the same messages, minimal client"

FIGURES = (
    Figure(
        name="chain",
        what="a step of a chain of 1 000",
        unit="ms",
        budget=1.0,
        floor=_SAME_MESSAGES,
        measure=flow.chain,
    ),
    Figure(
        name="fan-out",
        what="fan-out and join of 10 000",
        unit="tasks/s",
        budget=5000.0,
        is_rate=True,
        floor=_SAME_MESSAGES,
        measure=flow.fan_out,
    ),
    Figure(
        name="first-line",
        what="submit to first line of user code, warm",
        unit="ms",
        budget=10.0,
        floor=_SAME_MESSAGES,
        measure=flow.first_line,
    ),
    Figure(
        name="many-runs",
        what="1 000 runs at once, all ended",
        unit="s",
        floor=_SAME_MESSAGES,
        measure=flow.many_runs,
    ),
    Figure(
        name="takeover",
        what="killed worker's task starts elsewhere",
        unit="s",
        budget=5.0,
        floor="",
        measure=flow.takeover,
    ),
    Figure(
        name="lines",
        what="a task that prints 512 MB, 100 bytes a line",
        unit="MB/s",
        is_rate=True,
        floor="",
        measure=lines.flood,
    ),
    Figure(
        name="line",
        what="a line from its print to who follows it",
        unit="ms",
        floor="",
        measure=lines.latency,
    ),
    Figure(
        name="cold-run",
        what="cold `nflow run` of two tasks",
        unit="s",
        budget=1.0,
        floor="Python, nats-server, the same messages",
        measure=costs.cold_run,
    ),
    Figure(
        name="import",
        what="import nflow, over a bare start",
        unit="s",
        budget=0.15,
        floor="the bare start of Python",
        measure=costs.import_nflow,
    ),
    Figure(
        name="import-names",
        what="imports of a workflow file, over a bare start",
        unit="s",
        floor="the bare start of Python",
        measure=costs.import_names,
    ),
    Figure(
        name="memory",
        what="idle worker, 2 slots, server (PSS)",
        unit="MB",
        budget=150.0,
        floor="the server and three bare Pythons",
        measure=costs.memory,
    ),
    Figure(
        name="is-stopped",
        what="signal.is_stopped",
        unit="µs",
        budget=5.0,
        floor="a byte of mapped memory",
        measure=costs.is_stopped,
    ),
    Figure(
        name="planning",
        what="planning 100 000 tasks",
        unit="s",
        budget=2.0,
        floor="graphlib's preparation of the graph",
        measure=costs.planning,
    ),
    Figure(
        name="history",
        what="catching the history up",
        unit="events/s",
        budget=20_000.0,
        is_rate=True,
        floor="reading the same events",
        measure=history.catch_up,
    ),
    Figure(
        name="listing",
        what="slowest listing of 100 000 runs",
        unit="s",
        budget=0.3,
        floor="",
        measure=history.listing,
    ),
    Figure(
        name="top-first",
        what="nflow top: first picture, of 10 000 runs",
        unit="s",
        budget=0.5,
        floor="the libraries' imports",
        measure=monitor.first_picture,
    ),
    Figure(
        name="top-events",
        what="nflow top: of a core at 1 000 events/s",
        unit="%",
        budget=5.0,
        floor="at none",
        measure=monitor.passing_events,
    ),
    *(
        Figure(
            name=f"store-{way}-{backend}",
            what=f"store.{way}, {store.BACKENDS[backend]}",
            unit="a second",
            is_rate=True,
            floor="one such message, minimal client",
            measure=partial(store.operations, backend=backend, way=way),
        )
        for backend in store.BACKENDS
        for way in store.WAYS
    ),
    *(
        Figure(
            name=f"{way}-{place}-{values.named(size).replace(' ', '')}",
            what=f"{way} {values.named(size)}, {values.PLACES[place]}",
            unit="MB/s",
            is_rate=True,
            floor="copying a file of that size, to the disk",
            measure=partial(values.throughput, place=place, way=way, size_bytes=size),
        )
        for place in values.PLACES
        for way in values.WAYS
        for size in values.SIZES_BYTES
    ),
)


def main() -> int:
    """Measure what was asked for; 1 if something could not be measured, or with --strict is over its budget."""
    names = [figure.name for figure in FIGURES]
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer repetitions, and a fifth of the tasks and runs")
    parser.add_argument("--only", action="append", choices=names, metavar="NAME", help="only this one; may be repeated")
    parser.add_argument("--list", action="store_true", help="list the names of all figures")
    parser.add_argument("--json", action="store_true", help="print a line of JSON for each figure")
    parser.add_argument("--strict", action="store_true", help="fail when a budget is missed")
    options = parser.parse_args()
    if options.list:
        sys.stdout.write("".join(f"{figure.name:<18} {figure.what}\n" for figure in FIGURES))
        return 0
    figures = [figure for figure in FIGURES if not options.only or figure.name in options.only]
    return run(_measure_all(figures, options))


async def _measure_all(figures: list[Figure], options: argparse.Namespace) -> int:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    if not options.json:
        _say(_machine(options.quick))
        _say(HEADER)
    failed = False
    for figure in figures:
        try:
            pairs = [pair async for pair in figure.measure(Effort(quick=options.quick))]
        except (BenchError, TimeoutError) as error:
            failed = True
            _say(f"{figure.what}: not measured: {str(error) or 'it did not end in time'}")
            continue
        result = Result(figure=figure, pairs=pairs)
        failed |= options.strict and result.holds is False
        _say(json.dumps(result.as_json()) if options.json else line(result))
    return int(failed)


def _machine(quick: bool) -> str:
    load = f"{os.getloadavg()[0]:.1f}"
    small = "; --quick: a fifth of the tasks and runs" if quick else ""
    return (
        f"{time.strftime('%Y-%m-%d %H:%M')}  Python {platform.python_version()}, {os.cpu_count()} cores, load {load}, "
        f"{type(asyncio.get_running_loop()).__module__.partition('.')[0]}{small}\n"
    )


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
