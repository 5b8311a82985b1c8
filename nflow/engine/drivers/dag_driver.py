"""Drives one dag run: dispatches what is ready, settles what a stop reaches, tells the workflow how it ended."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import starmap

from nflow.bus.port import Job, Record
from nflow.core import dag_run
from nflow.core.commands import Cancel, Command, Dispatch, FinishDag, StopRun, WakeLater
from nflow.core.commands import Record as RecordEvents
from nflow.core.dag_run import DagRun, TaskState
from nflow.core.dataset import Ref, TaskInput
from nflow.core.events import (
    DagFinished,
    DagReopened,
    Event,
    StopRequested,
    TaskCancelled,
    TaskEvent,
    TaskFailed,
    TaskStarted,
    TaskSucceeded,
)
from nflow.core.ids import DagName, TaskId
from nflow.core.jobs import DagJob, TaskJob
from nflow.core.spec import TaskSpec
from nflow.engine.drivers.driver import Driver
from nflow.engine.engine import Engine, is_light
from nflow.engine.log import damaged, events_of
from nflow.engine.reopening import last_end_of
from nflow.errors import BrokenMessage, Conflict
from nflow.wire.messages import pack_events, pack_job

#: Jobs of one dag run that are sent in one go.
DISPATCHES_AT_ONCE = 256

#: All tokens of the subject of a task's job.
_TOKENS_OF_A_JOB = 10


class DagDriver(Driver):
    """One dag run, from its job to its `DagFinished`."""

    _machine: DagRun

    def __init__(self, engine: Engine, job: Job, message: DagJob) -> None:
        super().__init__(engine, job, message.run, message.dag)
        self._message = message
        self._dag = message.dag
        self._after: dict[TaskId, int] = {}  # the last event of a task on its own subject, but for claims
        self._own_subject = engine.subjects.own(message.run, message.dag)
        self._failed: dict[TaskId, float] = {}  # when the last attempt's end was recorded, by the server's clock
        self._claims: dict[TaskId, tuple[TaskStarted, Record]] = {}  # the last ones, while the log is being folded
        self._tasks: dict[TaskId, TaskSpec] = {}
        self._python = ""
        self._before_end: list[asyncio.Task[None]] = []  # what must be on record before the end is

    async def _prepare(self) -> None:
        spec = await self.engine.specs.get(self._message.spec)
        dag = spec.dags[DagName(self._dag.rpartition(":")[0])]
        self._python = spec.python
        self._tasks = {task.id: task for task in dag.tasks}
        dag_input = await self.engine.unpack(self._message.input, self._message.input_blob)
        self._machine = DagRun(self._dag, dag, dag_input)

    def _apply(self, event: Event, record: Record) -> list[Command]:
        if self.live and isinstance(event, DagReopened):
            self._on_reopened(event)
            return []
        if isinstance(event, TaskEvent) and not isinstance(event, TaskStarted) and record.subject != self._own_subject:
            self._after[event.task] = max(record.seq, self._after.get(event.task, 0))  # pushes may be late
        if isinstance(event, TaskFailed):
            self._failed[event.task] = record.at
        if isinstance(event, TaskStarted) and not self.live:
            self._claims[event.task] = event, record
        return dag_run.apply(self._machine, event)

    def _on_reopened(self, event: DagReopened) -> None:
        """It has ended, by whatever record, and has another job, whose driver begins with a fold."""
        if event.number > self._machine.opening and not self.ending:
            self._stand_down()

    async def _is_over(self) -> bool:
        _, finished = await last_end_of(self.engine, self.run, self._dag)
        return finished is not None and finished.opening >= self._message.opening

    async def _has_ended(self, owner: int) -> bool:
        if not self._message.opening:
            return False
        end, _ = await last_end_of(self.engine, self.run, self._dag)
        return end > owner

    async def _look_up(self) -> None:
        missing = dag_run.missing_outputs(self._machine)
        subjects = [self.engine.subjects.task(self.run, self._dag, task) for task in missing]
        for record in await self.engine.bus.last_of_each(subjects) if subjects else ():
            for event in events_of(record):
                if isinstance(event, TaskSucceeded):
                    dag_run.supply(self._machine, event)

    def _outstanding(self) -> list[Command]:
        running = self._machine.tasks_in(TaskState.RUNNING) if self._claims else []
        claims = {task: self._claims[task] for task in running if task in self._claims}
        self._claims = {}
        if claims:
            self.spawn(self._look_for_lost(claims))
        return dag_run.outstanding(self._machine)

    async def _look_for_lost(self, claims: Mapping[TaskId, tuple[TaskStarted, Record]]) -> None:
        """See that those which run have a job: it goes after their outcomes are recorded, so these must be there then.

        Raises:
            LogDamaged: neither is there, and nobody is at it: it would be waited for without end.
        """
        stored = await self.engine.bus.heads(self.engine.subjects.task_jobs(self.run, self._dag), _TOKENS_OF_A_JOB)
        jobs = {task: self._job_subject(self._tasks[task], claim.attempt) for task, (claim, _) in claims.items()}
        missing = [task for task, job in jobs.items() if job not in stored]
        if not missing:
            return
        await self.follower.complete()
        for task in missing:
            claim, record = claims[task]
            if self._is_claimed(claim) and not await self.engine.holdings.is_held(jobs[task], claim.worker):
                raise damaged(record, BrokenMessage("It is a claim whose outcome is missing, and its job is gone."))

    def _is_claimed(self, claim: TaskStarted) -> bool:
        """Whether this is still the last that was heard of a task."""
        known = self._machine.claims[self._machine.graph.index[claim.task]]
        return self._machine.state_of(claim.task) is TaskState.RUNNING and known == (claim.attempt, claim.execution)

    def _perform(self, commands: list[Command]) -> None:
        ready: list[Dispatch] = []
        cancelled: list[Cancel] = []
        for command in commands:
            match command:
                case Dispatch():
                    ready.append(command)
                case Cancel():
                    cancelled.append(command)
                case _:
                    self._perform_one(command)
        if cancelled:
            known = [(command, self._after.get(command.task, 0)) for command in cancelled]
            self._before_end.append(self.spawn(self._cancel_all(known)))
        if len(ready) > DISPATCHES_AT_ONCE:
            self.spawn(self._dispatch_all(ready))
        else:
            for each in ready:
                self._dispatch(each)

    def _perform_one(self, command: Command) -> None:
        match command:
            case RecordEvents(events=events):
                self.record(events)
            case WakeLater():
                self.spawn(self._wake_later(command))
            case StopRun():
                self._before_end.append(self.spawn(self._stop_run(command)))
            case FinishDag():
                self.spawn(self._finish(command))

    async def _wake_later(self, command: WakeLater) -> None:
        """Begin the next attempt when its pause is over, which began when the last one's end was recorded."""
        await asyncio.sleep(self._failed[command.task] + command.seconds - self.now())  # a clock, not a wait
        if commands := dag_run.wake(self._machine, command.task, command.attempt):
            self.act(commands)

    async def _dispatch_all(self, ready: Sequence[Dispatch]) -> None:
        """A wide fan-out goes in portions, so that the loop stays free for what comes back meanwhile."""
        for start in range(0, len(ready), DISPATCHES_AT_ONCE):
            for command in ready[start : start + DISPATCHES_AT_ONCE]:
                self._dispatch(command)
            await self.engine.bus.flush()

    def _dispatch(self, command: Dispatch) -> None:
        is_waited_for = self._machine.state_of(command.task) in (TaskState.READY, TaskState.RETRYING)
        if not is_waited_for or self._machine.stopping is not None:
            return  # its turn came late: it was claimed from an earlier dispatch, or the dag is stopping
        given, after = dag_run.input_of(self._machine, command.task), self._after.get(command.task, 0)
        if is_light(given):
            self._post(command, after, given, None)
        else:
            self.spawn(self._dispatch_large(command, after, given))

    async def _dispatch_large(self, command: Dispatch, after: int, given: TaskInput) -> None:
        self._post(command, after, *await self.engine.pack_up(self.run, given))

    def _post(self, command: Dispatch, after: int, given: TaskInput | None, blob: Ref | None) -> None:
        task = self._tasks[command.task]
        job = TaskJob(
            run=self.run,
            workflow=self._message.workflow,
            directory=self._message.directory,
            folder=self._message.folder,
            dag=self._dag,
            task=task.id,
            name=task.name,
            attempt=command.attempt,
            queue=task.queue,
            code=task.code,
            after=after,
            input=given,
            input_blob=blob,
            opening=self._machine.opening,
            renewed=self._machine.renewed_in(task.id),
            timeout=task.timeout,
        )
        self.engine.bus.post_job(self._job_subject(task, command.attempt), pack_job(job))

    async def _cancel_all(self, cancelled: Sequence[tuple[Cancel, int]]) -> None:
        """Cancel these, each after the event of its task that was the last one when that was decided."""
        for start in range(0, len(cancelled), DISPATCHES_AT_ONCE):
            await asyncio.gather(*starmap(self._cancel, cancelled[start : start + DISPATCHES_AT_ONCE]))

    async def _cancel(self, command: Cancel, after: int) -> None:
        """Settle a task that nobody has claimed. Should a worker claim it first, its outcome is waited for."""
        task = self._tasks[command.task]
        subject = self.engine.subjects.task(self.run, self._dag, task.id)
        cancelled = TaskCancelled(task=task.id, reason=command.reason, attempt=command.attempt)
        try:
            await self.engine.bus.append(subject, pack_events([cancelled]), expect=after)
        except Conflict:
            return
        await self.engine.bus.withdraw(self._job_subject(task, command.attempt))

    async def _stop_run(self, command: StopRun) -> None:
        stop = StopRequested(reason=command.reason, by=command.by, status=command.status)
        # An owner of long ago must not stop a run that was reopened since.
        await self.engine.bus.append(self.engine.subjects.ask(self.run), pack_events([stop]), guard=self.guard)

    async def _finish(self, command: FinishDag) -> None:
        self.ending = True
        await self.recorded()
        await asyncio.gather(*self._before_end)
        opening = self._machine.opening
        earlier, end = await last_end_of(self.engine, self.run, self._dag) if opening else (0, None)
        if end is not None and end.opening >= opening:
            self.end()
            return
        finished = DagFinished(
            dag=self._dag,
            status=command.status,
            succeeded=command.succeeded,
            failed=command.failed,
            skipped=command.skipped,
            cancelled=command.cancelled,
            opening=opening,
            reason=command.reason,
        )
        with suppress(Conflict):  # an earlier driver of this dag run had come so far
            await self.engine.bus.append(
                self.engine.subjects.dag_finished(self.run, self._dag), pack_events([finished]), expect=earlier
            )
        self.end()

    def _job_subject(self, task: TaskSpec, attempt: int) -> str:
        return self.engine.subjects.job_task(task.queue, self._python, self.run, self._dag, task.id, attempt)
