"""What `nflow top` costs: until its first picture, and while a thousand events a second pass by."""

import asyncio
import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import contextmanager
from threading import Thread

from benchmarks.figure import Effort, Pair
from benchmarks.station import NFLOW, BenchError, Station, environment
from nflow.core.events import DagStarted, Event, Provenance, RunStarted, TaskStarted, TaskSucceeded
from nflow.core.ids import DagId, RunId, TaskId, WorkerId
from nflow.engine.runs import RunEntry
from nflow.runs import Runs, new_run_id
from nflow.wire.messages import pack_events

#: Runs in the index, and those of them that move.
RUNS, MOVING = 10_000, 50

#: Events that are written in a second, and for how many seconds.
RATE, SECONDS = 1000, 10.0

#: Seconds until a monitor must show something, and after which it has read all that there is.
SHOWN_WITHIN, REST = 30.0, 4.0

_MAIN, _WORKER = DagId("main:1"), WorkerId("bench")

#: What a monitor cannot do without: Python, the libraries that draw and connect, and a connection's worth of settings.
_BARE = "import pydantic_settings, typer, nats, msgpack, textual.app, textual.widgets"


async def first_picture(effort: Effort) -> AsyncIterator[Pair]:
    """Seconds from the start of `nflow top` until the newest of 10 000 runs is on the screen."""
    async with Station() as station:
        runs = await _many_runs(station.client)
        for _ in range(effort.times(9)):
            began = time.perf_counter()
            with _monitor(station) as (_, terminal):
                await asyncio.to_thread(_read_until, terminal, runs[-1].encode())
                nflow = time.perf_counter() - began
            began = time.perf_counter()
            await asyncio.to_thread(subprocess.run, [sys.executable, "-c", _BARE], check=True)
            yield nflow, time.perf_counter() - began


async def passing_events(effort: Effort) -> AsyncIterator[Pair]:
    """Per cent of a core that `nflow top` takes at 1 000 events a second; the floor is what it takes at none."""
    async with Station() as station:
        runs = (await _many_runs(station.client))[-MOVING:]
        with _monitor(station) as (process, terminal):
            Thread(target=_drain, args=(terminal,), daemon=True).start()
            await asyncio.sleep(REST)  # a clock: what it reads in the background is no part of this
            for number in range(effort.times(3)):
                idle = await _share(process, asyncio.sleep(SECONDS))
                yield await _share(process, _events(station.client, runs, f"r{number}")), idle


async def _many_runs(client: Runs) -> list[RunId]:
    """Runs of all ages; the newest move."""
    now = await client.engine.bus.server_time()
    times = [now - RUNS + number for number in range(RUNS)]
    runs = [new_run_id(at) for at in times]
    for start in range(0, RUNS, 500):
        some = slice(start, start + 500)
        entries = map(_entry, runs[some], times[some])
        await asyncio.gather(*map(client.engine.index.put, entries))
    begun = [RunStarted(workflow="bench", spec="", engine="1"), DagStarted(key="k", dag=_MAIN)]
    for run, at in zip(runs[-MOVING:], times[-MOVING:], strict=True):
        await client.engine.index.put(_entry(run, at, state="running"))
        await client.engine.bus.append(client.engine.subjects.own(run), pack_events(begun))
    return runs


def _entry(run: RunId, at: float, state: str = "succeeded") -> RunEntry:
    ended = None if state == "running" else at + 1
    return RunEntry(run=run, workflow="bench", state=state, queue="workflow", submitted=at, started=at, ended=ended)


async def _events(client: Runs, runs: list[RunId], prefix: str) -> None:
    """Tasks begin and end, evenly."""
    bus, subjects = client.engine.bus, client.engine.subjects
    began = time.monotonic()
    for number in range(int(RATE * SECONDS)):
        if number % 20 == 0:
            await asyncio.sleep(max(began + number / RATE - time.monotonic(), 0.0))  # a clock: it sets the pace
        task = TaskId(f"{prefix}-{number // (2 * MOVING)}")
        payload = pack_events([_event(task, has_ended=number // MOVING % 2 == 1)])
        bus.publish(subjects.task(runs[number % MOVING], _MAIN, task), payload)
    await bus.flush()


def _event(task: TaskId, *, has_ended: bool) -> Event:
    if not has_ended:
        return TaskStarted(task=task, attempt=1, execution=1, worker=_WORKER, host="bench")
    who = Provenance(worker=_WORKER, host="bench", pid=1, start=0.0, end=1.0)
    return TaskSucceeded(task=task, attempt=1, execution=1, provenance=who)


async def _share(process: "subprocess.Popen[bytes]", work: Awaitable[None]) -> float:
    """Per cent of a core that a process takes meanwhile."""
    began, used = time.monotonic(), _cpu_seconds(process.pid)
    await work
    return (_cpu_seconds(process.pid) - used) / (time.monotonic() - began) * 100


def _cpu_seconds(pid: int) -> float:
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:  # noqa: PTH123 - one line, read twice
        return sum(map(int, file.read().rpartition(")")[2].split()[11:13])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def _monitor(station: Station) -> "Iterator[tuple[subprocess.Popen[bytes], int]]":
    """`nflow top` on a terminal of 80 by 24."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    home = environment(station.folder / "home") | {"TERM": "xterm-256color"}
    process = subprocess.Popen([str(NFLOW), "top"], stdin=theirs, stdout=theirs, stderr=theirs, env=home)
    os.close(theirs)
    try:
        yield process, ours
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def _read_until(terminal: int, text: bytes) -> None:
    said, until = b"", time.monotonic() + SHOWN_WITHIN
    while text not in said:
        said += os.read(terminal, 1 << 16)
        if time.monotonic() > until:
            raise BenchError("nflow top shows no runs")


def _drain(terminal: int) -> None:
    try:
        while os.read(terminal, 1 << 16):
            pass
    except OSError:  # it has ended
        return
