"""Why runs wait: for workers that are not there."""

from collections.abc import Sequence
from dataclasses import replace

from nflow.engine.engine import Engine
from nflow.engine.runs import RunEntry
from nflow.engine.serving import Lack, Served, served_by
from nflow.engine.standing import ASKED_TO_STOP
from nflow.files.needs import waits_for
from nflow.wire.subjects import ANY_PYTHON, job_place, name_of
from nflow.worker.heartbeat import workers

#: Tokens of a job's subject that tell its queue and its run.
_RUN_TOKENS = 7


async def explained(engine: Engine, entries: Sequence[RunEntry]) -> list[RunEntry]:
    """The entries, those that wait for a worker with that as their reason."""
    going_on = [entry for entry in entries if entry.is_active]
    if not going_on:
        return list(entries)
    lacks = await _lacks(engine, served_by(await workers(engine)), going_on)
    return [_explained(entry, lacks.get(entry.run)) for entry in entries]


def _explained(entry: RunEntry, lack: Lack | None) -> RunEntry:
    if lack is None or not entry.is_active or entry.reason not in ("", ASKED_TO_STOP):
        return entry
    return replace(entry, reason="; ".join(filter(None, (entry.reason, waits_for(lack)))))


async def _lacks(engine: Engine, served: Served, entries: Sequence[RunEntry]) -> dict[str, Lack]:
    """By run, what some job of it lacks; those that drive it come first."""
    # One look at all jobs for any number of runs: a look at each would take seconds where a hundred go on.
    subjects = engine.subjects.jobs_of(entries[0].run) if len(entries) == 1 else (engine.subjects.jobs(),)
    found: dict[str, Lack] = {}
    heads = [job_place(head) for subject in subjects for head in await engine.bus.heads(subject, _RUN_TOKENS)]
    for job in sorted(heads, key=lambda job: (job.kind != "workflow", job)):
        queue, python = name_of(job.queue) or job.queue, name_of(job.python) or job.python
        lack = served.lack(queue, None if python == ANY_PYTHON else python)
        if lack is not None:
            found.setdefault(name_of(job.run) or job.run, lack)
    return found
