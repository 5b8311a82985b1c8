"""How far runs are, by their logs: the index may lag behind them, or be what a driver has left that died.

Cheap for any number of runs: of most, the newest record of what their owners have decided is enough.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from nflow.bus.paging import all_records
from nflow.bus.port import Record
from nflow.core.events import RunFinished
from nflow.core.ids import RunId
from nflow.core.jobs import WorkflowJob
from nflow.engine.engine import Engine
from nflow.engine.log import readable
from nflow.engine.runs import RunEntry
from nflow.errors import MessageError, SchemaTooNew
from nflow.view.detail import ENDED, RunDetail
from nflow.wire.messages import unpack_job
from nflow.wire.subjects import job_place, name_of

_WORKFLOW_JOB_TOKENS = 7  #: its whole subject

#: What is said of a run that somebody wants to end, and no driver has taken that in yet.
ASKED_TO_STOP = "stop asked for"


async def by_their_logs(engine: Engine, entries: Sequence[RunEntry]) -> list[RunEntry]:
    """These entries, their states as the logs tell them. What a newer nflow wrote stays as the index has it."""
    own = await _newest(engine, [engine.subjects.own(entry.run) for entry in entries])
    going_on = [entry.run for entry in entries if not _has_ended(own.get(engine.subjects.own(entry.run)))]
    asked = await _newest(engine, [engine.subjects.ask(run) for run in going_on])
    return [
        await _by_its_log(
            engine, entry, own.get(engine.subjects.own(entry.run)), asked.get(engine.subjects.ask(entry.run))
        )
        for entry in entries
    ]


async def _newest(engine: Engine, subjects: list[str]) -> dict[str, Record]:
    return {record.subject: record for record in await engine.bus.last_of_each(subjects)}


async def _by_its_log(engine: Engine, entry: RunEntry, own: Record | None, asked: Record | None) -> RunEntry:
    with suppress(MessageError):
        if (end := _end_of(own)) is not None and own is not None:
            ended = replace(entry, state=end.status.value, ended=own.at, reason=end.reason)
            is_to_go_on = entry.state == "waiting" and await _is_to_go_on(engine, entry, end.opening)
            return entry if is_to_go_on else _as_good(entry, ended)
        if own is not None and asked is None and entry.started is not None:
            return entry if entry.state == "running" else _going_on(entry, "running", entry.started)
        if own is None and asked is None:
            return entry if entry.state == "waiting" else replace(entry, state="waiting", started=None, ended=None)
        return await _folded(engine, entry)
    return entry


def _has_ended(own: Record | None) -> bool:
    with suppress(SchemaTooNew):
        return _end_of(own) is not None
    return False


def _end_of(own: Record | None) -> RunFinished | None:
    """The end of a run, if that is its owner's last word. Raises SchemaTooNew."""
    events = [] if own is None else readable(own)
    return events[-1] if events and isinstance(events[-1], RunFinished) else None


def _as_good(entry: RunEntry, ended: RunEntry) -> RunEntry:
    """The entry itself, where it says the same: its own time of the end may be that of another clock."""
    return entry if (entry.state, entry.reason) == (ended.state, ended.reason) and entry.ended else ended


def _going_on(entry: RunEntry, state: str, started: float | None) -> RunEntry:
    reason = "" if entry.state in ENDED else entry.reason
    return replace(entry, state=state, started=started or entry.started, ended=None, reason=reason)


async def _folded(engine: Engine, entry: RunEntry) -> RunEntry:
    """Of runs that were asked for something, perhaps to stop, the whole log of the workflow tells."""
    run = RunDetail(run=entry.run)
    async for record in all_records(engine.bus, engine.subjects.log(entry.run)):
        for event in readable(record):
            run.take(event, record)
    if run.state in ENDED:
        return replace(entry, state=run.state, ended=run.ended, reason=run.reason)
    told = _going_on(entry, run.state, run.started)
    is_news = run.state == "stopping" and entry.state in ("waiting", "running")
    return replace(told, reason=ASKED_TO_STOP) if is_news else told


async def _is_to_go_on(engine: Engine, entry: RunEntry, opening: int) -> bool:
    """Whether a retry of the run waits for a driver."""
    job = await engine.bus.last(engine.subjects.job_workflow(entry.queue, entry.run))
    if job is None:
        return False
    message = unpack_job(job.payload)
    return isinstance(message, WorkflowJob) and message.reopening is not None and message.reopening.number > opening


async def active(engine: Engine) -> list[RunEntry]:
    """The runs that go on or wait, by their jobs and logs, the oldest first: however many have ended costs nothing."""
    jobs = sorted(await engine.bus.heads(engine.subjects.workflow_jobs(), _WORKFLOW_JOB_TOKENS))
    known = await engine.index.some(RunId(str(name_of(job_place(job).run))) for job in jobs)
    entries = [known.get(job_place(job).run) or await _announced(engine, job) for job in jobs]
    told = await by_their_logs(engine, [entry for entry in entries if entry is not None])
    return sorted((entry for entry in told if entry.is_active), key=lambda entry: entry.run)


async def _announced(engine: Engine, subject: str) -> RunEntry | None:
    """A run that the index does not know, by its job: whoever submitted it may have died in that moment."""
    job = await engine.bus.last(subject)
    with suppress(MessageError):
        if job is not None and isinstance(message := unpack_job(job.payload), WorkflowJob):
            return RunEntry(
                run=message.run,
                workflow=message.workflow,
                state="waiting",
                queue=message.queue,
                submitted=message.submitted,
            )
    return None
