"""Which job belongs in a queue, where the one that is there cannot be read.

What its subject tells is compared with what the run itself says, so that bytes of a stranger end no work that is due.
"""

from contextlib import suppress

from nflow.bus.paging import all_records
from nflow.core.events import DagStarted, Event, RunStarted, TaskFailed, TaskReleased
from nflow.core.ids import DagId, DagName, RunId, TaskId
from nflow.core.jobs import DagJob, Job, TaskJob, WorkflowJob
from nflow.engine.engine import Engine
from nflow.errors import BlobLost, MessageError
from nflow.wire.messages import unpack_events
from nflow.wire.subjects import JobPlace, job_place, name_of


async def due_job(engine: Engine, subject: str) -> Job | None:
    """The job that waits under this subject, as far as giving it up takes.

    None: its run knows of none, somebody has begun it, or another one waits there too.
    """
    place = job_place(subject)
    run = name_of(place.run)
    if run is None or len((await engine.bus.read(subject, limit=2)).records) > 1:
        return None
    with suppress(BlobLost, MessageError):  # of such a run nothing is known for sure
        match place.kind:
            case "workflow":
                return await _due_run(engine, RunId(run))
            case "dag":
                return await _due_dag(engine, RunId(run), place)
            case "task":
                return await _due_task(engine, RunId(run), place)
    return None


async def _due_run(engine: Engine, run: RunId) -> WorkflowJob | None:
    entry = await engine.index.get(run)
    if entry is None or not entry.is_active or await engine.bus.last(engine.subjects.owner(run)) is not None:
        return None
    return WorkflowJob(run=run, workflow=entry.workflow, spec="", queue=entry.queue, submitted=entry.submitted)


async def _due_dag(engine: Engine, run: RunId, place: JobPlace) -> DagJob | None:
    dag, started = DagId(name_of(place.dag) or ""), await _started(engine, run)
    if started is None or await engine.bus.last(engine.subjects.owner(run, dag)) is not None:
        return None
    async for record in all_records(engine.bus, engine.subjects.own(run)):
        if any(isinstance(event, DagStarted) and event.dag == dag for event in unpack_events(record.payload)):
            return DagJob(run=run, workflow=started.workflow, spec=started.spec, dag=dag, queue=place.queue)
    return None


async def _due_task(engine: Engine, run: RunId, place: JobPlace) -> TaskJob | None:
    dag, task, started = DagId(name_of(place.dag) or ""), name_of(place.task), await _started(engine, run)
    if started is None or await engine.bus.last(engine.subjects.owner(run, dag)) is None:
        return None
    spec = (await engine.specs.get(started.spec)).dags.get(DagName(dag.rpartition(":")[0]))
    known = next((each for each in spec.tasks if each.id == task), None) if spec else None
    if known is None or await _next_attempt(engine, run, dag, known.id) != place.attempt:
        return None
    return TaskJob(
        run=run,
        workflow=started.workflow,
        dag=dag,
        task=known.id,
        name=known.name,
        attempt=place.attempt,
        queue=known.queue,
        code=known.code,
    )


async def _next_attempt(engine: Engine, run: RunId, dag: DagId, task: TaskId) -> int | None:
    """The attempt at a task that nobody has begun; None if somebody has, or there will be none any more."""
    last = await engine.bus.last(engine.subjects.task(run, dag, task))
    event: Event | None = None if last is None else unpack_events(last.payload)[-1]
    match event:
        case None:
            return 1
        case TaskReleased(attempt=attempt):
            return attempt
        case TaskFailed(attempt=attempt):
            return attempt + 1
        case _:
            return None


async def _started(engine: Engine, run: RunId) -> RunStarted | None:
    """How the run began, if it has."""
    page = await engine.bus.read(engine.subjects.own(run), limit=1)
    events = [event for record in page.records for event in unpack_events(record.payload)]
    return next((event for event in events if isinstance(event, RunStarted)), None)
