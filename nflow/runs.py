"""Starting, following and steering runs, on an open connection: what every command and every client does."""

import asyncio
import getpass
import logging
import secrets
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from nflow.bus.paging import all_records
from nflow.bus.port import Record
from nflow.core.dataset import INLINE_SIZE_BYTES, Ref
from nflow.core.events import Event, RunFinished, RunRetried, RunStarted, StopRequested
from nflow.core.ids import DagId, RunId
from nflow.core.jobs import Job, Reopening, WorkflowJob
from nflow.core.spec import WorkflowSpec
from nflow.core.workflow_state import name_of
from nflow.engine.engine import Engine
from nflow.engine.log import Follower, events_of, readable
from nflow.engine.ownership import owner_in
from nflow.engine.reopening import enqueue_anew
from nflow.engine.retrying import Past, job_of, past_of, refuse_if_needless, reopening_of
from nflow.engine.runs import RunEntry
from nflow.errors import BlobLost, LogDamaged, MessageError, SchemaTooNew, StorageFull, UsageError
from nflow.models.workflow import Workflow
from nflow.shipment import Shipment, pack
from nflow.view.run import RunView
from nflow.wire.messages import pack_events, pack_job, unpack_job
from nflow.wire.values import Encoded

_log = logging.getLogger(__name__)

T = TypeVar("T")

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: nothing that is mistaken for something else


