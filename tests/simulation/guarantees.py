"""What must hold whatever goes wrong: looked at with each record as it is stored, and once more at the end.

Written from the rules alone; the core's machines are only asked at the end, whether they come to the same.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import pairwise

from nflow.bus.port import LEASE, Record
from nflow.core import dag_run, workflow_run
from nflow.core.dag_state import DagRun
from nflow.core.dataset import Dataset
from nflow.core.events import (
    DagFinished,
    DagRefused,
    DagReopened,
    DagRequested,
    DagStarted,
    Event,
    OwnerChanged,
    RunFinished,
    RunRetried,
    RunStarted,
    Status,
    StopRequested,
    TaskAborted,
    TaskCancelled,
    TaskEvent,
    TaskFailed,
    TaskReleased,
    TaskStarted,
    TaskSucceeded,
)
from nflow.core.ids import DagId, DagName, RunId, TaskId
from nflow.core.jobs import DagJob, Job, Reopening, TaskJob, WorkflowJob
from nflow.core.retry import WORKER_LOST
from nflow.core.spec import DagSpec, OnFailure, TaskSpec
from nflow.core.workflow_run import WorkflowRun
from nflow.core.workflow_state import name_of as dag_name_of
from nflow.engine.drivers import deadline
from nflow.engine.holdings import SILENCE
from nflow.errors import TaskTimedOut
from nflow.wire.messages import unpack_events, unpack_job
from nflow.wire.subjects import event_place, name_of
from nflow.worker.duties import Duties
from tests.core import model
from tests.simulation.plan import DagPlan, Do, End, Kind, Plan, StopPlan, TaskPlan
from tests.simulation.port import RENEWAL

Outcome = TaskSucceeded | TaskFailed | TaskAborted

#: So long after the return of a worker somebody may act upon its absence.
VERDICT = 2.0

#: Seconds after which a run whose deadline has passed must have been stopped, if nothing else goes wrong: a driver that
#: was lost has a successor by then, and what it stopped has ended or was killed.
OVERDUE = 30.0

#: Seconds by which a timer may be off: a push, and the rounding of sums.
TICK = 0.01

_TIMED_OUT = TaskTimedOut.__name__

#: Failures of attempts that no plan foresees: what became of the worker, and not of the code.
_NOT_THE_CODE = (WORKER_LOST, "SlotDied", "NotRunnable", "LogDamaged")


@dataclass
class Broken(Exception):
    """A guarantee that did not hold."""

    guarantee: str
    what: str

    def __str__(self) -> str:
        return f"{self.guarantee}: {self.what}"


@dataclass(eq=False)
class Execution:
    """One time that the code of an attempt was run."""

    worker: str
    execution: int
    began: float
    timeout: float | None = None
    ended: float | None = None


@dataclass(eq=False)
class TaskLog:
    """What the log says of one task."""

    events: list[Event] = field(default_factory=list)
    since: list[Event] = field(default_factory=list)  #: those since it last began anew
    before: int = 0  #: the last attempt before that
    settled: Event | None = None  #: what ended it for good

    def take(self, event: TaskEvent) -> None:
        """One more event of it."""
        self.events.append(event)
        self.since.append(event)

    def begin_anew(self) -> None:
        """Its dag run was reopened: what became of it does not count any more, but for the numbers of attempts."""
        self.before = max((self.before, *(getattr(event, "attempt", 0) for event in self.since)))
        self.since, self.settled = [], None


@dataclass(eq=False)
class DagLog:
    """What the log says of a dag run."""

    spec: DagSpec
    plan: DagPlan
    events: list[Event] = field(default_factory=list)
    tasks: dict[str, TaskLog] = field(default_factory=lambda: defaultdict(TaskLog))
    finished: DagFinished | None = None
    is_over: bool = False  #: its end is on record, and not that it was reopened
    opening: int = 0  #: the last one that its own log tells of


@dataclass(eq=False)
class RunLog:
    """What the log says of a run."""

    events: list[Event] = field(default_factory=list)
    dags: dict[str, DagLog] = field(default_factory=dict)
    granted: dict[str, str] = field(default_factory=dict)
    finished: RunFinished | None = None
    ends: list[RunFinished] = field(default_factory=list)
    since: float = 0.0  #: when it began, or began again
    opening: int = 0
    openings: dict[str, int] = field(default_factory=dict)  #: of its dag runs
    superseded: set[str] = field(default_factory=set)
    reopening: Reopening | None = None  #: the last one that was asked for, and stored
    retried: dict[int, RunRetried] = field(default_factory=dict)
    asked: list[tuple[int, StopRequested]] = field(default_factory=list)  #: stops of the whole run, by their sequence
    is_to_stop: bool = False  #: a stop that must hold
    is_overdue: bool = False  #: it was stopped as it took too long
    fails_late: bool = False  #: and must fail: nothing had stopped it before

    @property
    def after(self) -> int:
        """The record after which stops are meant for the run as it goes on."""
        return self.reopening.after if self.reopening else 0

    @property
    def is_over(self) -> bool:
        """Whether it has ended, and nobody has retried it since."""
        owed = self.reopening.number if self.reopening else 0
        return self.finished is not None and self.finished.opening >= owed

    @property
    def has_work(self) -> bool:
        """Whether some dag run goes on, or none has begun."""
        return not self.granted or any(self.is_open(dag) for dag in self.granted.values())

    def is_open(self, dag: str) -> bool:
        """Whether this dag run goes on."""
        return dag not in self.dags or self.dags[dag].finished is None


class Checks:
    """Watches one simulation. The first guarantee that breaks ends it."""

    def __init__(
        self, plan: Plan, now: Callable[[], float], on_news: Callable[[], None], on_end: Callable[[str, int], None]
    ) -> None:
        self.plan = plan
        self.broken: Broken | None = None
        self.runs: dict[str, RunLog] = defaultdict(RunLog)
        self.owed: set[str] = set()  #: runs whose ids were returned
        self.begun: set[str] = set()  #: runs whose jobs were stored
        self.executions: dict[tuple[str, str, str, int], list[Execution]] = defaultdict(list)
        self.away: dict[str, list[tuple[float, float]]] = defaultdict(list)  #: when a worker was not to be heard
        self.acknowledged: set[tuple[Do, str, str]] = set()
        self._jobs: dict[str, Job] = {}  # the last one under each subject
        self.stops: list[tuple[StopPlan, bool]] = []
        self.accepted: dict[tuple[str, int], str] = {}  #: who was told that this retry holds
        self.healed_at = 0.0
        self.records = 0
        self.digest = blake2b(digest_size=16)
        self.story: list[str] | None = None
        self._plans = {run.id: run for run in plan.runs}
        self._specs = {run.id: run.spec("code") for run in plan.runs}
        self._now = now
        self._on_news = on_news
        self._on_end = on_end

    @property
    def all_ended(self) -> bool:
        """Whether each run that is owed, and each that has begun, has ended; once more, where it was retried."""
        return all(self.runs[run].is_over for run in self.owed | self.begun)

    def breaks(self, guarantee: str, what: str) -> None:
        """A guarantee does not hold; the first one counts."""
        if self.broken is None:
            self.broken = Broken(guarantee, what)
            self._on_news()

    # --- what clients and the code of tasks tell ---

    def promised(self, run: RunId) -> None:
        self.owed.add(run)

    def heard(self, run: RunId, finished: RunFinished, *, opening: int = 0) -> None:
        if finished not in self.runs[run].ends or finished.opening < opening:
            self.breaks("clients hear what the log says", f"{run} ended as {self.runs[run].ends}, not {finished}")

    def accepted_stop(self, plan: StopPlan, by: str) -> None:
        log = self.runs[plan.run]
        if not any(isinstance(event, StopRequested) and event.by == by for event in log.events):
            self.breaks("a stop that was accepted is on record", f"{plan.run}: that of {by}")
        if plan.dag is None:
            is_first = log.reopening is None  # of a retried run, the log alone tells what a stop was meant for
            self.stops.append((plan, is_first and log.finished is None and log.has_work))

    def accepted_retry(self, run: RunId, number: int, by: str) -> None:
        """Somebody was told that the run goes on."""
        other = self.accepted.setdefault((run, number), by)
        if other != by:
            self.breaks("of two who retry one is refused", f"{run}: {other} and {by} were both told number {number}")

    def refused_retry(self, run: RunId, by: str) -> None:
        """Somebody was told that the run does not go on for him."""
        if any(each.by == by for each in self.runs[run].retried.values()):
            self.breaks("a refused retry changes nothing", f"{run} was retried by {by}, who was refused")

    def stored_once(self, kind: Do, run: RunId, element: str) -> None:
        self.acknowledged.add((kind, run, element))

    def code_began(self, worker: str, job: TaskJob, execution: int, at: float) -> Execution:
        """The code of an attempt is run: once, unless what ran it was lost."""
        self.note(f"{worker} runs {job.run} {job.dag} {job.task} attempt {job.attempt} execution {execution}")
        before = self.executions[job.run, job.dag, job.task, job.attempt]
        came_back = max((end for _, end in self.away[worker] if end <= at), default=-LEASE)
        for earlier in before:
            if not self._was_lost(earlier, job, at) and at - came_back > RENEWAL:
                what = f"{job.run} {job.dag} {job.task} attempt {job.attempt}: {earlier} was not lost, {worker} runs it"
                self.breaks("code runs once while its worker lives", what)
        ticket = Execution(worker, execution, at, job.timeout)
        before.append(ticket)
        self._check_input(job)
        return ticket

    def code_ended(self, ticket: Execution, at: float) -> None:
        ticket.ended = at if ticket.ended is None else ticket.ended
        if ticket.timeout is not None and ticket.ended > ticket.began + ticket.timeout + Duties().kill_after + TICK:
            self.breaks("an attempt ends with its time", f"{ticket}")

    def worker_died(self, worker: str, at: float) -> None:
        """Its code died with it."""
        self.away[worker].append((at, float("inf")))
        for executions in self.executions.values():
            for each in executions:
                if each.worker == worker and each.ended is None:
                    each.ended = at

    def was_away(self, worker: str, since: float) -> None:
        self.away[worker].append((since, self._now()))

    def was_not_heard(self, worker: str) -> None:
        """Its answer was lost, so that it was taken for dead."""
        self.away[worker].append((self._now() - SILENCE, self._now() + LEASE))

    def _was_lost(self, earlier: Execution, job: TaskJob, at: float) -> bool:
        released = any(
            isinstance(event, TaskReleased) and (event.attempt, event.execution) == (job.attempt, earlier.execution)
            for event in self.runs[job.run].dags[job.dag].tasks[job.task].events
        )
        if released:
            return earlier.ended is not None
        shaken = self._happens(Kind.OUTAGE, Kind.FORGET, Kind.REDELIVER)
        shortest = SILENCE - 0.1 if shaken else LEASE - 0.05
        return any(
            end - begin >= shortest and begin < at and end > earlier.began - VERDICT
            for begin, end in _merged(self.away[earlier.worker])
        )

    def _on_job(self, record: Record) -> None:
        job = unpack_job(record.payload)
        before, self._jobs[record.subject] = self._jobs.get(record.subject), job
        if record.last_seq and (before is None or _opening_of(job) <= _opening_of(before)):
            if not self._happens(Kind.FORGET):  # what was forgotten is stored once more, as it was
                self.breaks("a job is stored once", record.subject)
        elif isinstance(job, WorkflowJob):
            self.begun.add(job.run)
            self._take_job(job)

    def _happens(self, *kinds: Kind) -> bool:
        return any(fault.kind in kinds for fault in self.plan.faults)

    # --- what the log says ---

    def on_record(self, record: Record) -> None:
        """Look at a record that was just stored."""
        self.records += 1
        subject = record.subject
        if not subject.startswith("nflow.event."):
            if subject.startswith("nflow.job."):
                self.note(f"job {subject}")
                self._on_job(record)
            return
        run, dag, last = map(name_of, event_place(subject))
        place = event_place(subject)
        log = self.runs[place.run]
        for event in unpack_events(record.payload):
            self.note(_line(place.run, dag, last, record, event))
            if self.broken is not None:
                return
            if place.dag == "_":
                self._take_of_run(str(run), log, event, record.seq, is_own=place.last != "_ask")
            else:
                self._take_of_dag(str(run), log, str(dag), event, is_own=place.last == "_log")

    def note(self, line: str) -> None:
        """Something happened: a line of the story, and a part of what two runs of one seed have in common."""
        line = f"{self._now():9.4f} {line}"
        self.digest.update(line.encode())
        if self.story is not None:
            self.story.append(line)

    def _take_job(self, job: WorkflowJob) -> None:
        """The job of a run is stored: from now on it is to begin, or to go on."""
        if job.reopening is None:
            return
        log = self.runs[job.run]
        if job.reopening.number <= log.opening:  # somebody was faster, and all the way to the end: it does nothing
            return
        if job.reopening.number != log.opening + 1 or not log.is_over:
            self.breaks("what has ended is retried once", f"{job.run}: {job.reopening}, {log.opening}, {log.finished}")
        log.reopening = job.reopening

    def _take_of_run(self, run: str, log: RunLog, event: Event, seq: int, *, is_own: bool) -> None:
        log.events.append(event)
        self._check_place(run, log, event)
        match event:
            case RunStarted():
                log.since = self._now()
            case RunRetried():
                self._retried(run, log, event)
            case StopRequested(dag=None):
                self._stop_asked(run, log, event, seq, is_own=is_own)
            case DagStarted(key=key, dag=dag):
                if key in log.granted or dag in log.granted.values():
                    self.breaks("a request is granted once", f"{run}: {event}, before: {log.granted}")
                log.granted[key] = dag
                self._dag(run, log, dag)
            case DagFinished(dag=dag):
                finished = self._dag(run, log, dag)
                if finished.finished is not None:
                    self.breaks("a dag run ends once", f"{run}: {event}")
                if dag not in log.granted.values() or event.opening != log.openings.get(dag, 0):
                    self.breaks("only what was started ends", f"{run}: {event}")
                finished.finished, finished.is_over = event, True
            case RunFinished():
                self._run_ended(run, log, event)
            case _:
                pass

    def _retried(self, run: str, log: RunLog, event: RunRetried) -> None:
        """A run goes on, as it was asked to."""
        asked = log.reopening
        if asked is None or (asked.number, asked.by) != (event.number, event.by) or event.number in log.retried:
            self.breaks("a retry is recorded once", f"{run}: {event}, asked for {asked}, before {log.retried}")
        ends = {dag: log.dags[dag].finished for dag in log.granted.values()}
        log.superseded |= set(event.superseded)
        unwell = {dag for dag, end in ends.items() if end is not None and end.status is not Status.SUCCEEDED}
        redone = set(event.redo) & set(ends)  # what has never begun does so now, with all its tasks
        if set(event.dags) != (unwell | redone) - log.superseded:
            self.breaks("what did not succeed begins again", f"{run}: {event}, its dag runs ended as {ends}")
        log.retried[event.number] = event
        log.opening, log.finished, log.since = event.number, None, self._now()
        log.is_overdue = log.fails_late = False
        for dag in event.dags:
            log.dags[DagId(dag)].finished = None
            log.openings[dag] = event.number
        meant = [stop for seq, stop in log.asked if seq > log.after and stop.by != deadline.BY]
        log.is_to_stop = bool(event.dags and meant)  # the deadline of the time before is no concern of the run any more

    def _stop_asked(self, run: str, log: RunLog, event: StopRequested, seq: int, *, is_own: bool) -> None:
        """A stop of the whole run is on record: asked for, or said again by the driver of a run that goes on."""
        if is_own:
            if event.by == deadline.BY or not any(place > log.after and stop == event for place, stop in log.asked):
                self.breaks("an earlier stop does not reach a retry", f"{run}: {event}, retried after {log.after}")
        else:
            log.asked.append((seq, event))
        if event.by == deadline.BY:
            self._deadline_passed(run, log)
        log.is_to_stop |= log.finished is None and log.has_work

    def _deadline_passed(self, run: str, log: RunLog) -> None:
        deadline = self._plans[run].deadline
        if log.finished is None and (deadline is None or self._now() < log.since + deadline - TICK):
            self.breaks("a run has the time that it was given", f"{run}: {deadline} s since {log.since}")
        if log.finished is None:
            log.is_overdue = True
            log.fails_late |= log.has_work and not log.is_to_stop

    def _run_ended(self, run: str, log: RunLog, event: RunFinished) -> None:
        running = [dag for dag in log.granted.values() if log.dags[dag].finished is None]
        if running:
            self.breaks("a run ends after its dags", f"{run} ended while these ran: {running}")
        if log.finished is not None or event.opening != log.opening:
            return self.breaks("a run ends once", f"{run}: {event}, opening {log.opening}, before {log.finished}")
        if log.fails_late and event.status is not Status.FAILED:
            self.breaks("a run that took too long has failed", f"{run}: {event}, {log.asked}")
        if log.is_to_stop and event.status is Status.SUCCEEDED:
            self.breaks("a stop that was accepted holds", f"{run} succeeded in spite of {log.asked}")
        self._check_cause(run, log, event)
        self._check_deadline(run, log)
        log.finished, log.is_to_stop = event, False
        log.ends.append(event)
        self._on_end(run, len(log.ends))
        self._on_news()
        return None

    def _check_deadline(self, run: str, log: RunLog) -> None:
        """A run that took longer than it may was stopped for that, and has failed."""
        deadline = self._plans[run].deadline
        if deadline is None or log.is_overdue:
            return
        if self._now() > max(log.since + deadline, self.healed_at) + OVERDUE:
            self.breaks("a run ends with its time", f"{run}: {deadline} s since {log.since}")

    def _check_cause(self, run: str, log: RunLog, event: RunFinished) -> None:
        """A run does not end badly unless something did, in this opening."""
        stops = [stop for seq, stop in log.asked if seq > log.after]
        ends = {dag: log.dags[dag].finished for dag in log.granted.values() if dag not in log.superseded}
        failed = [dag for dag, end in ends.items() if end is not None and end.status is Status.FAILED]
        if event.status is Status.STOPPED and not stops:
            self.breaks("an earlier stop does not reach a retry", f"{run}: {event}, {log.asked}")
        if event.status is Status.FAILED and not failed and not any(each.status is Status.FAILED for each in stops):
            self.breaks("what ends badly has a cause", f"{run}: {event}, {ends}, {log.asked}")

    def _check_place(self, run: str, log: RunLog, event: Event) -> None:
        """A run begins once, and nothing but requests follows its end."""
        if isinstance(event, RunStarted) and self._has_begun(log):
            self.breaks("a run begins once", run)
        requests = OwnerChanged | StopRequested | DagRequested | DagRefused | RunRetried | RunFinished
        if log.finished is not None and not isinstance(event, requests):
            self.breaks("nothing happens after the end", f"{run}: {event}")

    @staticmethod
    def _has_begun(log: RunLog) -> bool:
        return any(isinstance(each, RunStarted) for each in log.events[:-1])

    def _dag(self, run: str, log: RunLog, dag: str) -> DagLog:
        if dag not in log.dags:
            name = dag_name_of(DagId(dag))
            plan = self._plans[run].dag(name)
            assert plan is not None
            log.dags[dag] = DagLog(self._specs[run].dags[DagName(name)], plan)
        return log.dags[dag]

    def _take_of_dag(self, run: str, log: RunLog, name: str, event: Event, *, is_own: bool) -> None:
        dag = self._dag(run, log, name)
        dag.events.append(event)
        at = f"{run} {name}"
        if isinstance(event, DagReopened):
            self._reopened(at, log, dag, event, name)
        if not isinstance(event, TaskEvent):
            return
        task = dag.tasks[event.task]
        if dag.is_over and not is_own and not self._is_said_again(dag, event):
            self.breaks("nothing happens after the end", f"{at}: {event}")
        match event:
            case TaskStarted():
                self._claimed(at, dag, task, event)
            case TaskReleased():
                self._of_claim(at, task, event)
            case TaskSucceeded() | TaskFailed() | TaskAborted():
                self._ended(at, dag, task, event)
            case TaskCancelled() if not is_own:
                if task.settled is not None:
                    self.breaks("an attempt has one outcome", f"{at}: {event} after {task.settled}")
                task.settled = event
            case _:
                pass
        if not is_own:
            task.take(event)

    def _reopened(self, at: str, log: RunLog, dag: DagLog, event: DagReopened, name: str) -> None:
        """A dag run goes on: what succeeded counts, unless it is to be done again, or follows what is."""
        if event.number <= dag.opening or log.openings.get(name) != event.number or not dag.is_over:
            self.breaks("a dag run is reopened once", f"{at}: {event}, before {dag.opening}, {log.openings}")
        if set(event.redo) != set(log.retried[event.number].redo.get(DagId(name), ())):
            self.breaks("what is done again is what was asked for", f"{at}: {event}")
        redone = set(event.redo)
        for _ in dag.spec.tasks:
            redone |= {edge.child for edge in dag.spec.edges if edge.parent in redone}
        for task, known in dag.tasks.items():
            if task in redone or not isinstance(known.settled, TaskSucceeded):
                known.begin_anew()
        dag.opening, dag.is_over = event.number, False

    @staticmethod
    def _is_said_again(dag: DagLog, event: TaskEvent) -> bool:
        """Whether a driver that has a successor says what that one has said: it does no harm."""
        return isinstance(event, TaskCancelled) and any(
            isinstance(each, TaskCancelled) and each.task == event.task for each in dag.events[:-1]
        )

    def _claimed(self, at: str, dag: DagLog, task: TaskLog, event: TaskStarted) -> None:
        claim = (event.attempt, event.execution)
        match task.since[-1] if task.since else None:
            case None:
                expected = (task.before + 1, 1)
            case TaskStarted(attempt=attempt, execution=execution) | TaskReleased(attempt=attempt, execution=execution):
                expected = (attempt, execution + 1)
            case TaskFailed(attempt=attempt):
                expected = (attempt + 1, 1)
            case other:
                return self.breaks("nothing is claimed after its end", f"{at}: {event} after {other}")
        if task.settled is not None:
            self.breaks("nothing is claimed after its end", f"{at}: {event} after {task.settled}")
        if claim != expected:
            self.breaks("claims are numbered", f"{at}: {event}, expected {expected}")
        if claim == (task.before + 1, 1) and not task.since and self._state(dag, event.task) != "ready":
            state = self._state(dag, event.task)
            self.breaks("a task starts after its predecessors", f"{at}: {event} is {state}")
        return None

    def _of_claim(self, at: str, task: TaskLog, event: TaskReleased | Outcome) -> None:
        match task.since[-1] if task.since else None:
            case TaskStarted(attempt=event.attempt, execution=event.execution):
                pass
            case other:
                self.breaks("an outcome is of the last claim", f"{at}: {event} after {other}")

    def _ended(self, at: str, dag: DagLog, task: TaskLog, event: Outcome) -> None:
        if task.settled is not None:
            self.breaks("an attempt has one outcome", f"{at}: {event} after {task.settled}")
        if not (isinstance(event, TaskFailed) and event.error.type == "NotRunnable"):
            self._of_claim(at, task, event)
        plan = next(each for each in dag.plan.tasks if each.id == event.task)
        if not _is_as_planned(plan, event):
            self.breaks("outcomes are what the code did", f"{at}: {event}, planned {plan}")
        if isinstance(event, TaskFailed) and event.error.type == _TIMED_OUT:
            self._timed_out(at, plan, event)
        if not (isinstance(event, TaskFailed) and _is_tried_again(plan, event, task.before)):
            task.settled = event

    def _timed_out(self, at: str, plan: TaskPlan, event: TaskFailed) -> None:
        run, dag = at.split()
        runs = self.executions[run, dag, event.task, event.attempt]
        began = next((each.began for each in runs if each.execution == event.execution), None)
        if plan.timeout is None or began is None or self._now() < began + plan.timeout - TICK:
            self.breaks("an attempt has the time that it was given", f"{at}: {event} began at {began}, {plan}")

    # --- the independent view of a dag run ---

    def _state(self, dag: DagLog, task: str) -> str:
        """How far a task is: `waiting`, `ready`, `skipped`, or how it passed; `ended` where it lets nothing pass."""
        settled = dag.tasks[task].settled
        spec = next(each for each in dag.spec.tasks if each.id == task)
        match settled:
            case None:
                return "begun" if dag.tasks[task].since else self._state_of_unbegun(dag, task, spec)
            case TaskSucceeded():
                return "succeeded"
            case TaskFailed() if spec.on_failure is OnFailure.SKIP_SUCCESSORS:
                return "failed"
            case _:
                return "ended"

    def _state_of_unbegun(self, dag: DagLog, task: str, spec: TaskSpec) -> str:
        parents = {edge.parent: self._state(dag, edge.parent) for edge in dag.spec.edges if edge.child == task}
        if any(state not in ("succeeded", "failed", "skipped") for state in parents.values()):
            return "waiting"
        if not parents or spec.force_run:
            return "ready"
        return "ready" if any(self._lets_run(dag, each, state, task) for each, state in parents.items()) else "skipped"

    def _lets_run(self, dag: DagLog, parent: str, state: str, task: str) -> bool:
        if state == "succeeded":
            outcome = dag.tasks[parent].settled
            assert isinstance(outcome, TaskSucceeded)
            return outcome.limit is None or task in outcome.limit
        spec = next(each for each in dag.spec.tasks if each.id == parent)
        return state == "skipped" and not spec.propagate_skip

    def _check_input(self, job: TaskJob) -> None:
        """Every predecessor that succeeded has its dataset there, under its name."""
        dag = self.runs[job.run].dags[job.dag]
        given = job.input
        for edge in dag.spec.edges:
            outcome = dag.tasks[edge.parent].settled
            if edge.child != job.task or not isinstance(outcome, TaskSucceeded):
                continue
            position = None if given is None else given.aliases.get(edge.parent)
            got: Dataset | None = None if given is None or position is None else given.datasets[position]
            if got != outcome.output:
                self.breaks("a task gets its predecessors' data", f"{job.dag} {job.task}: {got} of {edge.parent}")

    # --- at the end ---

    def at_the_end(self) -> None:
        """All that can only be told once everything is over."""
        for run, log in self.runs.items():
            if run not in self.begun:  # somebody has stopped what never was
                continue
            for check in (
                self._stop_held,
                self._retries_held,
                self._fold_agrees,
                self._dags_agree,
                self._prediction_holds,
            ):
                if self.broken is None:
                    check(run, log)
        self._executions_apart()

    def _stop_held(self, run: str, log: RunLog) -> None:
        assert log.finished is not None
        for stop, counts in self.stops:
            if stop.run == run and counts and log.ends[0].status is Status.SUCCEEDED:
                self.breaks("a stop that was accepted holds", f"{run} succeeded in spite of {stop}")

    def _retries_held(self, run: str, log: RunLog) -> None:
        """Every retry that was accepted, and every one that is on record, led to an end of its own."""
        accepted = {number: by for (of, number), by in self.accepted.items() if of == run}
        numbers = list(range(1, log.opening + 1))
        if list(log.retried) != numbers or [end.opening for end in log.ends] != [0, *numbers]:
            self.breaks("a retry leads to an end", f"{run}: {log.retried}, {log.ends}")
        if any(number not in log.retried or log.retried[number].by != by for number, by in accepted.items()):
            self.breaks("an accepted retry holds", f"{run}: {accepted}, on record {log.retried}")

    def _fold_agrees(self, run: str, log: RunLog) -> None:
        machine = WorkflowRun(RunId(run), self._specs[run])
        for event in log.events:
            workflow_run.apply(machine, event)
            workflow_run.check_invariants(machine)
        assert log.finished is not None
        if machine.status is not log.finished.status:
            self.breaks("the log folds to what the driver found", f"{run}: {machine.status}, not {log.finished}")
        counting = (dag for name, dag in log.dags.items() if name not in log.superseded)
        failed = any(dag.finished and dag.finished.status is Status.FAILED for dag in counting)
        if failed and log.finished.status is not Status.FAILED:
            self.breaks("a failure is never reported as success", f"{run}: {log.finished}")

    def _dags_agree(self, run: str, log: RunLog) -> None:
        for name, dag in log.dags.items():
            finished = dag.finished
            if finished is None:
                continue
            machine = DagRun(DagId(name), dag.spec)
            for event in dag.events:
                dag_run.apply(machine, event)
                dag_run.check_invariants(machine)
            told = {"succeeded": finished.succeeded, "failed": finished.failed}
            told |= {"skipped": finished.skipped, "cancelled": finished.cancelled}
            counted = {state.value: machine.counts[state] for state in dag_run.SETTLED}
            if not machine.is_settled or not _is_same(dag, machine.status) or counted != told:
                what = f"{run} {name}: {finished}, folded {machine.status} {counted}"
                self.breaks("the log folds to what the driver found", what)
            current = model.current(dag.spec, dag.events)
            states, status = model.picture(dag.spec, current), model.dag_status(dag.spec, current)
            shown = {task.id: machine.state_of(task.id).value for task in dag.spec.tasks}
            if not _is_same(dag, status) or states != shown:
                what = f"{run} {name}: {finished}, the model says {status} {states}, the fold {shown}"
                self.breaks("the slow model says the same", what)

    def _prediction_holds(self, run: str, log: RunLog) -> None:
        """Where nothing depends on time, the plan alone tells how a dag run ends."""
        plan = self._plans[run]
        if any(stop.run == run for stop in self.plan.stops) or any(map(_is_timed, plan.dags)):
            return
        if log.opening or plan.deadline is not None:
            return
        lost = any(
            isinstance(event, TaskFailed) and _is_unforeseen(dag.plan, event)
            for dag in log.dags.values()
            for event in dag.events
        )
        assert log.finished is not None
        if (
            not lost
            and log.finished.status is not Status.SUCCEEDED
            and not any(
                task.on_failure is OnFailure.SKIP_SUCCESSORS and task.fails >= task.attempts
                for dag in self._plans[run].dags
                for task in dag.tasks
            )
        ):
            self.breaks("the plan tells the status", f"{run}: {log.finished}")
        for name, dag in log.dags.items():
            expected = _predicted(dag.plan)
            states = model.picture(dag.spec, dag.events)
            if not lost and states != expected:
                self.breaks("the plan tells the status", f"{run} {name}: {states}, planned {expected}")

    def _executions_apart(self) -> None:
        for (run, dag, task, attempt), executions in self.executions.items():
            for one, two in pairwise(executions):
                overlap = (one.ended is None or one.ended > two.began) and (two.ended is None or two.ended > one.began)
                absences = self.away[one.worker] + self.away[two.worker]
                if overlap and not any(end > min(one.began, two.began) - RENEWAL for _, end in absences):
                    what = f"{run} {dag} {task} attempt {attempt}: {one}, {two}"
                    self.breaks("executions overlap only where one was cut off", what)

    def once(self, run: str, elements: Iterable[str], total: float) -> None:
        """What was to be stored once is there once, if its call came back."""
        listed = list(elements)
        if len(listed) != len(set(listed)):
            self.breaks("once is once", f"{run}: {sorted(listed)}")
        pushed = {element for kind, where, element in self.acknowledged if kind is Do.PUSH and where == run}
        if not pushed <= set(listed):
            self.breaks("what was stored is there", f"{run}: {sorted(pushed - set(listed))} are missing")
        added = {element for kind, where, element in self.acknowledged if kind is Do.ADD and where == run}
        if total < len(added) or total > self._most_added(run):
            self.breaks("once is once", f"{run}: the sum is {total}, {len(added)} calls came back")

    def _most_added(self, run: str) -> int:
        log = self.runs[run]
        tasks = [task for dag in log.dags.values() for task in dag.plan.tasks if dag.tasks[task.id].events]
        return sum(step.do is Do.ADD for task in tasks for step in task.steps)


def _opening_of(job: Job) -> int:
    """How often what the job is about had ended before."""
    match job:
        case WorkflowJob(reopening=Reopening(number=number)) | DagJob(opening=number):
            return number
    return 0


def _merged(intervals: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Absences that follow each other at once are one."""
    merged: list[tuple[float, float]] = []
    for begin, end in sorted(intervals):
        if merged and begin <= merged[-1][1] + RENEWAL:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((begin, end))
    return merged


