"""Playing a workflow in this process: the engine as it is, on a bus in memory, with slots that are threads."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

from nflow.bus.clock import SystemClock
from nflow.bus.memory import MemoryBus, MemoryServer
from nflow.bus.paging import all_records
from nflow.client import Client
from nflow.core.dataset import BLOB, Ref, Tree
from nflow.core.events import (
    DagStarted,
    RunFinished,
    TaskAborted,
    TaskCancelled,
    TaskEvent,
    TaskFailed,
    TaskSkipped,
    TaskSucceeded,
)
from nflow.core.ids import DagId, RunId, TaskId, WorkerId
from nflow.engine.engine import Engine
from nflow.engine.reconcile import Reconciler
from nflow.errors import NflowError, UsageError
from nflow.models.dag import Dag
from nflow.models.parameters import Parameters
from nflow.models.workflow import Workflow, assembled, find, load
from nflow.slot.exchange import grown
from nflow.store.kv import KvStore
from nflow.testing.loop import VirtualTimeLoop
from nflow.testing.played import Played, PlayedTask
from nflow.testing.slot import ThreadSlot
from nflow.testing.stage import Stage
from nflow.wire.messages import unpack_events
from nflow.wire.subjects import event_place, token
from nflow.worker.duties import Duties
from nflow.worker.worker import Worker

Playable: TypeAlias = str | Path | ModuleType | Workflow | Dag | Iterable[Dag]

#: Tasks that may be under way at once; one of them runs at a time.
SLOTS = 8

#: Virtual seconds after which a run that has not ended counts as stuck.
LONGEST = 7 * 24 * 3600.0


class Stuck(NflowError):
    """A run that was played did not end: its tasks wait for each other."""


def play(workflow: Playable, /, **parameters: object) -> Played:
    """Run a workflow in this process, for a test: no server, no port, no other process, nothing printed.

    Pauses between attempts and other waits of nflow's own take no time. Tasks run one at a time, each in a thread,
    with their code sent and their data packed as in a real run; only the code of an imported module is used as it is,
    so that what a test has patched there stays patched.

    Args:
        workflow: The path or name of a workflow file, an imported module, a dag, or several.
        parameters: The parameters of the workflow; with dags alone, anything: tasks find it in their store.

    Raises:
        UsageError: as `nflow run` would refuse it: bad parameters, a cycle, code that cannot be sent.
    """
    loaded = _loaded(workflow)
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return _play(loaded, parameters)
    with ThreadPoolExecutor(1, "nflow-play") as thread:  # the caller is in a loop of its own
        return thread.submit(_play, loaded, parameters).result()


def _loaded(workflow: Playable) -> Workflow:
    match workflow:
        case Workflow():
            return workflow
        case str() | Path():
            return load(find(workflow))
        case ModuleType():
            return assembled(vars(workflow), path=_file_of(workflow))
    dags = [workflow] if isinstance(workflow, Dag) else list(workflow)
    if not all(isinstance(dag, Dag) for dag in dags):
        raise UsageError(f"{workflow!r} cannot be played. Give the path of a workflow file, a module, or dags.")
    found: dict[str, object] = {dag.name: dag for dag in dags}
    return assembled({**found, "": Parameters(extra=True)}, path=Path("play.py").absolute())


def _file_of(module: ModuleType) -> Path:
    return Path(getattr(module, "__file__", None) or f"{module.__name__}.py").absolute()


def _play(workflow: Workflow, parameters: Mapping[str, object]) -> Played:
    stage, slots = Stage(), list[ThreadSlot]()
    with (
        stage.listening(),
        _path_restored(),
        asyncio.Runner(loop_factory=lambda: VirtualTimeLoop(stage.next_on)) as runner,
    ):
        played = runner.run(_perform(workflow, parameters, stage, slots))
    for slot in slots:
        slot.join()
    return played


@contextmanager
def _path_restored() -> Iterator[None]:
    """Slots look for modules beside the file of their workflow."""
    before = sys.path[:]
    try:
        yield
    finally:
        sys.path[:] = before


async def _perform(
    workflow: Workflow, parameters: Mapping[str, object], stage: Stage, slots: list[ThreadSlot]
) -> Played:
    server = MemoryServer(SystemClock(), epoch=time.time(), lease=None)
    async with _engine(server, "client") as engine, _working(server, workflow, stage, slots):
        client = Client(engine)
        run = await client.submit(workflow, parameters, keep_data=True)
        finished = await _ended(client, run)
        return await _played(engine, workflow, run, finished, stage)


async def _ended(client: Client, run: RunId) -> RunFinished:
    try:
        async with asyncio.timeout(LONGEST):
            return await client.wait(run)
    except TimeoutError:
        raise Stuck(
            f"The run did not end within {LONGEST / 86400:g} virtual days: its tasks wait for each other."
        ) from None


@asynccontextmanager
async def _engine(server: MemoryServer, name: str) -> AsyncIterator[Engine]:
    bus = MemoryBus(server)
    engine = Engine(bus, WorkerId(name), KvStore(bus), Reconciler(every=None))
    try:
        yield engine
    finally:
        engine.close()
        await bus.close()


@asynccontextmanager
async def _working(
    server: MemoryServer, workflow: Workflow, stage: Stage, slots: list[ThreadSlot]
) -> AsyncIterator[None]:
    async def start_slot() -> ThreadSlot:
        slots.append(await ThreadSlot.started(stage))
        return slots[-1]

    duties = Duties(queues=tuple(dict.fromkeys(("workflow", *workflow.queues))), slots=SLOTS, listed=False)
    async with _engine(server, "play") as engine:
        worker = Worker(engine, duties, start_slot=start_slot)
        try:
            await worker.start()
            yield
        finally:
            await worker.close()
            await server.close()


# --- what came of it -------------------------------------------------------------------------------------------------


async def _played(engine: Engine, workflow: Workflow, run: RunId, finished: RunFinished, stage: Stage) -> Played:
    names: dict[str, DagId] = {}
    ended: dict[tuple[DagId, TaskId], TaskEvent] = {}
    async for record in all_records(engine.bus, engine.subjects.run_events(run)):
        for event in unpack_events(record.payload):
            match event:
                case DagStarted(dag=dag):
                    names[token(dag)] = dag
                case TaskSucceeded() | TaskFailed() | TaskAborted() | TaskSkipped() | TaskCancelled():
                    place = names[event_place(record.subject).dag], event.task
                    ended.pop(place, None)  # an earlier attempt, which was followed by this one
                    ended[place] = event
    values = _Values(engine)
    return Played(
        workflow=workflow.name,
        status=finished.status.value,
        reason=finished.reason,
        tasks=[
            await _task(values, dag, event, stage.printed_by(engine.subjects.lines(run, dag, event.task)))
            for (dag, _), event in ended.items()
        ],
        store={key: await values.grown(tree) for key, tree in (await engine.store.whole(run)).items()},
    )


async def _task(values: "_Values", dag: DagId, event: TaskEvent, output: str) -> PlayedTask:
    common: dict[str, Any] = {"dag": dag, "name": event.task, "output": output}
    common["attempts"] = getattr(event, "attempt", 0)
    match event:
        case TaskSucceeded(output=dataset, stopped=stopped):
            data = {key: await values.grown(ref) for key, ref in dataset.values.items()}
            return PlayedTask(**common, state="succeeded", data=data, reason=stopped or "")
        case TaskFailed(error=error):
            return PlayedTask(**common, state="failed", error=error, reason=f"{error.type}: {error.message}")
        case TaskAborted(reason=reason):
            return PlayedTask(**common, state="aborted", reason=reason)
        case TaskCancelled(reason=reason):
            return PlayedTask(**common, state="cancelled", reason=reason)
    return PlayedTask(**common, state="skipped")


class _Values:
    """References to values, opened."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._blobs: dict[str, bytes] = {}

    async def grown(self, tree: Tree) -> object:
        """The value that a tree stands for."""
        for ref in _refs(tree):
            if ref.scheme == BLOB:
                self._blobs[str(ref.where)] = await self._engine.blobs.get(ref)
        return grown(tree, self)

    def get_blob(self, ref: Ref, what: str = "") -> bytes:  # noqa: ARG002 - the port's
        """The bytes of a large value, fetched before."""
        return self._blobs[str(ref.where)]


def _refs(tree: Tree) -> Iterator[Ref]:
    match tree:
        case Ref():
            yield tree
        case dict():
            for each in tree.values():
                yield from _refs(each)
        case list():
            for each in tree:
                yield from _refs(each)
