"""One simulation: a server, workers and clients in one process and in virtual time, carried through a plan."""

import asyncio
import gc
import logging
import math
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any

from nflow.core.ids import RunId
from nflow.core.jobs import TaskJob
from nflow.core.workflow_state import name_of as dag_name_of
from nflow.engine.upkeep.sweep import DAY, Retention, Sweep
from nflow.testing.loop import VirtualTimeLoop
from nflow.wire.values import decode
from tests.simulation.guarantees import Broken, Checks
from tests.simulation.nodes import Node, Person
from tests.simulation.plan import (
    AT_CALLS,
    LATE_HORIZON,
    Fault,
    Kind,
    Plan,
    RetryPlan,
    RunPlan,
    StopPlan,
    TaskPlan,
    client_of,
)
from tests.simulation.port import EPOCH, Port, Twin

MakePort = Callable[[Twin, str, int, int, Any], Port]

#: Seconds after the last fault in which nothing happens, and some run has not ended: it hangs.
PATIENCE = 30.0

#: So often in a row things may happen, and some run has not ended.
MOST_ROUNDS = 20

#: Seconds after the last end in which everything must be gone: longer than a lease, a rest and a second try.
AFTERMATH = 12.0

#: Seconds after which a simulated sweep removes the data of a run that has ended.
SWEPT_AFTER = 1.0

#: Coroutines that belong to a run, and must end with it.
_OF_RUNS = (
    "Driver.",
    "WorkflowDriver.",
    "DagDriver.",
    "OwnLog.",
    "Executing._run",
    "Execution.",
    "TaskCalls.",
    "_Play.",
)