def _line(run: str, dag: str | None, last: str | None, record: Record, event: Event) -> str:
    fields = ("task", "attempt", "execution", "worker", "lost", "status", "dag", "key", "reason", "by", "grace")
    told = " ".join(f"{name}={value}" for name in fields if (value := getattr(event, name, None)) not in (None, ""))
    return f"{run} {dag or '_'} {record.seq}: {type(event).__name__} {told}"


def _is_same(dag: DagLog, status: Status) -> bool:
    """Whether a dag run ended so; where it was stopped when all was done, what its driver read first counts."""
    assert dag.finished is not None
    ends = {dag.finished.status, status}
    return len(ends) == 1 or (ends == {Status.SUCCEEDED, Status.STOPPED} and not dag.finished.cancelled)


def _is_as_planned(plan: TaskPlan, event: Outcome) -> bool:
    match event:
        case TaskSucceeded():
            return event.attempt > plan.fails and plan.end is not End.ABORT
        case TaskAborted():
            return event.attempt > plan.fails and plan.end is End.ABORT
        case TaskFailed(error=error):
            expected = "ValueError" if plan.timeout is None else _TIMED_OUT
            return (event.attempt <= plan.fails and error.type == expected) or error.type in (
                *_NOT_THE_CODE,
                _TIMED_OUT,
            )


