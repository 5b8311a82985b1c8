"""A small world around one dag run: a log, a queue, workers, people who stop things, and drivers that die.

Whatever it writes into the log could be written by a real one; what the driver gets to see of it is late, repeated, and
in another order.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from random import Random

from nflow.core.commands import Cancel, Command, Dispatch, FinishDag, Record, StopRun, WakeLater
from nflow.core.dag_run import (
    DagRun,
    TaskState,
    apply,
    begin,
    check_invariants,
    input_of,
    missing_outputs,
    outstanding,
    supply,
    wake,
)
from nflow.core.events import (
    DagReopened,
    Event,
    OwnerChanged,
    Status,
    StopRequested,
    TaskCancelled,
    TaskEvent,
    TaskFailed,
    TaskSkipped,
    TaskStarted,
    TaskSucceeded,
)
from nflow.core.ids import DagId, DagName, TaskId
from nflow.core.retry import RetrySpec
from nflow.core.spec import DagSpec, Edge, OnFailure, TaskSpec
from tests.core.build import WORKER, aborted, failed, released, started, stop, succeeded
from tests.core.model import ENDS, current, dag_status, picture, unstopped, words_of


def random_dag(random: Random) -> DagSpec:
    """Up to seven tasks, now and then two of one name."""
    size = random.randint(0, 7)
    ids = [TaskId(f"t{number}") for number in range(size)]
    edges = [
        Edge(parent=ids[parent], child=ids[child], slot=random.choice([None, "s"]))
        for child in range(size)
        for parent in range(child)
        if random.random() < 0.4
    ]
    random.shuffle(edges)
    return DagSpec(
        name=DagName("main"),
        tasks=tuple(
            TaskSpec(
                id=task,
                name=random.choice([task, task, "same"]),
                code="c",
                force_run=random.random() < 0.15,
                propagate_skip=random.random() < 0.8,
                retry=RetrySpec(attempts=random.randint(1, 3), pause=1.0) if random.random() < 0.3 else None,
                on_failure=random.choice([*OnFailure, OnFailure.STOP_WORKFLOW]),
            )
            for task in ids
        ),
        edges=tuple(edges),
    )


class DagWorld:
    """Everything there is, and what may happen to it."""

    def __init__(self, random: Random, spec: DagSpec, *, calm: bool) -> None:
        self.random, self.spec, self.calm = random, spec, calm
        self.tasks = {task.id: task for task in spec.tasks}
        self.log: list[Event] = []
        self.pauses: list[WakeLater] = []
        self.jobs: list[TaskId] = []
        self.told: list[StopRun] = []
        self.finished: FinishDag | None = None
        self.opening = 0
        self.channels: dict[str, deque[Event]] = {}
        self.seen: list[Event] = []
        self.run = DagRun(DagId("main:1"), spec)
        self.todo: deque[Command] = deque(begin(self.run))

    # --- what may happen ---

    def step(self) -> None:
        """Something happens."""
        happenings = [self.see, self.see, self.carry_out, self.carry_out, self.claim, self.work, self.work]
        happenings += [self.see_again, self.give_back, self.lose_worker, self.wake]
        chance = self.random.random()
        if chance < 0.04:
            self.lose_driver()
        elif chance < 0.05 and not self.calm:
            self.ask_to_stop()
        elif chance < 0.1 and self.finished is not None:
            self.reopen()
        else:
            self.random.choice(happenings)()

    def run_to_the_end(self) -> None:
        """From here on, nothing is lost."""
        while any(self.channels.values()) or self.todo or self.jobs or self.pauses:
            self.see()
            self.wake()
            self.carry_out()
            self.claim()
            self.work()

    def write(self, *events: Event, channel: str = "_") -> None:
        self.log += events
        self.channels.setdefault(channel, deque()).extend(events)

    def mixed_up(self) -> list[Event]:
        """The log in another order, some of it twice; each task's own events, and the owner's, keep theirs.

        Whoever drives a dag run that was reopened has read in order what was before that.
        """
        read: list[Event] = []
        channels: dict[str, deque[Event]] = {}
        for event in self.log:
            if isinstance(event, DagReopened):
                self.mix(channels, read)
                read.append(event)
                continue
            by_worker = isinstance(event, TaskEvent) and not isinstance(event, TaskSkipped)
            channels.setdefault(event.task if by_worker else "_", deque()).append(event)
        self.mix(channels, read)
        return read

    def mix(self, channels: dict[str, deque[Event]], read: list[Event]) -> None:
        while left := [channel for channel in channels.values() if channel]:
            read.append(self.random.choice(left).popleft())
            if self.random.random() < 0.2:
                read.append(self.random.choice(read))

    # --- the driver ---

    def see(self) -> None:
        waiting = [channel for channel in self.channels.values() if channel]
        if waiting:
            self.take_in(self.random.choice(waiting).popleft())

    def see_again(self) -> None:
        if self.seen:
            self.take_in(self.random.choice(self.seen))

    def take_in(self, event: Event) -> None:
        is_news = isinstance(event, DagReopened) and event.number > self.run.opening
        was_settled = self.run.is_settled and not is_news
        commands = self.fold(event)
        self.look_up()
        self.check_state()
        self.check_commands(commands, was_settled=was_settled)
        self.todo.extend(commands)

    def fold(self, event: Event) -> list[Command]:
        self.seen.append(event)
        commands = apply(self.run, event)
        check_invariants(self.run)
        return commands

    def look_up(self) -> None:
        """Read again what is needed once more."""
        missing = missing_outputs(self.run)
        for event in self.log:
            if isinstance(event, TaskSucceeded) and event.task in missing:
                supply(self.run, event)
        assert not missing_outputs(self.run)

    def check_state(self) -> None:
        states = {task.id: self.run.state_of(task.id).value for task in self.spec.tasks}
        seen = current(self.spec, self.seen)
        assert states == picture(self.spec, seen)
        assert self.run.is_settled == (not set(states.values()) - ENDS)
        assert self.run.status == dag_status(self.spec, seen)

    def check_commands(self, commands: list[Command], *, was_settled: bool) -> None:
        assert any(isinstance(command, FinishDag) for command in commands) == (self.run.is_settled and not was_settled)
        assert not any(isinstance(command, Record) for command in commands[1:])
        for command in commands:
            match command:
                case Dispatch(task=task):
                    assert self.run.state_of(task) is TaskState.READY
                    input_of(self.run, task)
                case Cancel(task=task):
                    assert self.run.state_of(task) in (TaskState.READY, TaskState.RETRYING)
                case WakeLater(task=task):
                    assert self.run.state_of(task) is TaskState.RETRYING

    def wake(self) -> None:
        """A pause is over, maybe long after it mattered."""
        if self.pauses:
            pause = self.pauses.pop(self.random.randrange(len(self.pauses)))
            commands = wake(self.run, pause.task, pause.attempt)
            self.check_state()
            self.todo.extend(commands)

    def carry_out(self) -> None:
        if not self.todo:
            return
        match self.todo.popleft():
            case Record(events=events):
                self.write(*events)
            case Dispatch(task=task, attempt=attempt) if attempt == self.attempt_of(task):
                if task not in self.jobs and not self.has_ended(task):
                    self.jobs.append(task)
            case WakeLater() as pause:
                self.pauses.append(pause)
            case Cancel(task=task, attempt=attempt, reason=reason) if attempt == self.attempt_of(
                task
            ) and self.words_of(task)[0] in (None, "ready", "retrying"):
                self.jobs = [job for job in self.jobs if job != task]
                self.write(TaskCancelled(task=task, reason=reason, attempt=attempt), channel=task)
            case StopRun() as command:
                self.told.append(command)
            case FinishDag() as command:
                assert all(self.has_ended(task) for task in self.jobs), "a task of a finished dag may still run"
                self.finished = self.finished or command

    def lose_driver(self) -> None:
        """Another one takes over: it reads the log, now and then some of it twice, and asks what is to be done."""
        self.write(OwnerChanged(worker=WORKER))
        self.channels.clear()
        self.pauses.clear()
        self.run, self.seen = DagRun(DagId("main:1"), self.spec), []
        for event in self.log:
            self.fold(event)
            if self.random.random() < 0.1:
                self.fold(self.random.choice(self.seen))
        self.look_up()
        self.check_state()
        self.todo = deque(outstanding(self.run))
        self.check_outstanding(self.todo)

    def check_outstanding(self, commands: Iterable[Command]) -> None:
        asked = {command.task for command in commands if isinstance(command, Dispatch | Cancel | WakeLater)}
        assert asked == {*self.run.tasks_in(TaskState.READY), *self.run.tasks_in(TaskState.RETRYING)}
        waking = {command.task for command in commands if isinstance(command, WakeLater)}
        assert waking == (set() if self.run.stopping else set(self.run.tasks_in(TaskState.RETRYING)))
        recorded = {event.task for event in self.now if isinstance(event, TaskEvent)}
        derived = {*self.run.tasks_in(TaskState.SKIPPED), *self.run.tasks_in(TaskState.CANCELLED)} - recorded
        batches = [command.events for command in commands if isinstance(command, Record)]
        asked = {event.task for batch in batches for event in batch if isinstance(event, TaskEvent)}
        assert asked == derived

    def reopen(self) -> None:
        """Somebody wants it to go on, and another driver begins."""
        assert not self.jobs
        self.opening += 1
        redo = tuple(task for task in self.tasks if self.random.random() < 0.1)
        self.write(DagReopened(number=self.opening, redo=redo))
        self.finished = None
        self.told.clear()
        self.lose_driver()

    # --- workers ---

    @property
    def now(self) -> list[Event]:
        """What counts of the log."""
        return current(self.spec, self.log)

    def words_of(self, task: TaskId) -> tuple[str | None, TaskEvent | None]:
        return words_of(self.now, self.tasks[task])

    def has_ended(self, task: TaskId) -> bool:
        return self.words_of(task)[1] is not None

    def attempt_of(self, task: TaskId) -> int:
        mine = [event for event in self.log if isinstance(event, TaskEvent | DagReopened)]
        used = tried = 0
        for event in mine:
            match event:
                case DagReopened():
                    used, tried = max(used, tried), 0
                case TaskSkipped() | TaskEvent() if event.task != task or isinstance(event, TaskSkipped):
                    pass
                case TaskFailed(attempt=attempt):
                    used, tried = max(used, attempt), max(tried, attempt)
                case TaskEvent():
                    tried = max(tried, event.attempt)
        return used + 1

    def claims_of(self, task: TaskId) -> int:
        """Executions of the attempt that is being made."""
        mine = (event for event in self.log if isinstance(event, TaskStarted) and event.task == task)
        return max((event.execution for event in mine if event.attempt == self.attempt_of(task)), default=0)

    def jobs_that(self, *are: str | None) -> list[TaskId]:
        return [task for task in self.jobs if self.words_of(task)[0] in are]

    def claim(self) -> None:
        free = self.jobs_that(None, "ready", "retrying")
        if not free:
            return
        task = self.random.choice(free)
        assert unstopped(self.spec, self.now)[task] in ("ready", "retrying"), "a task runs that must not"
        self.write(started(task, self.claims_of(task) + 1, self.attempt_of(task)), channel=task)

    def give_back(self) -> None:
        if running := self.jobs_that("running"):
            task = self.random.choice(running)
            self.write(released(task, self.claims_of(task), self.attempt_of(task)), channel=task)

    def lose_worker(self) -> None:
        if running := self.jobs_that("running"):
            task = self.random.choice(running)
            self.write(started(task, self.claims_of(task) + 1, self.attempt_of(task)), channel=task)

    def work(self) -> None:
        if running := self.jobs_that("running"):
            task = self.random.choice(running)
            outcome = self.outcome_of(task, self.claims_of(task), self.attempt_of(task))
            self.write(outcome, channel=task)
            if isinstance(outcome, TaskFailed):
                self.jobs.remove(task)
        self.jobs = [task for task in self.jobs if not self.has_ended(task)]

    def outcome_of(self, task: TaskId, execution: int, attempt: int) -> Event:
        chance = self.random.random()
        if chance < 0.12 and not self.calm:
            return self.random.choice([failed(task, execution, attempt), aborted(task, execution, attempt)])
        if chance < 0.16 and any(isinstance(event, StopRequested) for event in self.now):
            return TaskCancelled(task=task, reason="killed", attempt=attempt)
        names = [each.name for each in self.spec.tasks]
        limit = tuple(name for name in names if self.random.random() < 0.3)
        return succeeded(task, execution, attempt=attempt, limit=self.random.choice([None, limit, limit]))

    def ask_to_stop(self) -> None:
        asked = stop(status=self.random.choice([Status.STOPPED, Status.FAILED]))
        self.write(replace(asked, opening=self.opening))