class Runs:
    """All runs of a namespace."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    async def submit(
        self,
        workflow: Workflow,
        arguments: Mapping[str, object] | None = None,
        *,
        queue: str = "workflow",
        keep_data: bool = False,
    ) -> RunId:
        """Start a run; once its id is returned, it is never lost.

        Args:
            workflow: As `nflow.models.workflow.load` read it.
            arguments: Values of the workflow's parameters.
            queue: Workers that serve this workflow queue may drive the run.
            keep_data: Keep what the run has in its store, and what its tasks handed on, though it succeeds.

        Raises:
            WorkflowArgumentError: a parameter is missing, unknown or of the wrong type.
            WorkflowDefinitionError: the workflow cannot run.
            NotShippable: a task or a parameter cannot be sent to another process.
            StorageFull: the server has no room; nothing was started.
        """
        return await self.send(pack(workflow, arguments or {}), queue=queue, keep_data=keep_data)

    async def send(self, shipment: Shipment, *, queue: str = "workflow", keep_data: bool = False) -> RunId:
        """Start a run of a workflow that was packed before. See `submit`."""
        try:
            job = await self._submit(shipment, queue, keep_data=keep_data)
        except StorageFull as full:
            raise StorageFull(f"Nothing was started. {full}") from full
        entry = RunEntry(run=job.run, workflow=job.workflow, state="waiting", queue=queue, submitted=job.submitted)
        with suppress(StorageFull):  # the run exists, and whoever drives it writes its entry
            await self.engine.index.announce(entry)
        return job.run

    async def _submit(self, shipment: Shipment, queue: str, *, keep_data: bool) -> WorkflowJob:
        now = await self.engine.bus.server_time()  # of all who submit, the server alone has one clock
        run = new_run_id(now)
        await asyncio.gather(*map(self.engine.blobs.put_code, shipment.code.values()))
        job = WorkflowJob(
            run=run,
            workflow=shipment.workflow,
            directory=str(Path.cwd()),
            folder=shipment.folder,
            spec=await self.engine.blobs.put_code(shipment.spec),
            queue=queue,
            submitted=now,
            parameters={name: await self._parameter(run, value) for name, value in shipment.parameters.items()},
            keep_data=keep_data,
            has_file=shipment.has_file,
        )
        # The acknowledgement of this job is what makes the run exist; before it, nothing is owed to anybody.
        await self.engine.bus.enqueue(self.engine.subjects.job_workflow(queue, run), pack_job(job))
        return job

    async def wait(self, run: RunId, *, opening: int = 0) -> RunFinished:
        """Return how a run ended, once it has; one that was retried, for the last time.

        Args:
            run: The run.
            opening: The number of a retry, as `retry` returned it: an end that came before does not count.
        """
        news = asyncio.Event()
        ends: list[RunFinished] = []

        def on_event(event: Event, _: Record) -> None:
            match event:
                case RunRetried():
                    ends.clear()
                case RunFinished(opening=number) if number >= opening:
                    ends.append(event)
                    news.set()

        async with Following(self.engine, self.engine.subjects.log(run), on_event) as following:
            while not ends:
                news.clear()
                await following.until(news.wait())
            return ends[0]

    async def opening_of(self, entry: RunEntry) -> int:
        """The retry whose end is the run's, 0 for a run that was never retried; for `wait`.

        It is in the run's job, which is there from the moment of the retry until the end of it. Without a job the run
        has ended, and the last end on record counts.
        """
        record = await self.engine.bus.last(self.engine.subjects.job_workflow(entry.queue, entry.run))
        if record is None:
            return 0
        with suppress(MessageError):
            job = unpack_job(record.payload)
            if isinstance(job, WorkflowJob) and job.reopening is not None:
                return job.reopening.number
        return 0

    async def retry(
        self,
        run: RunId,
        *,
        tasks: Sequence[str] = (),
        parameters: Mapping[str, Encoded] | None = None,
        by: str = "a person",
    ) -> int:
        """Let a run go on that has ended: what did not succeed begins again, in the same run, with the same code.

        Args:
            run: The run.
            tasks: Tasks that are done again with all that follows them, though they succeeded: `reduce`, or with the
                dag run in front, `sub_dag:2/reduce`.
            parameters: New values of parameters.
            by: Who asks, for the records.

        Returns:
            Which time this is, counted from 1.

        Raises:
            UsageError: it goes on, is complete, or its data are gone; there is no such task; somebody else retries it.
        """
        past = await self.past(run)
        refuse_if_needless(past, tasks)
        return await self.reopen(past, tasks=tasks, parameters=parameters, by=by)

    async def past(self, run: RunId) -> Past:
        """What the log has of a run. Raises UsageError where that is not enough to begin it again."""
        entry = await self.engine.index.get(run)
        return await past_of(self.engine, entry or await self.find(run))

    async def reopen(
        self, past: Past, *, tasks: Sequence[str], parameters: Mapping[str, Encoded] | None = None, by: str
    ) -> int:
        """Let a run go on whose `past` was looked at. See `retry`."""
        run = past.entry.run
        reopening = reopening_of(past, tasks, {}, by)  # bad input is told before anything is stored
        if parameters:
            values = {name: await self._parameter(run, value) for name, value in parameters.items()}
            reopening = replace(reopening, parameters=values)

        def is_over(there: Job) -> bool:
            earlier = there.reopening if isinstance(there, WorkflowJob) else None
            return (earlier.number if earlier else 0) < reopening.number

        version = await self.engine.index.version(run)
        # As with a submission, the acknowledgement of this job is the point from which it holds.
        subject = self.engine.subjects.job_workflow(past.queue, run)
        is_stored = await enqueue_anew(self.engine.bus, subject, job_of(past, reopening), is_over)
        if not is_stored or await self._was_overtaken(past, reopening):
            raise UsageError(f"Run {run} ({past.entry.workflow}) was retried a moment ago, and is about to go on.")
        await self.engine.index.announce(replace(past.entry, state="waiting", ended=None, reason=""), after=version)
        return reopening.number

    async def _was_overtaken(self, past: Past, reopening: Reopening) -> bool:
        """Whether somebody else has retried the run since that look, and the job in our place was there no more."""
        async for record in all_records(self.engine.bus, self.engine.subjects.own(past.entry.run), after=past.last):
            for event in events_of(record):
                if isinstance(event, RunRetried) and event.number == reopening.number:
                    return not _is_of(event, reopening)
        return False

    async def stop(
        self, run: RunId, *, dag: str | None = None, grace: float | None = None, by: str = "a person"
    ) -> None:
        """Ask a run, or one of its dag runs, to stop. The request is kept: it holds for workers that are away.

        Args:
            run: The run.
            dag: The running name of a dag, `sub_dag:1`, or its name as it is defined, for all of its runs.
            grace: Seconds until tasks that go on are killed; None: they may finish.
            by: Who asks, for the records.
        """
        stop = StopRequested(reason=f"stopped by {by}", by=by, grace=grace, dag=DagId(dag) if dag else None)
        await self.engine.bus.append(self.engine.subjects.ask(run), pack_events([stop]))

    async def ask_to_stop(
        self, text: str, *, dag: str | None = None, grace: float | None = None, by: str = "a person"
    ) -> RunEntry:
        """Ask the run that `text` names to stop, as `stop` does, once it is sure that there is something to stop.

        Raises:
            RunNotFound: no run of that name.
            UsageError: it has ended, or no such dag run moves in it.
        """
        entry = await self.find(text)
        if not entry.is_active:
            raise UsageError(f"Run {entry.run} ({entry.workflow}) has {_ended(entry.state)} already.")
        if dag is not None:
            flying = await self._in_flight(entry.run)
            if not any(dag in (each, name_of(each)) for each in flying):
                there = ", ".join(flying) or "none"
                raise UsageError(f"No dag run '{dag}' moves in {entry.run}. There are: {there}.")
        await self.stop(entry.run, dag=dag, grace=grace, by=by)
        return entry

    async def _in_flight(self, run: RunId) -> tuple[DagId, ...]:
        view = RunView({})
        async with Following(self.engine, self.engine.subjects.log(run), view.take):
            return view.dags

    async def is_asked_to_stop(self, run: RunId) -> bool:
        """Whether the newest request to a run is to stop, and nobody has decided anything since."""
        subjects = self.engine.subjects
        asked, decided = await asyncio.gather(
            self.engine.bus.last(subjects.ask(run)), self.engine.bus.last(subjects.own(run))
        )
        if asked is None or (decided is not None and decided.seq > asked.seq):
            return False
        return any(isinstance(event, StopRequested) and event.dag is None for event in readable(asked))

    async def is_driven(self, entry: RunEntry) -> bool:
        """Whether some worker that is alive drives this run."""
        subjects = self.engine.subjects
        last = await self.engine.bus.last(subjects.owner(entry.run))
        if last is None:
            return False
        try:
            owner = owner_in(last)
        except MessageError:
            return False
        return await self.engine.holdings.is_held(subjects.job_workflow(entry.queue, entry.run), owner.worker)

    async def all(self) -> list[RunEntry]:
        """All runs that are known, oldest first."""
        return await self.engine.index.all()

    async def find(self, text: str) -> RunEntry:
        """The run whose id begins with `text`, or the last one for `@last`. Raises RunNotFound."""
        return await self.engine.index.find(text)

    async def _parameter(self, run: RunId, encoded: Encoded) -> Ref:
        if encoded.size_bytes <= INLINE_SIZE_BYTES:
            return encoded.inline()
        return await self.engine.blobs.put(run, encoded.data, encoded.type)


def view_of(spec: WorkflowSpec) -> RunView:
    """A view of a run of this workflow that has not begun."""
    retries = {
        (name, task.id): task.retry for name, dag in spec.dags.items() for task in dag.tasks if task.retry is not None
    }
    return RunView({name: len(dag.tasks) for name, dag in spec.dags.items()}, retries)


async def view_of_known(engine: Engine, run: RunId) -> RunView:
    """A view of a run that may have begun, with what its log says of its workflow."""
    page = await engine.bus.read(engine.subjects.own(run), limit=1)
    for started in (event for record in page.records for event in readable(record)):
        if isinstance(started, RunStarted):
            with suppress(BlobLost):  # of an old run: all but its sizes and retries is known
                return view_of(await engine.specs.get(started.spec))
    return RunView({})


def whoever_asks() -> str:
    """The person who runs this process, for the records."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in many a container
        return "a person"


