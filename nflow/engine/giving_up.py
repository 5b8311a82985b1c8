"""The end of work that no worker can do, so that nobody waits for it: a run never hangs on a job that was laid down.

It needs neither a claim nor ownership, and takes nothing from whoever has either: what is on record counts.
"""

import logging

from nflow.bus.port import Guard
from nflow.core.events import (
    DagFinished,
    Provenance,
    RemoteError,
    RunFinished,
    Status,
    TaskFailed,
    TaskReleased,
    TaskStarted,
)
from nflow.core.jobs import DagJob, Job, TaskJob, WorkflowJob
from nflow.engine.claims import is_before
from nflow.engine.engine import Engine
from nflow.engine.reopening import last_end_of
from nflow.engine.runs import RunEntry
from nflow.errors import Conflict, Fenced
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
        match unpack_events(last.payload)[-1]:
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


async def _fail_dag(engine: Engine, job: DagJob) -> None:
    earlier, end = await last_end_of(engine, job.run, job.dag)
    if end is not None and end.opening >= job.opening:
        return
    finished = DagFinished(dag=job.dag, status=Status.FAILED, opening=job.opening)
    await engine.bus.append(engine.subjects.dag_finished(job.run, job.dag), pack_events([finished]), expect=earlier)


async def _fail_run(engine: Engine, job: WorkflowJob, reason: str) -> None:
    owner = engine.subjects.owner(job.run)
    last = await engine.bus.last(owner)
    opening = job.reopening.number if job.reopening else 0
    finished = RunFinished(status=Status.FAILED, reason=f"no worker could drive it: {reason}", opening=opening)
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
