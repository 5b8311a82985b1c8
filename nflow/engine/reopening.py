"""What it takes to begin again what has ended: the word in a dag's log, and a job where the last one may still stand.

Both may be done any number of times, by any number of drivers and clients: the first one counts.
"""

from collections.abc import Callable
from contextlib import suppress

from nflow.bus.port import Bus, Guard
from nflow.core.events import DagFinished, DagReopened, Event, StopRequested
from nflow.core.ids import DagId, RunId, TaskId
from nflow.core.jobs import Job
from nflow.engine.engine import Engine
from nflow.engine.log import events_of
from nflow.errors import Conflict
from nflow.wire.messages import pack_events, pack_job, unpack_job


async def reopen_dag(
    engine: Engine, run: RunId, dag: DagId, *, number: int, redo: tuple[TaskId, ...], guard: Guard | None
) -> None:
    """Write `DagReopened` where stops of the dag run stand, unless that was done.

    Raises:
        Fenced: the run has another owner by now.
    """
    subject = engine.subjects.stop(run, dag)
    reopened = pack_events([DagReopened(number=number, redo=redo)])
    while True:
        last = await engine.bus.last(subject)
        if last is not None and _opening_of(events_of(last)[-1]) >= number:
            return
        try:
            await engine.bus.append(subject, reopened, expect=last.seq if last else 0, guard=guard)
        except Conflict:
            continue
        return


def _opening_of(event: Event) -> int:
    match event:
        case DagReopened(number=number) | StopRequested(opening=number):
            return number
    return 0


async def last_end_of(engine: Engine, run: RunId, dag: DagId) -> tuple[int, DagFinished | None]:
    """How a dag run last ended, and the sequence of that record: 0 if it has not."""
    last = await engine.bus.last(engine.subjects.dag_finished(run, dag))
    if last is None:
        return 0, None
    finished = events_of(last)[-1]
    assert isinstance(finished, DagFinished)
    return last.seq, finished


async def enqueue_anew(bus: Bus, subject: str, job: Job, is_over: Callable[[Job], bool]) -> bool:
    """Put `job` into its queue, in place of an earlier one whose work is over but for its removal.

    The new one is stored before the earlier one goes: at no moment is there none.

    Returns:
        False where one stands there that is not over.
    """
    while not await bus.enqueue(subject, pack_job(job)):
        there = await bus.last(subject)
        if there is None:
            continue
        if not is_over(unpack_job(there.payload)):
            return False
        with suppress(Conflict):  # that one has gone meanwhile, or somebody else was faster
            await bus.append(subject, pack_job(job), expect=there.seq)
            await bus.purge(subject, through=there.seq)
            break
    return True