def _ended(state: str) -> str:
    return "been stopped" if state == "stopped" else state


def _is_of(retried: RunRetried, reopening: Reopening) -> bool:
    """Whether a run goes on as this asks for; where somebody else asked for the very same, nothing was lost."""
    return (retried.by, retried.redo, retried.superseded, retried.parameters) == (
        reopening.by,
        reopening.redo,
        reopening.superseded,
        reopening.parameters,
    )


class Following:
    """Events as they are written, each of them once, while the `async with` lasts.

    Records that are damaged are passed over: whoever drives that log sets its run aside, and says so in an event.
    """

    def __init__(
        self, engine: Engine, subject: str, on_event: Callable[[Event, Record], None], *, after: int = 0
    ) -> None:
        self._engine = engine
        self._on_event = on_event
        self._follower = Follower(engine.bus, subject, self._on_record, after=after)
        self._too_new: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def until(self, news: Coroutine[object, object, T] | asyncio.Future[T]) -> T:
        """What `news` brings.

        Raises:
            SchemaTooNew: a newer nflow writes here, and what it says cannot be read.
        """
        coming: asyncio.Future[T] = asyncio.ensure_future(news)
        try:
            await asyncio.wait((self._too_new, coming), return_when=asyncio.FIRST_COMPLETED)
            if self._too_new.done():
                self._too_new.result()
            return await coming
        finally:
            coming.cancel()

    async def __aenter__(self) -> "Following":
        await self._follower.start()
        self._engine.reconciler.add(self._follower.check)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._engine.reconciler.discard(self._follower.check)
        self._follower.close()

    def _on_record(self, record: Record) -> None:
        try:
            events = events_of(record)
        except LogDamaged as error:
            _log.debug("%s", error)
        except SchemaTooNew as error:
            if not self._too_new.done():
                self._too_new.set_exception(error)
                self._too_new.exception()  # seen: who waits for nothing is not told
        else:
            for event in events:
                self._on_event(event, record)


def new_run_id(now: float) -> RunId:
    """An id that sorts by time: ten characters of milliseconds, six of chance."""
    return RunId(_base32(int(now * 1000), 10) + _base32(secrets.randbits(30), 6))


def _base32(number: int, length: int) -> str:
    return "".join(_ALPHABET[number >> 5 * place & 31] for place in reversed(range(length)))
