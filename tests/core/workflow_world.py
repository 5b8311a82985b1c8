"""A small world around one workflow run: a log, dag runs that ask for others, people who stop things, dying drivers."""

from collections import deque
from collections.abc import Iterable
from random import Random

from nflow.core.commands import Command, FinishRun, Record, StartDag, StopDag
from nflow.core.events import (
    DagFinished,
    DagRefused,
    DagRequested,
    DagStarted,
    Event,
    OwnerChanged,
    RunFinished,
    RunRetried,
    RunStarted,
    Status,
    StopRequested,
)
from nflow.core.ids import DagId, DagName, RunId
from nflow.core.spec import WorkflowSpec
from nflow.core.workflow_run import (
    WorkflowRun,
    apply,
    autostart_key,
    can_be_reopened,
    check_invariants,
    outstanding,
    request_of,
    unasked,
)
from nflow.core.workflow_state import name_of
from tests.core.build import WORKER, dag, stop, workflow
from tests.core.model import current_run, first, overview, run_status

RUN_STARTED = RunStarted(workflow="wf", spec="digest", engine="0.1")


def random_workflow(random: Random) -> WorkflowSpec:
    names = random.sample(["main", "sub", "a:b"], random.randint(0, 3))
    return workflow(*(dag("", name=name, autostart=random.random() < 0.6) for name in names))


