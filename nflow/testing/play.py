"""Playing a workflow in this process: the engine as it is, on a bus in memory, with slots that are threads."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, nullcontext
from contextvars import copy_context
from pathlib import Path
from types import ModuleType
from typing import TypeAlias

from nflow.bus.clock import SystemClock
from nflow.bus.memory import MemoryBus, MemoryServer
from nflow.core.events import RunFinished
from nflow.core.ids import RunId, WorkerId
from nflow.engine.engine import Engine
from nflow.engine.reconcile import Reconciler
from nflow.errors import NflowError, UsageError
from nflow.models.dag import Dag
from nflow.models.parameters import Parameters
from nflow.models.workflow import Workflow, assembled, find, load
from nflow.runs import Runs
from nflow.store.kv import KvStore
from nflow.testing.loop import VirtualTimeLoop
from nflow.testing.modules import modules_restored, neighbours_found, paths_restored
from nflow.testing.played import Played
from nflow.testing.slot import ThreadSlot
from nflow.testing.stage import Stage
from nflow.testing.story import UnderWay, played, under_way
from nflow.testing.turns import turn
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
    with turn():
        if not _is_in_loop():
            return _play(workflow, parameters)
        with ThreadPoolExecutor(1, "nflow-play") as thread:
            return thread.submit(copy_context().run, _play, workflow, parameters).result()


def _is_in_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _loaded(workflow: Playable) -> Workflow:
    match workflow:
        case Workflow():
            return workflow
        case str() | Path():
            return load(Path(workflow))
        case ModuleType():
            return assembled(vars(workflow), path=_file_of(workflow))
    dags = [workflow] if isinstance(workflow, Dag) else list(workflow)
    if not all(isinstance(dag, Dag) for dag in dags):
        raise UsageError(f"{workflow!r} cannot be played. Give the path of a workflow file, a module, or dags.")
    found: dict[str, object] = {dag.name: dag for dag in dags}
    return assembled({**found, "": Parameters(extra=True)}, path=Path("play.py").absolute())


def _file_of(module: ModuleType) -> Path:
    return Path(getattr(module, "__file__", None) or f"{module.__name__}.py").absolute()


def _play(playable: Playable, parameters: Mapping[str, object]) -> Played:
    path = find(playable).absolute() if isinstance(playable, str | Path) else None
    stage, slots = Stage(), list[ThreadSlot]()
    with (
        stage.listening(),
        paths_restored(),
        nullcontext() if path is None else modules_restored(path.parent),
    ):
        workflow = _loaded(path or playable)
        with (
            neighbours_found(workflow),
            asyncio.Runner(loop_factory=lambda: VirtualTimeLoop(stage.next_on)) as runner,
        ):
            outcome = runner.run(_perform(workflow, parameters, stage, slots))
        for slot in slots:
            slot.join()
    return outcome


async def _perform(
    workflow: Workflow, parameters: Mapping[str, object], stage: Stage, slots: list[ThreadSlot]
) -> Played:
    server = MemoryServer(SystemClock(), epoch=time.time(), lease=None)
    async with _engine(server, "client") as engine, _working(server, workflow, stage, slots):
        client = Runs(engine)
        run = await client.submit(workflow, parameters, keep_data=True)
        finished = await _ended(client, run)
        return await played(engine, workflow, run, finished, stage)


async def _ended(client: Runs, run: RunId) -> RunFinished:
    try:
        async with asyncio.timeout(LONGEST):
            return await client.wait(run)
    except TimeoutError:
        raise Stuck(_stuck(await under_way(client.engine, run))) from None


def _stuck(under_way: UnderWay) -> str:
    tasks, dags = (", ".join(f"'{name}'" for name in names) for names in (under_way.tasks, under_way.dags))
    return (
        f"The run did not end within {LONGEST / 86400:g} virtual days: its tasks wait for each other. "
        f"Running are {tasks or 'no tasks'}; dag runs that have not ended: {dags or 'none'}. "
        "Let one of them end by itself, or wait with a timeout."
    )


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

    duties = Duties(
        queues=tuple(dict.fromkeys(("workflow", *workflow.queues))), slots=SLOTS, listed=False, reminds=False
    )
    async with _engine(server, "play") as engine:
        worker = Worker(engine, duties, start_slot=start_slot)
        try:
            await worker.start()
            yield
        finally:
            await worker.close()
            await server.close()