#: Seconds after its death in which a worker is replaced.
REPLACED = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a simulation."""

    broken: Broken | None
    digest: str
    runs: int
    records: int
    seconds: float  #: virtual ones
    happened: Counter[str]
    story: list[str]


class World:
    """Carries out one plan."""

    def __init__(self, plan: Plan, make_port: MakePort, *, tells_story: bool) -> None:
        self.plan = plan
        self.happened: Counter[str] = Counter()
        self._loop = asyncio.get_running_loop()
        self._make_port = make_port
        self._news = asyncio.Event()
        self.checks = Checks(plan, self._loop.time, self._news.set, self._on_end)
        if tells_story:
            self.checks.story = []
        self._twin = Twin(self.checks.on_record)
        self._nodes: dict[str, Node] = {}
        self._persons: list[Person] = []
        self._works: list[asyncio.Task[Any]] = []
        self._ports: dict[str, Port] = {}
        self._pending = 0  # retries of runs that have ended, whose time has yet to come
        self._healed = False
        self._tasks = {(run.id, dag.name, task.id): task for run in plan.runs for dag in run.dags for task in dag.tasks}
        self._loop.set_exception_handler(self._on_error)

    def tell(self, what: str) -> None:
        """A line of the story that is no record."""
        self.checks.note(f"-- {what}")

    def task_plan(self, job: TaskJob) -> TaskPlan:
        return self._tasks[job.run, dag_name_of(job.dag), job.task]

    async def run(self) -> Outcome:
        with _Listening(self.checks):
            try:
                await self._live()
            except Broken as broken:
                self.checks.broken = self.checks.broken or broken
            self._end()
        return Outcome(
            broken=self.checks.broken,
            digest=self.checks.digest.hexdigest(),
            runs=len(self.checks.runs),
            records=self.checks.records,
            seconds=self._loop.time(),
            happened=self.happened,
            story=self.checks.story or [],
        )

    async def _live(self) -> None:
        self._schedule()
        await self._until(lambda: self._healed, math.inf)
        while self.checks.broken is None:
            await self._everything_ended()
            await self._until(lambda: False, AFTERMATH)  # virtual time, in which what is left should go
            if self._is_over():  # else a job has arrived late, of a client that was killed
                break
        if self.checks.broken is None:
            self.checks.at_the_end()
        if self.checks.broken is None:
            await self._nothing_is_left()

    async def _everything_ended(self) -> None:
        """Return when each run has ended; as long as things happen, none of them hangs."""
        for _ in range(MOST_ROUNDS):
            if self.checks.broken is not None or self._is_over():
                return
            before = self.checks.records
            await self._until(self._is_over, PATIENCE)
            if self.checks.records == before and not self._is_over():
                break
        self.checks.breaks("every run ends", self._what_hangs())

    def _is_over(self) -> bool:
        return self._all_submitted and self.checks.all_ended

    @property
    def _all_submitted(self) -> bool:
        return not self._pending and all(work.done() for work in self._works)

    async def _until(self, is_so: Callable[[], bool], seconds: float) -> None:
        """Let so much time pass, or less if it is so, or a guarantee breaks."""
        try:
            async with asyncio.timeout(None if seconds == math.inf else seconds):
                while not is_so() and self.checks.broken is None:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return

    def _what_hangs(self) -> str:
        open_runs = [run for run, log in self.checks.runs.items() if log.finished is None]
        owed = [run for run in self.checks.owed if self.checks.runs[run].finished is None]
        waiting = [work.get_name() for work in self._works if not work.done()]
        return f"open {open_runs}, owed {owed}, waiting {waiting}, jobs {self._twin.jobs_left()}"

    # --- the plan ---

    def _schedule(self) -> None:
        for worker in self.plan.workers:
            self._at(worker.at, self._begin_worker, worker.name, worker.slots)
        for run in self.plan.runs:
            self._at(run.at, self._submit, run)
        for stop in self.plan.stops:
            self._at(stop.at, self._stop, stop)
        for fault in self.plan.faults:
            if fault.kind not in AT_CALLS:
                self._at(fault.at, self._happen, fault)
        begun = [worker.at for worker in self.plan.workers]
        asked = [each.at for each in (*self.plan.runs, *self.plan.stops)]
        ends = [fault.at + fault.seconds for fault in self.plan.faults]
        late = LATE_HORIZON if self.plan.retries else 0.0
        self._at(max([*begun, *asked, *ends, late]) + 0.5, self._heal)

    def _at(self, seconds: float, action: Callable[..., None], *arguments: object) -> None:
        self._loop.call_at(seconds, action, *arguments)

    def _port(self, name: str) -> Port:
        port = self._make_port(self._twin, name, len(self._ports) + 1, self.plan.seed, self.plan.noise)
        port.on_silence = self.checks.was_not_heard
        self._ports[name] = port
        if self._healed:
            port.heal()
        return port

    def _begin_worker(self, name: str, slots: int) -> None:
        port = self._port(name)
        node = self._nodes[name] = Node(self, port, name, slots)
        due = [fault for fault in self.plan.faults if fault.kind in AT_CALLS and fault.worker == name]
        if due:
            port.on_call = lambda call: [self._happen(fault) for fault in due if fault.call == call]
        self.tell(f"{name} begins")
        self._loop.create_task(node.start())

    def _submit(self, run: RunPlan) -> None:
        person = self._person(client_of(run))
        self._work_of(person, person.submit(run), f"submit {run.id}", dies_after=run.dies_after)

    def _stop(self, stop: StopPlan) -> None:
        self.happened["stop"] += 1
        self.tell(f"somebody stops {stop.run} {stop.dag or ''}, grace {stop.grace}")
        person = self._person(f"client-stop-{len(self._persons)}")
        self._work_of(person, person.stop(stop), f"stop {stop.run}")

    def _on_end(self, run: str, end: int) -> None:
        """A run has ended, for that time."""
        for retry in self.plan.retries:
            if (retry.run, retry.end) == (run, end):
                self._pending += 1
                self._loop.call_later(retry.after, self._retry, retry)

    def _retry(self, retry: RetryPlan) -> None:
        self._pending -= 1
        self.happened["retry"] += 1
        person = self._person(f"client-retry-{len(self._persons)}")
        self.tell(f"{person.port.name} retries {retry.run} {' '.join(retry.tasks)}")
        self._work_of(person, person.retry(retry), f"retry {retry.run}", dies_after=retry.dies_after)

    def _person(self, name: str) -> Person:
        self._persons.append(Person(self, self._port(name)))
        return self._persons[-1]

    def _work_of(
        self, person: Person, doing: Coroutine[Any, Any, None], name: str, *, dies_after: int | None = None
    ) -> None:
        """Let a person do something, who may vanish meanwhile."""
        work = self._loop.create_task(doing, name=name)
        self._works.append(work)
        work.add_done_callback(lambda _: self._news.set())
        if dies_after is None:
            return

        def on_call(call: int) -> None:
            if call == dies_after and not person.port.is_dead:
                self.happened["client killed"] += 1
                self.tell(f"{person.port.name} is killed")
                person.port.kill()
                self._works.remove(work)
                self._news.set()

        person.port.on_call = on_call

    # --- faults ---

    def _happen(self, fault: Fault) -> None:
        port = self._ports.get(fault.worker)
        is_of_server = fault.kind in (Kind.OUTAGE, Kind.FORGET)
        if self._healed or (not is_of_server and (port is None or port.is_dead)):
            return
        self.happened[fault.kind.value] += 1
        self.tell(f"{fault.kind.value} {fault.worker} {fault.seconds:.2f}")
        if is_of_server:
            self._outage(fault.seconds)
        if fault.kind is Kind.FORGET:
            self._twin.forget(fault.call)
        if fault.worker in self._nodes:
            self._happen_to_worker(self._nodes[fault.worker], fault)
        elif port is not None:
            self._happen_to_process(port, fault)

    def _happen_to_worker(self, node: Node, fault: Fault) -> None:
        match fault.kind:
            case Kind.KILL | Kind.KILL_AT_CALL:
                self._kill(node)
            case Kind.REDELIVER:
                self._twin.redeliver(node.name)
            case Kind.LEAVE | Kind.DRAIN if not node.has_left:
                self._loop.create_task(node.leave(at_once=fault.kind is Kind.LEAVE))
                self._replace(node)
            case Kind.SWEEP:
                self._loop.create_task(self._sweep(node))
            case _:
                self._happen_to_process(node.port, fault)

    def _happen_to_process(self, port: Port, fault: Fault) -> None:
        match fault.kind:
            case Kind.PAUSE:
                self._for_a_while(port, fault, port.pause, port.resume)
            case Kind.CUT | Kind.CUT_AT_CALL:
                self._for_a_while(port, fault, port.cut, port.mend)
            case Kind.DEAF:
                self._for_a_while(port, fault, partial(port.hear_pushes, False), partial(port.hear_pushes, True))
            case _:
                pass

    async def _sweep(self, node: Node) -> None:
        """Remove the data of what has ended; logs stay, for the checks at the end."""
        retention = Retention(failed=SWEPT_AFTER, history=DAY)
        await Sweep(node.engine, retention, EPOCH + self._loop.time()).run()

    def _kill(self, node: Node) -> None:
        node.port.kill()
        self.checks.worker_died(node.name, self._loop.time())
        if not node.has_left:
            self._replace(node)

    def _replace(self, node: Node) -> None:
        """Another one comes in its place."""
        name, slots = f"{node.name}+", node.worker._pool.size
        if len(name) < 8:
            self._loop.call_later(REPLACED, self._begin_worker, name, slots)

    def _outage(self, seconds: float) -> None:
        if not self._twin.is_down:
            self._twin.stop()
            self._loop.call_later(seconds, self._back)

    def _back(self) -> None:
        if self._twin.is_down:
            self.tell("the server is back")
            self._twin.start()

    def _for_a_while(self, port: Port, fault: Fault, begin: Callable[[], None], end: Callable[[], None]) -> None:
        since = self._loop.time()
        begin()

        def over() -> None:
            if not port.is_dead:
                self.tell(f"{port.name}: end of {fault.kind.value}")
                end()

        if fault.kind is not Kind.DEAF:  # it counts as away from the beginning: its leases may run out while it is
            self.checks.away[port.name].append((since, since + fault.seconds))
        self._loop.call_later(fault.seconds, over)

    def _heal(self) -> None:
        """No faults any more, and enough workers."""
        self._back()
        self.tell("all is well from here on")
        self._healed = True
        self.checks.healed_at = self._loop.time()
        self._news.set()
        for port in self._ports.values():
            port.heal()
        if not any(node.is_at_work for node in self._nodes.values()):
            self._begin_worker("last", 2)

    # --- the end ---

    async def _nothing_is_left(self) -> None:
        if jobs := self._twin.jobs_left():
            self.checks.breaks("nothing is left", f"jobs {jobs}")
        for node in self._nodes.values():
            if not node.is_at_work:
                continue
            left = {
                "tasks": node.worker.tasks,
                "drives": node.worker.drives,
                "held": len(node.engine.holdings),
                "leased": len(node.port.in_hand()),
                "slots": node.worker._pool.size - node.worker._pool._free,
                "lent": node.worker._pool.lent,
            }
            if any(left.values()):
                self.checks.breaks("nothing is left", f"{node.name} has {left}")
        if not any(port.is_dead for name, port in self._ports.items() if name in self._nodes) and (left := _at_work()):
            self.checks.breaks("nothing is left", f"these go on: {left}")
        await self._what_is_kept()

    async def _what_is_kept(self) -> None:
        person = self._person("auditor")
        for run, log in self.checks.runs.items():
            if log.finished is None:
                continue
            entry = await person.engine.index.get(RunId(run))
            if entry is None or entry.state != log.finished.status.value:
                return self.checks.breaks("the index agrees with the log", f"{run}: {entry}, {log.finished}")
            if self.happened[Kind.SWEEP.value]:  # which may have been cut off before it said what it has removed
                continue
            elements = await person.engine.store.get(RunId(run), "list") or []
            total = await person.engine.store.get(RunId(run), "sum")
            self.checks.once(run, [_value(each) for each in elements], 0 if total is None else _value(total))
        return None

    def _end(self) -> None:
        for node in self._nodes.values():
            node.port.is_over = True
        for person in self._persons:
            person.port.is_over = True

    def _on_error(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.checks.breaks("nothing fails unseen", f"{context.get('message')}: {context.get('exception')!r}")


def _at_work() -> list[str]:
    """What still goes on in the name of some run; what dead workers did stands still for ever."""
    names = (getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks())
    return sorted(name for name in names if name.startswith(_OF_RUNS))


def _value(ref: Any) -> Any:
    return decode(ref.where)


class _Listening(logging.Handler):
    """What nflow logs as an error is one; the rest is told."""

    def __init__(self, checks: Checks) -> None:
        super().__init__(logging.INFO if checks.story is not None else logging.ERROR)
        self._checks = checks

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.ERROR:
            self._checks.breaks("nothing fails unseen", f"{record.getMessage()} {record.exc_info}")
        elif self._checks.story is not None:
            self._checks.story.append(f"{'':9} ({record.getMessage()})")

    def __enter__(self) -> None:
        logger = logging.getLogger("nflow")
        self._before = logger.level, logger.propagate
        logger.setLevel(self.level)
        logger.propagate = False
        logger.addHandler(self)

    def __exit__(self, *_: object) -> None:
        logger = logging.getLogger("nflow")
        logger.removeHandler(self)
        logger.level, logger.propagate = self._before


def simulate(plan: Plan, make_port: MakePort = Port, *, tells_story: bool = False) -> Outcome:
    """Carry out a plan, the same way each time."""

    async def live() -> Outcome:
        return await World(plan, make_port, tells_story=tells_story).run()

    gc.disable()  # or what is collected when would differ
    try:
        with asyncio.Runner(loop_factory=lambda: VirtualTimeLoop(lambda: False)) as runner:
            return runner.run(live())
    finally:
        gc.enable()
