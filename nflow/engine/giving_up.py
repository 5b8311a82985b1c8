"""The end of work that no worker can do, so that nobody waits for it: a run never hangs on a job that was laid down.

It needs neither a claim nor ownership, and takes nothing from whoever has either: what is on record counts.
"""

import logging

from nflow.bus.port import Guard, Record
from nflow.core.events import (
    DagFinished,
    Event,
    Provenance,
    RemoteError,
    RunFinished,
    Status,
    TaskFailed,
    TaskReleased,
    TaskStarted,
)
from nflow.core.jobs import DagJob, Job, TaskJob, WorkflowJob
from nflow.engine.engine import Engine
from nflow.engine.runs import RunEntry
from nflow.errors import BrokenMessage, Conflict, Fenced
from nflow.wire.messages import pack_events, unpack_events

_log = logging.getLogger(__name__)


async def give_up(engine: Engine, job: Job, reason: str) -> None:
    """Record that what `job` asks for has failed, unless its end is on record or somebody is at it."""
    try:
        match job:
            case TaskJob():
                await _fail_task(engine, job, reason)
            case DagJob():
                await _fail_dag(engine, job)
            case WorkflowJob():
                await _fail_run(engine, job, reason)
    except (Conflict, Fenced):
        _log.info("run %s: somebody else has taken up what was given up here", job.run)


async def _fail_task(engine: Engine, job: TaskJob, reason: str) -> None:
    subject = engine.subjects.task(job.run, job.dag, job.task)
    last = await engine.bus.last(subject)
    execution = 0
    if last is not None:
        match _last_event(last):
            case None:
                pass
            case TaskStarted(execution=latest) | TaskReleased(execution=latest):
                execution = latest
            case TaskFailed(attempt=attempt) if attempt < job.attempt:
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


def _last_event(record: Record) -> Event | None:
    """The last event of a record; None if it is broken, for then it stands in the way of whoever has work to record.

    Once, the job of a task with such a record came back for ever.
    """
    try:
        return unpack_events(record.payload)[-1]
    except BrokenMessage:
        return None


async def _fail_dag(engine: Engine, job: DagJob) -> None:
    finished = DagFinished(dag=job.dag, status=Status.FAILED)
    await engine.bus.append(engine.subjects.dag_finished(job.run, job.dag), pack_events([finished]), expect=0)


async def _fail_run(engine: Engine, job: WorkflowJob, reason: str) -> None:
    owner = engine.subjects.owner(job.run)
    last = await engine.bus.last(owner)
    finished = RunFinished(status=Status.FAILED, reason=f"no worker could drive it: {reason}")
    guard = Guard(owner, last.seq if last else 0)
    await engine.bus.append(engine.subjects.own(job.run), pack_events([finished]), guard=guard)
    await engine.index.put(
        RunEntry(
            run=job.run,
            workflow=job.workflow,
            state=finished.status.value,
            queue=job.queue,
            submitted=job.submitted,
            reason=finished.reason,
        )
    )