class WorkflowWorld:
    """Everything there is, and what may happen to it."""

    def __init__(self, random: Random, spec: WorkflowSpec, *, one_driver: bool = False) -> None:
        self.random, self.spec, self.one_driver = random, spec, one_driver
        self.log: list[Event] = []
        self.channels: dict[str, deque[Event]] = {}
        self.jobs: dict[DagId, int] = {}
        self.opening = 0
        self.told_to_stop: set[DagId] = set()
        self.todo: deque[Command] = deque()
        self.seen: list[Event] = []
        self.promised: dict[str, DagId] = {}
        self.run = WorkflowRun(RunId("r1"), spec)
        if random.random() < 0.1:
            self.write("stop", stop())
        self.lose_driver()

    # --- what may happen ---

    def step(self) -> None:
        """Something happens, unless the run is over."""
        if self.is_over:
            return
        happenings = [self.see, self.see, self.carry_out, self.carry_out, self.ask, self.ask, self.end_dag]
        chance = self.random.random()
        if chance < 0.05 and not self.one_driver:
            happenings = [self.lose_driver]
        elif chance < 0.06:
            happenings = [self.stop_run]
        elif chance < 0.1:
            happenings = [self.stop_dag, self.see_again]
        self.random.choice(happenings)()

    def run_to_the_end(self) -> None:
        """From here on, nothing is lost and nobody asks for more."""
        while any(self.channels.values()) or self.todo or self.jobs:
            self.see()
            self.carry_out()
            self.end_dag()

    @property
    def now(self) -> list[Event]:
        """What counts of the log."""
        return current_run(self.log)

    @property
    def is_over(self) -> bool:
        return first(self.now, RunFinished) is not None

    def reopen(self) -> None:
        """Somebody wants it to go on, and another driver begins; now and then what succeeded is done again too."""
        assert not self.jobs
        self.opening += 1
        self.told_to_stop.clear()
        self.lose_driver()
        redone = [dag for dag in self.run.ended if dag not in self.run.superseded and self.random.random() < 0.2]
        again = dict.fromkeys([*can_be_reopened(self.run), *redone])
        redo = dict.fromkeys(redone, ())
        superseded = tuple(dag for dag in self.run.ended if dag not in again or self.random.random() < 0.1)
        dags = tuple(dag for dag in again if dag not in superseded)
        self.write("_", RunRetried(number=self.opening, by="ada", dags=dags, redo=redo, superseded=superseded))

    def write(self, channel: str, *events: Event) -> None:
        self.log += events
        self.channels.setdefault(channel, deque()).extend(events)

    def mixed_up(self) -> list[Event]:
        """The log in another order, some of it twice; what the owner wrote keeps its order.

        Whoever drives a run that was reopened has read in order what was before that.
        """
        read: list[Event] = []
        channels: dict[str, deque[Event]] = {}
        for event in self.log:
            match event:
                case DagRequested(key=key):
                    channels.setdefault(key, deque()).append(event)
                case DagFinished(dag=dag):
                    channels.setdefault(dag, deque()).append(event)
                case RunRetried():
                    read += [*self.mixed(channels), event]
                case _:
                    channels.setdefault("_", deque()).append(event)
        return read + self.mixed(channels)

    def mixed(self, channels: dict[str, deque[Event]]) -> list[Event]:
        read: list[Event] = []
        while left := [channel for channel in channels.values() if channel]:
            read.append(self.random.choice(left).popleft())
            if self.random.random() < 0.2:
                read.append(self.random.choice(read))
        return read

    # --- the driver ---

    def see(self) -> None:
        if waiting := [channel for channel in self.channels.values() if channel]:
            self.take_in(self.random.choice(waiting).popleft())

    def see_again(self) -> None:
        """A record is read once more; the stops of an earlier opening, which say nothing of when, never are."""
        recent = self.seen
        for position, event in enumerate(self.seen):
            if isinstance(event, RunRetried):
                recent = self.seen[position:]
        if recent:
            self.take_in(self.random.choice(recent))

    def fold(self, event: Event) -> list[Command]:
        self.seen.append(event)
        commands = apply(self.run, event)
        check_invariants(self.run)
        return commands

    def take_in(self, event: Event) -> None:
        is_news = isinstance(event, RunRetried) and event.number > self.run.opening
        was_due = self.run.is_due and not is_news
        commands = self.fold(event)
        self.accept(commands)
        assert any(isinstance(command, FinishRun) for command in commands) == (self.run.is_due and not was_due)
        self.look_up()

    def look_up(self) -> None:
        """Read again what is needed once more."""
        for key in unasked(self.run):
            request = first(self.log, DagRequested, key=key)
            assert request is not None
            self.accept(self.fold(request))
        assert unasked(self.run) == []

    def accept(self, commands: Iterable[Command]) -> None:
        for command in commands:
            if isinstance(command, Record):
                self.promised |= {each.key: each.dag for each in command.events if isinstance(each, DagStarted)}
            if isinstance(command, FinishRun):
                assert command.status is run_status(current_run(self.seen), self.run.stop)
        self.todo.extend(commands)
        self.check()

    def check(self) -> None:
        expected = overview(self.spec, current_run(self.seen), self.promised)
        run = self.run
        assert run.state.value == expected.state
        assert run.refused == expected.refused
        if run.status is None:
            assert {run.holders[dag] for dag in run.running} == expected.running
            assert run.is_due == (expected.state != "waiting" and run.is_started and not expected.running)

    def carry_out(self) -> None:
        if not self.todo:
            return
        match self.todo.popleft():
            case Record(events=events):
                self.write("_", *events)
            case StartDag(dag=dag, name=name, key=key):
                assert DagStarted(key=key, dag=dag) in self.log, "a dag is started that is not on record"
                self.check_request(key, name, dag)
                if first(self.now, DagFinished, dag=dag) is None:
                    self.jobs[dag] = self.run.openings.get(dag, 0)
            case StopDag(dag=dag):
                self.told_to_stop.add(dag)
            case FinishRun() as command:
                self.finish(command)

    def check_request(self, key: str, name: DagName, dag: DagId) -> None:
        assert name == name_of(dag)
        request = request_of(self.run, key)
        if key == autostart_key(name):
            assert request is None
        elif dag not in self.run.ended:
            assert request is not None
            assert request.dag == name

    def finish(self, command: FinishRun) -> None:
        """End the run after a look that the log holds nothing unread."""
        while any(self.channels.values()):
            self.see()
        if any(not isinstance(other, FinishRun) for other in self.todo):
            self.todo.append(command)
        elif self.run.is_due:
            last = outstanding(self.run)[-1]
            assert isinstance(last, FinishRun)
            assert not self.jobs, "the run ends while a dag runs"
            self.write("_", RunFinished(status=last.status, reason=last.reason, opening=self.run.opening))

    def lose_driver(self) -> None:
        """Another one takes over, or comes first: it reads the log and asks what is to be done."""
        self.write("_", OwnerChanged(worker=WORKER))
        self.channels.clear()
        self.todo.clear()
        self.promised.clear()
        self.run, self.seen = WorkflowRun(RunId("r1"), self.spec), []
        for event in self.log:
            self.fold(event)
        if not self.run.is_started:
            self.log.append(RUN_STARTED)
            self.fold(RUN_STARTED)
        self.accept(outstanding(self.run))
        self.look_up()
        self.check_stops()

    def check_stops(self) -> None:
        stopped = {command.dag for command in self.todo if isinstance(command, StopDag)}
        singly = {event.dag for event in self.now if isinstance(event, StopRequested)}
        expected = set(self.run.running) if self.run.stop else set(self.run.running) & singly
        assert stopped == expected

    # --- the others ---

    def ask(self) -> None:
        if not self.jobs:
            return
        asked = [event for event in self.log if isinstance(event, DagRequested)]
        if asked and self.random.random() < 0.2:
            event = self.random.choice(asked)
        else:
            name = self.random.choice([*self.spec.dags, *self.spec.dags, "ghost"])
            event = DagRequested(key=f"k{len(asked)}", dag=DagName(name), by="main:1/t")
        self.write(event.key, event)

    def end_dag(self) -> None:
        if not self.jobs:
            return
        dag = self.random.choice(list(self.jobs))
        opening = self.jobs.pop(dag)
        status = (
            self.random.choice([Status.SUCCEEDED, Status.STOPPED]) if dag in self.told_to_stop else Status.SUCCEEDED
        )
        if self.random.random() < 0.05:
            status = Status.FAILED
            self.write("stop", stop("a task failed", status=Status.FAILED))
        self.write(dag, DagFinished(dag=dag, status=status, opening=opening))

    def stop_run(self) -> None:
        self.write("stop", stop())

    def stop_dag(self) -> None:
        known = [event.dag for event in self.log if isinstance(event, DagStarted)]
        self.write("stop", stop(of=self.random.choice([*known, "ghost:1"])))

    def answers_to(self, key: str) -> list[Event]:
        return [event for event in self.now if isinstance(event, DagStarted | DagRefused) and event.key == key]