def _is_unforeseen(dag: DagPlan, event: TaskFailed) -> bool:
    """Whether it depends on time that an attempt failed: that of its worker, or its own."""
    [plan] = [task for task in dag.tasks if task.id == event.task]
    return event.error.type in _NOT_THE_CODE or (event.error.type == _TIMED_OUT and event.attempt > plan.fails)


def _is_tried_again(plan: TaskPlan, event: TaskFailed, before: int) -> bool:
    return event.attempt - before < plan.attempts and event.error.type != WORKER_LOST


def _is_timed(dag: DagPlan) -> bool:
    """Whether it depends on time, or chance, what becomes of its tasks."""
    return any(
        task.end is End.ABORT
        or any(step.do in (Do.STOP_DAG, Do.STOP_WORKFLOW) for step in task.steps)
        or (task.fails >= task.attempts and task.on_failure is not OnFailure.SKIP_SUCCESSORS)
        for task in dag.tasks
    )


def _predicted(dag: DagPlan) -> dict[TaskId, str]:
    states: dict[str, str] = {}
    tasks = {task.id: task for task in dag.tasks}

    def lets(parent: TaskPlan, child: str) -> bool:
        if states[parent.id] == "succeeded":
            limit = () if parent.end is End.STOP_TASK and parent.limit is None else parent.limit
            return limit is None or child in limit
        return states[parent.id] == "skipped" and not parent.propagate_skip

    for task in dag.tasks:
        parents = [tasks[parent] for parent, child in dag.edges if child == task.id]
        if parents and not task.force_run and not any(lets(parent, task.id) for parent in parents):
            states[task.id] = "skipped"
        else:
            states[task.id] = "failed" if task.fails >= task.attempts else "succeeded"
    return {TaskId(name): state for name, state in states.items()}
