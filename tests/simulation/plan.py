"""What is to happen, as plain data: who works, what is run, what goes wrong. A seed makes it; shrinking takes away.

Nothing here is decided while a plan is carried out, but for the delays of single calls (see `port`).
"""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import pairwise
from random import Random

from nflow.core.ids import DagName, TaskId
from nflow.core.retry import RetrySpec
from nflow.core.spec import DagSpec, Edge, OnFailure, TaskSpec, WorkflowSpec
from nflow.wire.python import python_tag


class Do(StrEnum):
    """What the code of a task does, one after the other."""

    WORK = "work"  #: takes so many seconds
    PUSH = "push"  #: `store.push(…, once=True)`
    ADD = "add"  #: `store.increment(…, once=True)`
    START = "start"  #: starts a dag
    JOIN = "join"  #: waits for the dags that it has started
    STOP_DAG = "stop_dag"  #: asks for the end of its own dag
    STOP_WORKFLOW = "stop_workflow"


class End(StrEnum):
    """How the code of a task ends, unless its attempt is one of those that fail."""

    RETURN = "return"
    STOP_TASK = "stop_task"  #: raises StopTask: succeeds, and its successors are skipped
    ABORT = "abort"  #: raises AbortWorkflow


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing that a task does."""

    do: Do
    seconds: float = 0.0
    dag: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskPlan:
    """A task: what its code does, and what the engine is told about it."""

    id: str
    steps: tuple[Step, ...] = ()
    fails: int = 0  #: so many of its first attempts
    end: End = End.RETURN
    limit: tuple[str, ...] | None = None  #: the successors that it lets run
    attempts: int = 1
    pause: float = 0.0
    on_failure: OnFailure = OnFailure.STOP_WORKFLOW
    force_run: bool = False
    propagate_skip: bool = True
    is_polite: bool = True  #: ends its work when it is told to stop
    dies_hard: bool = False  #: SIGTERM does not end it
    timeout: float | None = None  #: with one, the attempts that fail do so by taking longer

    @property
    def spec(self) -> TaskSpec:
        """What the engine is told."""
        retry = RetrySpec(attempts=self.attempts, pause=self.pause, factor=2.0) if self.attempts > 1 else None
        return TaskSpec(
            id=TaskId(self.id),
            name=self.id,
            code="",
            retry=retry,
            on_failure=self.on_failure,
            force_run=self.force_run,
            propagate_skip=self.propagate_skip,
            timeout=self.timeout,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DagPlan:
    """A dag, its tasks in an order that its edges allow."""

    name: str
    tasks: tuple[TaskPlan, ...]
    edges: tuple[tuple[str, str], ...] = ()
    autostart: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """A run, and the client that submits it."""

    id: str
    at: float
    dags: tuple[DagPlan, ...]
    dies_after: int | None = None  #: the client vanishes with this call of its submitting
    deadline: float | None = None

    def spec(self, code: str) -> WorkflowSpec:
        """The workflow, with all code under one digest: what a task does is looked up here."""
        dags = {DagName(dag.name): _dag_spec(dag, code) for dag in self.dags}
        return WorkflowSpec(name="simulated", dags=dags, python=python_tag(), engine="0", deadline=self.deadline)

    def dag(self, name: str) -> DagPlan | None:
        """The dag of that name."""
        return next((dag for dag in self.dags if dag.name == name), None)


def _dag_spec(dag: DagPlan, code: str) -> DagSpec:
    return DagSpec(
        name=DagName(dag.name),
        tasks=tuple(replace(task.spec, code=code) for task in dag.tasks),
        edges=tuple(Edge(parent=TaskId(parent), child=TaskId(child)) for parent, child in dag.edges),
        autostart=dag.autostart,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class StopPlan:
    """A person who stops a run, or one of its dags."""

    run: str
    at: float
    grace: float | None = None
    dag: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPlan:
    """A person who lets a run go on that has ended."""

    run: str
    end: int  #: after which of its ends, from 1
    after: float  #: seconds after that
    tasks: tuple[str, ...] = ()  #: those that are done again though they succeeded: `main:1/t1`
    stops: float | None = None  #: so many seconds later the same person stops it
    dies_after: int | None = None  #: the client vanishes with this call


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerPlan:
    """A worker, there from some time on."""

    name: str
    slots: int
    at: float = 0.0


class Kind(StrEnum):
    """What may go wrong."""

    KILL = "kill"  #: a worker vanishes, at a time
    KILL_AT_CALL = "kill at call"  #: a worker vanishes with one of its calls on the way
    PAUSE = "pause"  #: a worker stands still, and goes on
    CUT = "cut"  #: a worker loses its connection, and gets it back
    CUT_AT_CALL = "cut at call"  #: a worker loses its connection with one of its calls on the way
    LEAVE = "leave"  #: a worker is asked to end: its tasks are given back
    DRAIN = "drain"  #: a worker is asked to end: its tasks may end
    OUTAGE = "outage"  #: the server stops and starts
    REDELIVER = "redeliver"  #: jobs that are held are delivered once more
    DEAF = "deaf"  #: for a while, a worker gets no pushes
    SWEEP = "sweep"  #: a worker sweeps away what is over
    FORGET = "forget"  #: the server is killed, and comes back having forgotten jobs that it still has


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that goes wrong."""

    kind: Kind
    at: float = 0.0
    worker: str = ""  #: or a client, where it says so
    seconds: float = 0.0
    call: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """How bad the network is: chances for a single message."""

    slow: float = 0.0  #: that a call takes up to half a second
    lost: float = 0.0  #: that a push is lost
    twice: float = 0.0  #: that a push comes twice, or an unconditional append is stored twice
    unheard: float = 0.0  #: that an acknowledgement is lost
    silent: float = 0.0  #: that the answer of a worker to another's question is lost


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All of it."""

    seed: int
    workers: tuple[WorkerPlan, ...]
    runs: tuple[RunPlan, ...]
    stops: tuple[StopPlan, ...] = ()
    retries: tuple[RetryPlan, ...] = ()
    faults: tuple[Fault, ...] = ()
    noise: Noise = field(default_factory=Noise)


# --- making one ------------------------------------------------------------------------------------------------------

HORIZON = 14.0  #: seconds in which faults begin

#: Where runs are retried, more goes wrong, in so many seconds.
LATE_HORIZON = 16.0

#: The parts of all seeds in which runs are retried, tasks have timeouts, and runs have deadlines.
RETRIED, TIMED, LIMITED = 0.15, 0.1, 0.06

#: The part of all seeds in which the server forgets jobs.
FORGETFUL = 0.1


def plan_of(seed: int) -> Plan:
    """The plan of a seed."""
    random = Random(seed)
    workers = tuple(
        WorkerPlan(name=f"w{number}", slots=random.choice((1, 1, 2, 3)), at=random.choice((0.0, random.uniform(0, 6))))
        for number in range(1, random.randint(2, 4) + 1)
    )
    runs = tuple(_run(random, f"r{number}") for number in range(1, random.choice((1, 1, 2, 2, 3, 4)) + 1))
    plan = Plan(
        seed=seed,
        workers=workers,
        runs=runs,
        stops=tuple(_stops(random, runs)),
        faults=tuple(sorted(_faults(random, workers, runs), key=lambda fault: fault.at)),
        noise=random.choice((Noise(), _noise(random), _noise(random))),
    )
    random = Random(-seed - 1)
    if random.random() < TIMED:
        plan = _with_timeouts(random, plan)
    if random.random() < LIMITED:
        plan = _with_deadlines(random, plan)
    plan = _with_retries(random, plan) if random.random() < RETRIED else plan
    random = Random(3 * seed + 1_000_003)
    return _with_forgetting(random, plan) if random.random() < FORGETFUL else plan


def _with_forgetting(random: Random, plan: Plan) -> Plan:
    faults = [
        Fault(
            kind=Kind.FORGET,
            at=random.uniform(0.0, HORIZON) * random.random(),
            seconds=random.uniform(0.0, 3.0),
            call=random.choice((1, 1, 2, 5)),
        )
        for _ in range(random.choice((1, 1, 2, 3)))
    ]
    return replace(plan, faults=tuple(sorted((*plan.faults, *faults), key=lambda fault: fault.at)))


def _with_timeouts(random: Random, plan: Plan) -> Plan:
    def timed(task: TaskPlan) -> TaskPlan:
        return replace(task, timeout=random.uniform(0.05, 5.0)) if random.random() < 0.5 else task

    def of_dag(dag: DagPlan) -> DagPlan:
        return replace(dag, tasks=tuple(map(timed, dag.tasks)))

    return replace(plan, runs=tuple(replace(run, dags=tuple(map(of_dag, run.dags))) for run in plan.runs))


def _with_deadlines(random: Random, plan: Plan) -> Plan:
    deadlines = [random.choice((None, random.uniform(0.0, 2.0), random.uniform(0.5, 8.0))) for _ in plan.runs]
    runs = (replace(run, deadline=deadline) for run, deadline in zip(plan.runs, deadlines, strict=True))
    return replace(plan, runs=tuple(runs))


def _with_retries(random: Random, plan: Plan) -> Plan:
    """People retry runs, whatever became of them, and more goes wrong meanwhile."""
    retries = [retry for run in plan.runs if random.random() < 0.8 for retry in _retries(random, run)]
    faults = [
        replace(_fault(random, plan.workers, plan.runs), at=random.uniform(0.5, LATE_HORIZON))
        for _ in range(random.choice((0, 1, 2, 3)))
    ]
    more = (replace(fault, call=2 * fault.call) for fault in faults)
    every = sorted((*plan.faults, *more), key=lambda fault: fault.at)
    return replace(plan, retries=tuple(retries), faults=tuple(every))


def _retries(random: Random, run: RunPlan) -> list[RetryPlan]:
    retries: list[RetryPlan] = []
    for end in range(1, random.choice((1, 1, 1, 2, 3)) + 1):
        one = _retry(random, run, end)
        retries.append(one)
        if random.random() < 0.25:  # somebody else does so in the same moment
            later = random.choice((0.0, random.uniform(0.0, 0.02), random.uniform(0.0, 1.0)))
            retries.append(replace(_retry(random, run, end), after=one.after + later))
    return retries


def _retry(random: Random, run: RunPlan, end: int) -> RetryPlan:
    dag = random.choice(run.dags)
    tasks = [f"{dag.name}:1/{task.id}" for task in random.sample(dag.tasks, min(len(dag.tasks), random.choice((1, 2))))]
    return RetryPlan(
        run=run.id,
        end=end,
        after=random.choice((0.0, random.uniform(0.0, 0.1), random.uniform(0.0, 1.0), random.uniform(0.0, 6.0))),
        tasks=tuple(tasks) if random.random() < 0.35 else (),
        stops=random.choice((0.0, random.uniform(0.0, 1.0))) if random.random() < 0.2 else None,
        dies_after=random.randint(1, 12) if random.random() < 0.1 else None,
    )


def _noise(random: Random) -> Noise:
    return Noise(
        slow=random.choice((0.0, 0.02, 0.2)),
        lost=random.choice((0.0, 0.05, 0.3)),
        twice=random.choice((0.0, 0.05)),
        unheard=random.choice((0.0, 0.1)),
        silent=random.choice((0.0, 0.0, 0.2)),
    )


def _stops(random: Random, runs: tuple[RunPlan, ...]) -> list[StopPlan]:
    stops = []
    for run in runs:
        for _ in range(random.choice((0, 0, 0, 1, 1, 2))):
            grace = random.choice((None, 0.0, random.uniform(0, 3)))
            dag = random.choice((None, None, f"{random.choice(run.dags).name}:1"))
            stops.append(StopPlan(run=run.id, at=run.at + random.uniform(0.0, 6.0), grace=grace, dag=dag))
    return stops


def _faults(random: Random, workers: tuple[WorkerPlan, ...], runs: tuple[RunPlan, ...]) -> list[Fault]:
    return [_fault(random, workers, runs) for _ in range(random.choice((0, 1, 1, 2, 3, 4, 6)))]


_KINDS = (
    *(Kind.KILL, Kind.KILL, Kind.KILL_AT_CALL, Kind.KILL_AT_CALL, Kind.KILL_AT_CALL, Kind.PAUSE, Kind.PAUSE),
    *(Kind.CUT, Kind.CUT, Kind.OUTAGE, Kind.OUTAGE, Kind.REDELIVER, Kind.REDELIVER, Kind.LEAVE, Kind.DRAIN, Kind.DEAF),
    *(Kind.SWEEP, Kind.CUT_AT_CALL, Kind.CUT_AT_CALL, Kind.CUT_AT_CALL),
)

#: What happens with a call of a worker, not at a time.
AT_CALLS = (Kind.KILL_AT_CALL, Kind.CUT_AT_CALL)

#: What may happen to clients too.
_TO_CLIENTS = (Kind.CUT, Kind.PAUSE, Kind.DEAF)


def client_of(run: RunPlan) -> str:
    """The name of the process that submits a run and waits for its end."""
    return f"client-{run.id}"


def _fault(random: Random, workers: tuple[WorkerPlan, ...], runs: tuple[RunPlan, ...]) -> Fault:
    kind = random.choice(_KINDS)
    is_of_client = kind in _TO_CLIENTS and random.random() < 0.15
    return Fault(
        kind=kind,
        at=random.uniform(0.0, HORIZON) * random.random(),
        worker=client_of(random.choice(runs)) if is_of_client else random.choice(workers).name,
        seconds=random.uniform(3.5, 9.0)
        if kind is Kind.CUT_AT_CALL
        else random.choice((random.uniform(0.0, 2.0), random.uniform(2.0, 5.0), random.uniform(3.0, 12.0))),
        call=random.choice((random.randint(1, 40), random.randint(1, 120))),
    )


def _run(random: Random, name: str) -> RunPlan:
    has_sub = random.random() < 0.35
    dags = [_dag(random, "main", starts="sub" if has_sub else "")]
    if random.random() < 0.15:
        dags.append(_dag(random, "other", most=3))
    if has_sub:
        dags.append(_dag(random, "sub", most=3, autostart=False))
    dies_after = random.randint(1, 8) if random.random() < 0.08 else None
    return RunPlan(id=name, at=random.uniform(0.0, 4.0), dags=tuple(dags), dies_after=dies_after)


def _dag(random: Random, name: str, *, starts: str = "", most: int = 8, autostart: bool = True) -> DagPlan:
    size = min(most, random.choice((1, 2, 3, 3, 4, 5, 8)))
    names = [f"t{number}" for number in range(1, size + 1)]
    edges = _edges(random, names)
    is_calm = random.random() < 0.5
    tasks = tuple(
        _task(random, each, [child for parent, child in edges if parent == each], starts=starts, is_calm=is_calm)
        for each in names
    )
    return DagPlan(name=name, tasks=tasks, edges=edges, autostart=autostart)


def _edges(random: Random, names: list[str]) -> tuple[tuple[str, str], ...]:
    shape = random.choice(("chain", "chain", "fan", "join", "diamond", "any", "none"))
    first, *rest = names
    match shape:
        case "chain":
            return tuple(pairwise(names))
        case "fan":
            return tuple((first, each) for each in rest)
        case "join":
            return tuple((each, names[-1]) for each in names[:-1])
        case "diamond" if len(names) > 3:
            middle = names[1:-1]
            return (*((first, each) for each in middle), *((each, names[-1]) for each in middle))
        case "any":
            pairs = [(names[a], names[b]) for b in range(len(names)) for a in range(b)]
            return tuple(pair for pair in pairs if random.random() < 0.4)
        case _:
            return ()


def _task(random: Random, name: str, children: list[str], *, starts: str, is_calm: bool) -> TaskPlan:
    steps = [_work(random)] if random.random() < 0.7 else []
    if random.random() < 0.15:
        steps += [Step(do=random.choice((Do.PUSH, Do.PUSH, Do.ADD))) for _ in range(random.randint(1, 3))]
    if starts and random.random() < 0.4:
        steps += [Step(do=Do.START, dag=starts) for _ in range(random.randint(1, 2))]
        if random.random() < 0.6:
            steps.append(Step(do=Do.JOIN))
    if not is_calm and random.random() < 0.04:
        steps.append(Step(do=random.choice((Do.STOP_DAG, Do.STOP_WORKFLOW))))
    if random.random() < 0.3:
        steps.append(_work(random))
    random.shuffle(steps)
    fails = random.choice((0, 0, 0, 0, 1, 2))
    attempts = fails + 1 if is_calm or random.random() < 0.8 else max(1, fails)
    return TaskPlan(
        id=name,
        steps=tuple(steps),
        fails=fails,
        end=End.RETURN if is_calm else random.choice((End.RETURN,) * 20 + (End.STOP_TASK, End.STOP_TASK, End.ABORT)),
        limit=tuple(each for each in children if random.random() < 0.6) if random.random() < 0.12 else None,
        attempts=attempts,
        pause=random.choice((0.0, random.uniform(0.0, 1.0))),
        on_failure=random.choice((*OnFailure,)),
        force_run=random.random() < 0.06,
        propagate_skip=random.random() < 0.85,
        is_polite=random.random() < 0.7,
        dies_hard=random.random() < 0.2,
    )


def _work(random: Random) -> Step:
    return Step(do=Do.WORK, seconds=random.choice((0.0, random.uniform(0.0, 0.3), random.uniform(0.0, 2.0), 4.0)))
