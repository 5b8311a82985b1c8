"""The processes of the simulation: workers as they are, but for their slots, and clients.

A node that is killed is not closed: Python would run every `finally` on the way. It is cut off for good instead, and
all that it still does waits for an answer that never comes.
"""

import asyncio
import math
import signal
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nflow.core.dataset import Dataset, TaskInput
from nflow.core.events import Provenance, RemoteError, TaskAborted, TaskEvent, TaskFailed, TaskSucceeded
from nflow.core.ids import DagId, RunId, WorkerId
from nflow.core.jobs import TaskJob, WorkflowJob
from nflow.engine.engine import Engine
from nflow.engine.runs import RunEntry
from nflow.engine.upkeep.forgotten import Reminder
from nflow.errors import RunNotFound, UsageError
from nflow.runs import Runs
from nflow.store.kv import KvStore
from nflow.wire.messages import pack_events, pack_input, pack_job, pack_spec, unpack_job
from nflow.wire.tree import pack_tree
from nflow.wire.values import inline
from nflow.worker.death import Death
from nflow.worker.duties import Duties
from nflow.worker.slot import Call, Outcome, SlotDied
from nflow.worker.worker import Worker
from tests.simulation.plan import Do, End, RetryPlan, RunPlan, Step, StopPlan, TaskPlan
from tests.simulation.port import EPOCH, Port

#: Seconds between two looks for jobs that the server has forgotten.
REMINDED = 5.0

if TYPE_CHECKING:
    from tests.simulation.world import World


class Node:
    """A worker process."""

    def __init__(self, world: "World", port: Port, name: str, slots: int) -> None:
        self.world = world
        self.port = port
        self.name = name
        self.slots: list[Slot] = []
        self.has_left = False
        self.engine = Engine(port, WorkerId(name), KvStore(port))
        duties = Duties(slots=slots, listed=False, reminds=False)
        self.worker = Worker(self.engine, duties, start_slot=self._start_slot)
        self._reminder = Reminder(self.engine, every=REMINDED)

    async def start(self) -> None:
        """Begin as a worker does."""
        await self.worker.start()
        self._reminder.start()

    @property
    def is_alive(self) -> bool:
        return not self.port.is_dead

    @property
    def is_at_work(self) -> bool:
        return self.is_alive and not self.has_left

    async def leave(self, *, at_once: bool) -> None:
        """End as a worker does that is asked to."""
        self.has_left = True
        await (self.worker.leave() if at_once else self.worker.drain())
        self._reminder.close()
        await self.worker.close()
        self.engine.close()
        self.world.tell(f"{self.name} has ended")
        self.port.kill()

    async def _start_slot(self) -> "Slot":
        self.slots.append(Slot(self))
        return self.slots[-1]


class Slot:
    """A slot to the worker: the code of its tasks is a plan."""

    def __init__(self, node: Node) -> None:
        self.alive = True
        self.tasks_done = 0
        self.known_code: set[str] = set()
        self.pid = 1
        self.memory_bytes = 0
        self.last_lines: tuple[str, ...] = ()
        self._node = node
        self._code: set[str] = set()
        self._stop = asyncio.Event()
        self._plan: TaskPlan | None = None
        self._death: asyncio.Future[Outcome] | None = None

    @property
    def ended(self) -> bool:
        return not self.alive

    async def run(self, request: Sequence[Any], *, subject: str, attempt: int, call: Call) -> Outcome:
        if not self.alive:
            raise SlotDied(Death(exit_code=-signal.SIGKILL))
        payload, _, code, execution, *_ = request
        job = unpack_job(payload)
        assert isinstance(job, TaskJob)
        if code is not None:
            self._code.add(job.code)
        assert job.code in self._code, "the slot was never given this code"
        self._plan = self._node.world.task_plan(job)
        self._death = asyncio.get_running_loop().create_future()
        play = asyncio.ensure_future(_Play(self._node, self._plan, job, execution, call, self._stop).outcome())
        play.add_done_callback(self._over)
        try:
            return await self._death
        finally:
            play.cancel()
            self._death = None
            self._stop.clear()  # here and not before: a stop may come before the task runs
            self.tasks_done += 1

    def _over(self, play: "asyncio.Task[Outcome]") -> None:
        if self._death is not None and not self._death.done() and not play.cancelled():
            self._death.set_result(play.result())

    def flag_stop(self) -> None:
        self._stop.set()

    def signal_group(self, signum: signal.Signals) -> None:
        if signum == signal.SIGTERM and self._plan is not None and self._plan.dies_hard:
            return
        self.alive = False
        if self._death is not None and not self._death.done():
            self._death.set_exception(SlotDied(Death(exit_code=-signum)))

    def kill(self) -> None:
        self.signal_group(signal.SIGKILL)

    async def end(self) -> None:
        pass


