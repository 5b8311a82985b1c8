"""The end of work that no worker can do, so that nobody waits for it: a run never hangs on a job that was laid down.

It needs neither a claim nor ownership, and takes nothing from whoever has either: what is on record counts.
"""

import logging
from contextlib import suppress
from dataclasses import replace

from nflow.bus.paging import all_records
from nflow.bus.port import Guard, Record
from nflow.core.events import (
    DagFinished,
    DagStarted,
    Event,
    Provenance,
    RemoteError,
    RunFinished,
    RunRetried,
    Status,
    StopRequested,
    TaskFailed,
    TaskReleased,
    TaskStarted,
)
from nflow.core.ids import DagId, RunId
from nflow.core.jobs import DagJob, Job, TaskJob, WorkflowJob
from nflow.engine.claims import is_before
from nflow.engine.engine import Engine
from nflow.engine.log import readable
from nflow.engine.reopening import last_end_of
from nflow.engine.runs import RunEntry
from nflow.errors import Conflict, Fenced, SchemaTooNew
from nflow.wire.messages import pack_events

_log = logging.getLogger(__name__)

#: Seconds that tasks have to end by themselves which run in what was given up.
GRACE = 10.0


async def give_up(engine: Engine, job: Job, reason: str) -> None:
    """Record that what `job` asks for has failed, unless its end is on record or somebody is at it."""
    try:
        match job:
            case TaskJob():
                await _fail_task(engine, job, reason)
            case DagJob():
                await _fail_dag(engine, job, reason)
            case WorkflowJob():
                await _fail_run(engine, job, reason)
    except (Conflict, Fenced):
        _log.info("run %s: somebody else has taken up what was given up here", job.run)


async def _fail_task(engine: Engine, job: TaskJob, reason: str) -> None:
    subject = engine.subjects.task(job.run, job.dag, job.task)
    last = await engine.bus.last(subject)
    execution = 0
    if last is not None:
        match _latest(last):
            case None:  # it is damaged, and stands in the way of whoever has work to record
                pass
            case TaskStarted(execution=latest) | TaskReleased(execution=latest):
                execution = latest
            case ended if is_before(ended, job.attempt):
                pass
            case _:
                return
    failed = TaskFailed(
        task=job.task,
        attempt=job.attempt,
        execution=execution,
        error=RemoteError(type="NotRunnable", message=f"No worker could run '{job.name}': {reason}"),
        provenance=Provenance(worker=engine.worker, host="", pid=0, start=0.0, end=0.0),
    )
    await engine.bus.append(subject, pack_events([failed]), expect=last.seq if last else 0)


async def _fail_dag(engine: Engine, job: DagJob, reason: str) -> None:
    """End a dag run that nobody can drive, and its run with it: that one tells the reason."""
    earlier, end = await last_end_of(engine, job.run, job.dag)
    if end is not None and end.opening >= job.opening:
        return
    stop = _stop(f"no worker could drive {job.dag}: {reason}", by=job.dag, opening=job.opening)
    await engine.bus.append(engine.subjects.ask(job.run), pack_events([replace(stop, grace=None, opening=0)]))
    await engine.bus.append(engine.subjects.stop(job.run, job.dag), pack_events([stop]))
    await engine.bus.purge(engine.subjects.task_jobs(job.run, job.dag))
    finished = DagFinished(dag=job.dag, status=Status.FAILED, opening=job.opening)
    await engine.bus.append(engine.subjects.dag_finished(job.run, job.dag), pack_events([finished]), expect=earlier)


def _stop(reason: str, *, by: str, opening: int) -> StopRequested:
    return StopRequested(reason=reason, by=by, status=Status.FAILED, grace=GRACE, opening=opening)


async def _fail_run(engine: Engine, job: WorkflowJob, reason: str) -> None:
    """End a run that nobody can drive; those who drive its dags are asked to end them."""
    opening = job.reopening.number if job.reopening else 0
    last = await engine.bus.last(engine.subjects.own(job.run))
    end = None if last is None else _latest(last)
    if isinstance(end, RunFinished) and end.opening >= opening:
        return
    for dag, number in (await _running(engine, job.run)).items():
        stop = _stop(f"no worker could drive the run: {reason}", by=engine.worker, opening=number)
        await engine.bus.append(engine.subjects.stop(job.run, dag), pack_events([stop]))
    owner = engine.subjects.owner(job.run)
    last = await engine.bus.last(owner)
    finished = RunFinished(status=Status.FAILED, reason=f"no worker could drive it: {reason}", opening=opening)
    guard = Guard(owner, last.seq if last else 0)
    await engine.bus.append(engine.subjects.own(job.run), pack_events([finished]), guard=guard)
    entry = await engine.index.get(job.run) or RunEntry(
        run=job.run, workflow=job.workflow, state="", queue=job.queue, submitted=job.submitted
    )
    await engine.index.put(replace(entry, state=finished.status.value, reason=finished.reason))


async def _running(engine: Engine, run: RunId) -> dict[DagId, int]:
    """The dag runs that have not ended, and under which opening they run, as far as the workflow's log can be read."""
    running: dict[DagId, int] = {}
    async for record in all_records(engine.bus, engine.subjects.log(run)):
        with suppress(SchemaTooNew):
            for event in readable(record):
                match event:
                    case DagStarted(dag=dag):
                        running[dag] = 0
                    case RunRetried(number=number, dags=dags):
                        running |= dict.fromkeys(dags, number)
                    case DagFinished(dag=dag, opening=opening) if opening >= running.get(dag, 0):
                        running.pop(dag, None)
    return running


def _latest(record: Record) -> Event | None:
    events = readable(record)
    return events[-1] if events else None
