"""Why runs wait: for workers that are not there."""

from collections.abc import Sequence
from dataclasses import replace

from nflow.engine.engine import Engine
from nflow.engine.runs import RunEntry
from nflow.engine.serving import Lack, Served, served_by
from nflow.engine.standing import ASKED_TO_STOP
from nflow.files.needs import waits_for
from nflow.wire.subjects import ANY_PYTHON, queue_of
from nflow.worker.heartbeat import workers

#: Tokens of a job's subject that tell its queue.
_QUEUE_TOKENS = 5

#: Runs that go on of which each is looked at: a millisecond for each of them.
_MANY = 100


async def explained(engine: Engine, entries: Sequence[RunEntry]) -> list[RunEntry]:
    """The entries, those that wait for a worker with that as their reason.

    All jobs of each run are looked at. Of many runs it is only those that drive them, which is cheap for any number.
    """
    going_on = sum(entry.is_active for entry in entries)
    if not going_on:
        return list(entries)
    closely = going_on <= _MANY
    served = served_by(await workers(engine))
    return [await _explained(engine, entry, served, closely=closely) for entry in entries]


async def _explained(engine: Engine, entry: RunEntry, served: Served, *, closely: bool) -> RunEntry:
    if not entry.is_active or entry.reason not in ("", ASKED_TO_STOP):
        return entry
    lack = await _lack(engine, entry, served) if closely else served.lack(entry.queue, None)
    return entry if lack is None else replace(entry, reason="; ".join(filter(None, (entry.reason, waits_for(lack)))))


async def _lack(engine: Engine, entry: RunEntry, served: Served) -> Lack | None:
    """What some job of the run lacks, those that drive it first."""
    for subject in engine.subjects.jobs_of(entry.run):
        for head in sorted(await engine.bus.heads(subject, _QUEUE_TOKENS)):
            _, queue, python = queue_of(head)
            if (lack := served.lack(queue, None if python == ANY_PYTHON else python)) is not None:
                return lack
    return None
