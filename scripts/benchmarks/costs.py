"""What nflow costs beside the moving of runs: starts, imports, planning, memory, a look at the stop flag."""

import asyncio
import graphlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

from benchmarks import texts
from benchmarks.figure import Effort, Pair
from benchmarks.station import NFLOW, BenchError, Station, environment
from nflow import loop
from nflow.core import dag_run
from nflow.core.ids import DagId
from nflow.models.dag import Dag
from nflow.models.plan import plan_workflow
from nflow.models.task import BaseTask
from nflow.models.workflow import Workflow
from nflow.tasks import PythonTask
from nflow.wire.messages import pack_spec, unpack_spec

_MEGABYTE = 1e6

#: Seconds until a worker that has nothing to do has come to rest.
REST = 3.0

#: What a workflow file imports.
_NAMES = "from nflow.models import Dag, Parameters, Option\nfrom nflow.tasks import PythonTask"


async def cold_run(effort: Effort) -> AsyncIterator[Pair]:
    """Seconds of the whole command `nflow run`, of a workflow with two tasks, where nothing was running."""
    for _ in range(effort.times(7)):
        folder = Path(tempfile.mkdtemp(prefix="nflow-bench-"))
        try:
            (folder / "two_tasks.py").write_text(texts.chain(2))
            home = environment(folder / "home")
            nflow = _seconds([str(NFLOW), "run", "two_tasks"], cwd=folder, env=home)
            floor = _seconds([sys.executable, "-m", "benchmarks.cold", str(folder / "floor")], cwd=Path.cwd(), env=home)
        finally:
            shutil.rmtree(folder)
        yield nflow, floor


async def import_nflow(effort: Effort) -> AsyncIterator[Pair]:
    """Seconds of `import nflow`, over those of a bare Python."""
    for _ in range(effort.times(21)):
        yield _import_seconds("import nflow")


async def import_names(effort: Effort) -> AsyncIterator[Pair]:
    """Seconds of the imports of a workflow file, over those of a bare Python."""
    for _ in range(effort.times(21)):
        yield _import_seconds(_NAMES)


async def is_stopped(effort: Effort) -> AsyncIterator[Pair]:
    """Microseconds of a look at `signal.is_stopped`, in a task, in its slot."""
    async with Station() as station:
        out = station.folder / "seconds"
        times = effort.size(200_000)
        await station.run(station.workflow("is_stopped", texts.IS_STOPPED), {"out": str(out), "times": times})
        for line in out.read_text().splitlines():
            nflow, floor = map(float, line.split())
            yield 1e6 * nflow, 1e6 * floor


async def planning(effort: Effort) -> AsyncIterator[Pair]:
    """Seconds from tasks and links to a dag run that knows what to dispatch first: define, plan, ship, fold."""
    loop.calm_garbage_collection()  # as every process of nflow does
    for _ in range(effort.times(3)):
        links = _layers(tasks=100_000, width=1000)
        start = time.perf_counter()
        _plan(links)
        middle = time.perf_counter()
        graphlib.TopologicalSorter(links).prepare()
        yield middle - start, time.perf_counter() - middle


async def memory(effort: Effort) -> AsyncIterator[Pair]:
    """Megabytes (proportional set size) of an idle worker, its two slots and its server."""
    for _ in range(effort.times(3)):
        async with Station() as station:
            await station.run(station.workflow("fan_out", texts.fan_out(20)))
            await asyncio.sleep(REST)
            nflow = sum(_memory(pid) for pid in _tree(station.workers[0].pid))
            yield nflow / _MEGABYTE, await _bare_memory(station) / _MEGABYTE


def _layers(*, tasks: int, width: int) -> dict[BaseTask, list[BaseTask]]:
    """Layers of tasks, each of which waits for two of the layer before."""

    def nothing(data: object, store: object, signal: object, context: object) -> None:
        pass

    made: list[BaseTask] = [PythonTask(name=f"task_{number}", callback=nothing) for number in range(tasks)]
    links: dict[BaseTask, list[BaseTask]] = {task: [] for task in made}
    for number, task in enumerate(made[width:], start=width):
        links[made[number - width]].append(task)
        links[made[number - width + (1 if (number + 1) % width else 1 - width)]].append(task)
    return links


def _plan(links: dict[BaseTask, list[BaseTask]]) -> None:
    dag = Dag("main_dag")
    dag.define(links)
    workflow = Workflow(name="wide", path=Path("wide.py"), doc="", dags={"main_dag": dag}, parameters=[])  # type: ignore[arg-type]
    spec = unpack_spec(pack_spec(plan_workflow(workflow, lambda _: "code", python="py", engine="0")))
    run = dag_run.DagRun(DagId("main_dag:1"), next(iter(spec.dags.values())), None)
    if not dag_run.begin(run):
        raise BenchError("nothing to dispatch")


def _import_seconds(statements: str) -> Pair:
    bare = _seconds([sys.executable, "-c", "pass"])
    return _seconds([sys.executable, "-c", statements]) - bare, bare


def _seconds(command: list[str], *, cwd: Path | None = None, env: dict[str, str] | None = None) -> float:
    start = time.perf_counter()
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    if done.returncode:
        raise BenchError(f"{' '.join(command)} ended with exit code {done.returncode}: {done.stderr.strip()}")
    return seconds


async def _bare_memory(station: Station) -> int:
    """The same server, and as many Pythons that do nothing."""
    server = [pid for pid in _tree(station.workers[0].pid) if "nats-server" in _command(pid)]
    bare = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", "input()", stdin=subprocess.PIPE) for _ in range(3)
    ]
    await asyncio.sleep(REST / 3)
    try:
        return sum(_memory(pid) for pid in [*server, *(process.pid for process in bare)])
    finally:
        for process in bare:
            await process.communicate(b"\n")


def _tree(pid: int) -> list[int]:
    """A process and all that it has started, as far as they are still its own."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(entry.name))
    found = [pid]
    for each in found:
        found += children.get(each, [])
    return found


def _memory(pid: int) -> int:
    """Bytes; what several processes share is shared among them here too."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise BenchError(f"the kernel does not tell the memory of process {pid}, {os.uname().sysname}")


def _command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
