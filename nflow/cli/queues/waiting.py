"""Why runs wait: for workers that are not there."""

from collections.abc import Sequence
from dataclasses import replace

from nflow.engine.engine import Engine
from nflow.engine.runs import RunEntry
from nflow.engine.serving import Lack, Served, served_by
from nflow.files.needs import waits_for
from nflow.wire.subjects import ANY_PYTHON, queue_of
from nflow.worker.heartbeat import workers

#: Tokens of a job's subject that tell its queue.
_QUEUE_TOKENS = 5


async def explained(engine: Engine, entries: Sequence[RunEntry], *, closely: bool) -> list[RunEntry]:
    """The entries, those that wait for a worker with that as their reason.

    Args:
        engine: Where to look.
        entries: Of runs.
        closely: Look at all jobs of each run; otherwise only at those that drive runs, which is cheap for any number.
    """
    if not any(entry.is_active for entry in entries):
        return list(entries)
    served = served_by(await workers(engine))
    return [await _explained(engine, entry, served, closely=closely) for entry in entries]


async def _explained(engine: Engine, entry: RunEntry, served: Served, *, closely: bool) -> RunEntry:
    if not entry.is_active or entry.reason:
        return entry
    lack = await _lack(engine, entry, served) if closely else served.lack(entry.queue, None)
    return entry if lack is None else replace(entry, reason=waits_for(lack))


async def _lack(engine: Engine, entry: RunEntry, served: Served) -> Lack | None:
    """What some job of the run lacks, those that drive it first."""
    for subject in engine.subjects.jobs_of(entry.run):
        for head in sorted(await engine.bus.heads(subject, _QUEUE_TOKENS)):
            _, queue, python = queue_of(head)
            if (lack := served.lack(queue, None if python == ANY_PYTHON else python)) is not None:
                return lack
    return None
