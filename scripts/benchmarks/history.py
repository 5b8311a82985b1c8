"""How fast the history catches up with a log, and how long listings of a large one take."""

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.figure import Effort, Pair
from nflow.bus.paging import all_records
from nflow.bus.port import Bus, Record
from nflow.config import load
from nflow.core.events import (
    DagFinished,
    DagStarted,
    Event,
    OwnerChanged,
    Provenance,
    RemoteError,
    RunFinished,
    RunStarted,
    Status,
    TaskCancelled,
    TaskFailed,
    TaskStarted,
    TaskSucceeded,
)
from nflow.core.ids import DagId, RunId, TaskId, WorkerId
from nflow.history.catchup import PORTION, CatchUp
from nflow.history.database import Database
from nflow.history.portion import portion_of, write
from nflow.history.questions import Questions
from nflow.runs import new_run_id
from nflow.server import attach
from nflow.session import open_engine
from nflow.view.detail import Retries
from nflow.wire.messages import pack_events
from nflow.wire.subjects import Subjects

#: Tasks of a run; one run in ten fails with its last one.
TASKS: Final = 4

_MAIN = DagId("main:1")
_WORKER = WorkerId("edge-1-4711-c0ffee")
_SUBJECTS = Subjects("nflow")
_WHY = RemoteError(type="ValueError", message="no beam", traceback="Traceback ...\nValueError: no beam\n")
_BEGAN: Final = 1_780_000_000.0


class Told(NamedTuple):
    """An event, and where and when it is stored."""

    subject: str
    at: float
    payload: bytes


def logs(runs: int) -> Iterator[Told]:
    """What so many runs of ten workflows leave in the log, a run each minute."""
    for number in range(runs):
        at = _BEGAN + 60.0 * number
        run = new_run_id(at)
        yield from _log(run, f"scan{number % 10}", at, fails=number % 10 == number // 10 % 10)


def _log(run: RunId, workflow: str, at: float, *, fails: bool) -> Iterator[Told]:
    def own(*events: Event, dag: DagId | None = None) -> Told:
        return Told(_SUBJECTS.own(run, dag), at, pack_events(events))

    owner = OwnerChanged(worker=_WORKER)
    yield Told(_SUBJECTS.owner(run), at, pack_events([owner]))
    yield own(RunStarted(workflow=workflow, spec="0" * 40, engine="0.1.0", queue="workflow", submitted=at))
    yield own(DagStarted(key="autostart/main", dag=_MAIN))
    yield Told(_SUBJECTS.owner(run, _MAIN), at, pack_events([owner]))
    for number in range(TASKS):
        task = TaskId(f"task{number}")
        who = Provenance(worker=_WORKER, host="edge-1", pid=1, start=at, end=at + number + at % 7)
        ended: Event = TaskSucceeded(task=task, attempt=1, execution=1, provenance=who)
        if fails and number == TASKS - 2:
            ended = TaskFailed(task=task, attempt=1, execution=1, error=_WHY, provenance=who)
        elif fails and number == TASKS - 1:
            yield own(TaskCancelled(task=task, reason="task 'task2' failed"), dag=_MAIN)
            continue
        claimed = TaskStarted(task=task, attempt=1, execution=1, worker=_WORKER, host="edge-1")
        for event in (claimed, ended):
            yield Told(_SUBJECTS.task(run, _MAIN, task), at, pack_events([event]))
    status = Status.FAILED if fails else Status.SUCCEEDED
    yield Told(_SUBJECTS.dag_finished(run, _MAIN), at, pack_events([DagFinished(dag=_MAIN, status=status)]))
    yield own(RunFinished(status=status, reason="task 'task2' failed: ValueError: no beam" if fails else ""))


async def no_policies(_: str) -> Retries:
    """Nothing is tried twice."""
    return {}


async def catch_up(effort: Effort) -> AsyncIterator[Pair]:
    """Events in a second; as its floor, those that are read and thrown away."""
    folder = Path(tempfile.mkdtemp(prefix="nflow-bench-"))
    try:
        async with _server_with(folder, effort.size(20_000)) as bus:
            events = _SUBJECTS.all_events()
            count = await bus.newest(events)
            for number in range(effort.times(3)):
                database = Database(folder / f"history-{number}.db")
                began = time.perf_counter()
                await CatchUp(database, bus, no_policies).run()
                caught_up = count / (time.perf_counter() - began)
                database.close()
                began = time.perf_counter()
                async for _ in all_records(bus, events):
                    pass
                yield caught_up, count / (time.perf_counter() - began)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def _server_with(folder: Path, runs: int) -> AsyncIterator[Bus]:
    settings = load({"home": folder / "home"})
    with attach(settings):
        async with open_engine(settings) as engine:
            told = logs(runs)
            while some := list(islice(told, 1000)):
                for each in some:
                    engine.bus.publish(each.subject, each.payload)
                await engine.bus.flush()
            yield engine.bus


def fill(database: Database, runs: int) -> None:
    """Write what so many runs leave, without a server."""
    with database.writing() as connection:
        connection.exec_driver_sql("INSERT INTO positions (namespace, stream, seq) VALUES ('nflow', 's', 0)")
    told = enumerate(logs(runs), 1)
    after = 0
    while some := [Record(each.subject, seq, each.at, each.payload) for seq, each in islice(told, PORTION)]:
        with database.writing() as connection:
            write(connection, portion_of(some), namespace="nflow", stream="s", after=after, retries={})
        after = some[-1].seq


def _listings(asked: Questions, runs: int) -> dict[str, Callable[[], object]]:
    late = _BEGAN + 60.0 * (runs - 1000)
    last = asked.find("@last")[0]
    return {
        "runs": lambda: asked.runs(limit=50),
        "failed": lambda: asked.runs(states=["failed"], limit=50),
        "of a workflow": lambda: asked.runs(workflow="scan3", limit=50),
        "lately": lambda: asked.runs(since=late, limit=50),
        "none": lambda: asked.runs(states=["stopped"], workflow="scan3", since=late, limit=50),
        "show": lambda: asked.run(last),
        "figures": lambda: asked.figures("scan3"),
    }


async def listing(effort: Effort) -> AsyncIterator[Pair]:
    """Seconds that the slowest listing of a history of 100 000 runs takes."""
    folder = Path(tempfile.mkdtemp(prefix="nflow-bench-"))
    runs = effort.size(100_000)
    database = Database(folder / "history.db")
    try:
        await asyncio.to_thread(fill, database, runs)
        listings = _listings(Questions(database, "nflow"), runs)
        for _ in range(effort.times(5)):
            yield max(map(_seconds, listings.values())), None
    finally:
        database.close()
        shutil.rmtree(folder, ignore_errors=True)


def _seconds(ask: Callable[[], object]) -> float:
    began = time.perf_counter()
    ask()
    return time.perf_counter() - began
