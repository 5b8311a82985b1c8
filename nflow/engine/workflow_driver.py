"""Drives one workflow run: starts its dags, grants what tasks ask for, passes stops on, records the end."""

import asyncio

from nflow.bus.port import Job, Record
from nflow.core import workflow_run
from nflow.core.commands import Command, FinishRun, StartDag, StopDag
from nflow.core.commands import Record as RecordEvents
from nflow.core.events import Event, RunFinished, RunStarted, Status, StopRequested
from nflow.core.jobs import DagJob, WorkflowJob
from nflow.core.spec import WorkflowSpec
from nflow.core.workflow_run import WorkflowRun
from nflow.engine.driver import Driver
from nflow.engine.engine import Engine
from nflow.engine.runs import AT_THE_END, RunEntry
from nflow.wire.messages import pack_events, pack_job

#: Who stops a run whose time is over, and the seconds that its tasks have left then.
DEADLINE = "deadline"
DEADLINE_GRACE = 10.0


class WorkflowDriver(Driver):
    """One workflow run, from its job to its `RunFinished`."""

    _machine: WorkflowRun
    _spec: WorkflowSpec

    def __init__(self, engine: Engine, job: Job, message: WorkflowJob) -> None:
        super().__init__(engine, job, message.run, None)
        self._message = message
        self._started: float | None = None
        self._finished: tuple[RunFinished, float] | None = None
        self._starting = self._finishing = False
        self._is_overdue = False  #: the stop of its deadline is on record
        self._noting = asyncio.Lock()  # one that is held up must not overwrite the next one

    async def _prepare(self) -> None:
        self._spec = await self.engine.specs.get(self._message.spec)
        self._machine = WorkflowRun(self.run, self._spec)

    def _apply(self, event: Event, record: Record) -> list[Command]:
        before = self._machine.state
        if isinstance(event, RunStarted):
            self._started = record.at
        elif isinstance(event, RunFinished) and self._finished is None:
            self._finished = event, record.at
            if self.live:
                self.spawn(self._close_run(event, record.at))
        elif isinstance(event, StopRequested) and event.by == DEADLINE:
            self._is_overdue = True
        commands = workflow_run.apply(self._machine, event)
        if self.live and isinstance(event, RunStarted):
            self._watch_deadline()
        if self.live and self._finished is None and self._machine.state is not before:
            self.spawn(self._note(self._machine.state.value))
        return commands

    def _outstanding(self) -> list[Command]:
        if self._started is None:
            if not self._starting:
                self._starting = True
                self.spawn(self._start())
            return []
        if self._finished is not None:
            self.spawn(self._close_run(*self._finished))
            return []
        self._watch_deadline()
        return workflow_run.outstanding(self._machine)

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
        )
        self.record([started])

    def _watch_deadline(self) -> None:
        if self._spec.deadline is not None and not self._is_overdue:
            self.spawn(self._stop_at_deadline(self._spec.deadline))

    async def _stop_at_deadline(self, seconds: float) -> None:
        """Stop the run when it has taken so long, by the server's clock."""
        assert self._started is not None
        await asyncio.sleep(self._started + seconds - self.now())  # a clock, not a wait
        reason = f"the run took longer than its deadline of {seconds:g} s"
        stop = StopRequested(reason=reason, by=DEADLINE, status=Status.FAILED, grace=DEADLINE_GRACE)
        await self.engine.bus.append(self.engine.subjects.ask(self.run), pack_events([stop]))

    async def _start_dag(self, command: StartDag) -> None:
        await self.recorded()
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
        )
        await self.engine.bus.enqueue(self.engine.subjects.job_dag(job.queue, self.run, job.dag), pack_job(job))

    async def _stop_dag(self, command: StopDag) -> None:
        stop = StopRequested(reason=command.reason, by=command.by, status=command.status, grace=command.grace)
        await self.engine.bus.append(self.engine.subjects.stop(self.run, command.dag), pack_events([stop]))

    async def _finish(self) -> None:
        """Record the end, unless a look at the log shows that somebody has asked for more."""
        await self.recorded()
        is_complete = await self.follower.complete()
        match workflow_run.outstanding(self._machine):  # asked anew: a push may have been faster than the look
            case [*_, FinishRun(status=status, reason=reason)] if is_complete:
                self.record([RunFinished(status=status, reason=reason)])
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
