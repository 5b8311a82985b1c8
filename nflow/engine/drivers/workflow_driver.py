"""Drives one workflow run: starts its dags, grants what tasks ask for, passes stops on, records the end."""

import asyncio

from nflow.bus.paging import all_records
from nflow.bus.port import Job, Record
from nflow.core import workflow_run
from nflow.core.commands import Command, FinishRun, StartDag, StopDag
from nflow.core.commands import Record as RecordEvents
from nflow.core.events import DagRequested, Event, RunFinished, RunRetried, RunStarted, Status, StopRequested
from nflow.core.jobs import DagJob, WorkflowJob
from nflow.core.jobs import Job as Message
from nflow.core.spec import WorkflowSpec
from nflow.core.workflow_run import WorkflowRun
from nflow.engine.drivers.deadline import Deadline
from nflow.engine.drivers.driver import Driver
from nflow.engine.drivers.resumption import Resumption
from nflow.engine.engine import Engine
from nflow.engine.log import events_of
from nflow.engine.reopening import enqueue_anew
from nflow.engine.runs import AT_THE_END, RunEntry
from nflow.wire.messages import pack_events, pack_job


class WorkflowDriver(Driver):
    """One workflow run, from its job to its `RunFinished`."""

    _machine: WorkflowRun
    _spec: WorkflowSpec
    _deadline: Deadline
    _resumption: Resumption

    def __init__(self, engine: Engine, job: Job, message: WorkflowJob) -> None:
        super().__init__(engine, job, message.run, None)
        self._message = message
        self._started: float | None = None
        self._finished: tuple[RunFinished, float] | None = None
        self._starting = self._finishing = False
        self._noting = asyncio.Lock()  # one that is held up must not overwrite the next one

    async def _prepare(self) -> None:
        self._spec = await self.engine.specs.get(self._message.spec)
        self._machine = WorkflowRun(self.run, self._spec)
        self._deadline = Deadline(self, self._spec.deadline)
        self._resumption = Resumption(self, self._machine, self._message.reopening)

    def _apply(self, event: Event, record: Record) -> list[Command]:
        before = self._machine.state
        self._deadline.take(event, record.at)
        if isinstance(event, RunStarted):
            self._started = record.at
        elif isinstance(event, RunFinished) and self._finished is None and event.opening >= self._machine.opening:
            self._finished = event, record.at
            if self.live:
                self.spawn(self._close_run(event, record.at))
        elif isinstance(event, RunRetried) and event.number > self._machine.opening:
            self._finished, self._finishing = None, False
            if self.live:
                self._resumption.note_retried(record)
                self.spawn(self._go_on())
        elif isinstance(event, StopRequested):
            self._resumption.note_stop(event, record, has_ended=self._finished is not None)
        commands = workflow_run.apply(self._machine, event)
        if self.live and isinstance(event, RunStarted | RunRetried):
            self._deadline.watch()
        if self.live and self._finished is None and self._machine.state is not before:
            self.spawn(self._note(self._machine.state.value))
        return commands

    def _outstanding(self) -> list[Command]:
        if self._finished is not None:
            if self._resumption.is_due:
                self._resumption.begin()
            else:
                self.spawn(self._close_run(*self._finished))
            return []
        if self._started is None:
            if not self._starting:
                self._starting = True
                self.spawn(self._start())
            return []
        self._deadline.watch()
        return workflow_run.outstanding(self._machine)

    async def _has_ended(self, owner: int) -> bool:
        if self._message.reopening is None:
            return False
        last = await self.engine.bus.last(self.engine.subjects.own(self.run))
        return last is not None and last.seq > owner and isinstance(events_of(last)[-1], RunFinished)

    async def _look_up(self) -> None:
        """Find the requests of dag runs that had succeeded and are to run again: of those, nothing is kept."""
        wanted = set(workflow_run.unasked(self._machine))
        if not wanted:
            return
        async for record in all_records(self.engine.bus, self.engine.subjects.ask(self.run)):
            for event in events_of(record):
                if isinstance(event, DagRequested) and event.key in wanted:
                    commands = workflow_run.apply(self._machine, event)
                    if self.live:
                        self._perform(commands)

    def _perform(self, commands: list[Command]) -> None:
        for command in commands:
            match command:
                case RecordEvents(events=events):
                    self.record(events)
                case StartDag():
                    self.spawn(self._start_dag(command))
                case StopDag():
                    self.spawn(self._stop_dag(command))
                case FinishRun() if not self._finishing:
                    self._finishing = True
                    self.spawn(self._finish())
                case _:
                    pass

    async def _start(self) -> None:
        """Lay down the parameters, then say that the run has begun; what follows comes back as an event."""
        await self.engine.store.seed(self.run, self._message.parameters)
        started = RunStarted(
            workflow=self._message.workflow,
            spec=self._message.spec,
            engine=self._spec.engine,
            parameters=self._message.parameters,
            queue=self._message.queue,
            submitted=self._message.submitted,
            directory=self._message.directory,
            folder=self._message.folder,
            keep_data=self._message.keep_data,
            has_file=self._message.has_file,
        )
        self.record([started])

    async def _go_on(self) -> None:
        """The run has just been reopened: begin, should that never have been done, and find what was let go."""
        if self._started is None:
            await self._start()
        await self._look_up()

    async def _start_dag(self, command: StartDag) -> None:
        await self.recorded()
        await self._resumption.reopen_dag(command.dag)
        request = workflow_run.request_of(self._machine, command.key)
        job = DagJob(
            run=self.run,
            workflow=self._message.workflow,
            directory=self._message.directory,
            folder=self._message.folder,
            spec=self._message.spec,
            dag=command.dag,
            queue=self._spec.dags[command.name].queue,
            input=request.input if request else None,
            input_blob=request.input_blob if request else None,
            opening=self._machine.openings.get(command.dag, 0),
        )

        subject = self.engine.subjects.job_dag(job.queue, self.run, job.dag)
        if not job.opening:
            await self.engine.bus.enqueue(subject, pack_job(job))
            return

        def is_over(there: Message) -> bool:
            return isinstance(there, DagJob) and there.opening < job.opening

        await enqueue_anew(self.engine.bus, subject, job, is_over)

    async def _stop_dag(self, command: StopDag) -> None:
        await self._resumption.reopen_dag(command.dag)
        stop = StopRequested(
            reason=command.reason,
            by=command.by,
            status=command.status,
            grace=command.grace,
            opening=self._machine.openings.get(command.dag, 0),
        )
        # An owner of long ago must not stop a dag run that was reopened since.
        await self.engine.bus.append(
            self.engine.subjects.stop(self.run, command.dag), pack_events([stop]), guard=self.guard
        )

    async def _finish(self) -> None:
        """Record the end, unless a look at the log shows that somebody has asked for more."""
        await self.recorded()
        is_complete = await self.follower.complete()
        match workflow_run.outstanding(self._machine):  # asked anew: a push may have been faster than the look
            case [*_, FinishRun(status=status, reason=reason)] if is_complete:
                self.record([RunFinished(status=status, reason=reason, opening=self._machine.opening)])
            case commands:  # what else there is was carried out as it was read
                self._finishing = False
                self._perform([command for command in commands if isinstance(command, FinishRun)])

    async def _close_run(self, finished: RunFinished, at: float) -> None:
        """The end is recorded: tell people, and let go of what only a failed run may need again."""
        self.ending = True
        keeps_data = finished.status is not Status.SUCCEEDED or self._message.keep_data
        dropped = "" if keeps_data else AT_THE_END
        await self._note(finished.status.value, ended=at, reason=finished.reason, dropped=dropped)
        if not keeps_data:
            await self.engine.store.drop(self.run)
            await self.engine.blobs.drop(self.run)
        self.end()

    async def _note(self, state: str, *, ended: float | None = None, reason: str = "", dropped: str = "") -> None:
        entry = RunEntry(
            run=self.run,
            workflow=self._message.workflow,
            state=state,
            queue=self._message.queue,
            submitted=self._message.submitted,
            started=self._started,
            ended=ended,
            reason=reason,
            dropped=dropped,
        )
        async with self._noting:
            await self.engine.index.note(entry, self._still_mine)