class _Play:
    """The code of a task, while it runs."""

    def __init__(
        self, node: Node, plan: TaskPlan, job: TaskJob, execution: int, call: Call, stop: asyncio.Event
    ) -> None:
        self._node = node
        self._plan = plan
        self._job = job
        self._execution = execution
        self._call = call
        self._stop = stop
        self._ordinal = 0
        self._started: list[str] = []
        self._began = 0.0

    async def outcome(self) -> Outcome:
        checks = self._node.world.checks
        self._began = self._now()
        ticket = checks.code_began(self._node.name, self._job, self._execution, self._began)
        try:
            for step in self._plan.steps:
                await self._do(step)
                await self._live()
            if self._is_failing and self._plan.timeout is not None:
                await asyncio.sleep(math.inf)  # until its time is over
            event = self._end()
        except Exception as error:  # noqa: BLE001 - as in a real slot
            event = self._failed(type(error).__name__, str(error))
        finally:
            checks.code_ended(ticket, self._now())
        return Outcome(pack_events([event]), isinstance(event, TaskFailed))

    async def _live(self) -> None:
        """Go on only if this process still exists."""
        if not self._node.is_alive:
            await asyncio.get_running_loop().create_future()

    async def _do(self, step: Step) -> None:
        match step.do:
            case Do.WORK:
                await self._work(step.seconds)
            case Do.PUSH:
                element = inline(f"{self._writer}#{self._next()}")
                await self._stored(Do.PUSH, "store_extend", "list", pack_tree([element]))
            case Do.ADD:
                self._next()
                await self._stored(Do.ADD, "store_increment", "sum", 1)
            case Do.START:
                key = f"{self._writer}/{self._next()}"
                if self._job.renewed:  # as in a real slot: what it started before is over
                    key += f"@{self._job.renewed}"
                data = pack_input(TaskInput(datasets=(Dataset(values={"key": inline(key)}),), aliases={}))
                name = await self._call("start_dag", (step.dag, key, data))
                if name is not None:
                    self._started.append(name)
            case Do.JOIN if self._started:
                await self._call("join_dags", (self._started, None))
            case Do.STOP_DAG:
                await self._call("stop_dag", (self._job.dag,))
            case Do.STOP_WORKFLOW:
                await self._call("stop_workflow", ())
            case _:
                pass

    async def _work(self, seconds: float) -> None:
        if self._plan.is_polite:
            try:
                async with asyncio.timeout(seconds):
                    await self._stop.wait()
            except TimeoutError:
                pass
        else:
            await asyncio.sleep(seconds)  # virtual seconds of work

    def _next(self) -> int:
        self._ordinal += 1
        return self._ordinal

    async def _stored(self, kind: Do, call: str, key: str, value: object) -> None:
        await self._call(call, ("data", key, value, (self._writer, self._ordinal)))
        await self._live()
        self._node.world.checks.stored_once(kind, self._job.run, f"{self._writer}#{self._ordinal}")

    @property
    def _is_failing(self) -> bool:
        return self._job.attempt <= self._plan.fails

    def _end(self) -> TaskEvent:
        plan, job = self._plan, self._job
        if self._is_failing:
            return self._failed("ValueError", "as planned")
        if plan.end is End.ABORT:
            return TaskAborted(reason="as planned", **self._fields())
        limit, stopped = ((), "as planned") if plan.end is End.STOP_TASK and plan.limit is None else (plan.limit, None)
        # Whose output it is can be told from it, so that nobody gets another one's.
        own = inline(f"{self._writer}/{job.attempt}/{self._execution}")
        return TaskSucceeded(
            output=Dataset(values={job.name: own}, history=(job.name,)), limit=limit, stopped=stopped, **self._fields()
        )

    def _failed(self, kind: str, message: str) -> TaskFailed:
        return TaskFailed(error=RemoteError(type=kind, message=message, mro=(kind,)), **self._fields())

    def _fields(self) -> dict[str, Any]:
        provenance = Provenance(
            worker=WorkerId(self._node.name), host="h", pid=1, start=EPOCH + self._began, end=EPOCH + self._now()
        )
        fields = {"task": self._job.task, "attempt": self._job.attempt, "execution": self._execution}
        return {**fields, "provenance": provenance}

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    @property
    def _writer(self) -> str:
        return f"{self._job.dag}/{self._job.task}"


class Person:
    """A client process."""

    def __init__(self, world: "World", port: Port) -> None:
        self.world = world
        self.port = port
        self.engine = Engine(port, WorkerId(port.name), KvStore(port))
        self.client = Runs(self.engine)

    async def submit(self, plan: RunPlan) -> None:
        """Start a run as `Runs.send` does, by the simulation's clock, and wait for its end."""
        engine, run = self.engine, RunId(plan.id)
        now = EPOCH + asyncio.get_running_loop().time()
        code = await engine.blobs.put_code(b"code")
        job = WorkflowJob(
            run=run,
            workflow="simulated",
            spec=await engine.blobs.put_code(pack_spec(plan.spec(code))),
            queue="workflow",
            submitted=now,
            parameters={"given": inline(plan.id)},
            keep_data=True,
        )
        await engine.bus.enqueue(engine.subjects.job_workflow("workflow", run), pack_job(job))
        self.world.checks.promised(run)
        entry = RunEntry(run=run, workflow=job.workflow, state="waiting", queue=job.queue, submitted=now)
        await engine.index.announce(entry)
        finished = await self.client.wait(run)
        self.world.checks.heard(run, finished)

    async def stop(self, plan: StopPlan) -> None:
        """Ask for the end of a run or dag run."""
        await self.client.stop(RunId(plan.run), dag=plan.dag and DagId(plan.dag), grace=plan.grace, by=self.port.name)
        self.world.checks.accepted_stop(plan, self.port.name)

    async def retry(self, plan: RetryPlan) -> None:
        """Let a run go on, and wait for its end."""
        run, checks = RunId(plan.run), self.world.checks
        try:
            number = await self.client.retry(run, tasks=plan.tasks, by=self.port.name)
        except (UsageError, RunNotFound) as refused:
            self.world.tell(f"{self.port.name} is refused: {refused}")
            checks.refused_retry(run, self.port.name)
            return
        checks.accepted_retry(run, number, self.port.name)
        if plan.stops is not None:
            await asyncio.sleep(plan.stops)  # the person waits
            await self.stop(StopPlan(run=run, at=0.0, grace=0.0))
        finished = await self.client.wait(run, opening=number)
        checks.heard(run, finished, opening=number)
