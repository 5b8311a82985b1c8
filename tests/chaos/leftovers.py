"""What is left when all is over: on the server, in the database, among processes and files. It ought to be nothing."""

import time
from collections.abc import Collection, Iterator
from pathlib import Path

import pymongo

from nflow.blobs.cache import sweep
from nflow.engine.upkeep.sweep import DAY, Retention, Sweep
from nflow.runs import Runs
from nflow.worker.heartbeat import BEAT, FORGOTTEN, workers
from tests.chaos.account import name_of_worker
from tests.chaos.faults import Faults, Kind
from tests.chaos.site import Site

#: Of a subject, more tokens than any has.
_ALL = 64


async def late_data(client: Runs, ended: Collection[str]) -> list[str]:
    """What the server still has of runs that have ended well, by subject."""
    subjects = client.engine.subjects
    found = [
        subject
        for head in (subjects.blobs(), subjects.kv_under("store"))
        for subject in await client.engine.bus.heads(head, _ALL)
    ]
    documents = [f"store.runs.{run}" for run in await client.engine.store.runs()]
    return sorted(subject for subject in {*found, *documents} if subject.split(".")[2] in ended)


async def sweep_in_two_days(client: Runs) -> None:
    """Remove what a worker would remove by then."""
    await Sweep(client.engine, Retention(), time.time() + 2 * DAY).run()


async def leftovers(site: Site, client: Runs, succeeded: Collection[str], faults: Faults) -> list[str]:
    """Whatever is still there and should not be, in words, once all workers have ended.

    Args:
        site: Where to look.
        client: Of its server.
        succeeded: The runs that need nothing any more; others keep their data for those who want to know why.
        faults: Whom a heartbeat may outlive for a while.
    """
    engine = client.engine
    bus, subjects = engine.bus, engine.subjects
    left = [f"a job in a queue: {subject}" for subject in await bus.heads(f"{subjects.namespace}.job.>", _ALL)]
    left += [f"a dead letter: {subject}" for subject in await bus.heads(subjects.dead_letters(), _ALL)]
    left += [f"data of a run that has succeeded: {subject}" for subject in await late_data(client, succeeded)]
    left += [f"a document of {run}, which has succeeded" for run in sorted(_stored(site).intersection(succeeded))]
    left += [f"the index says that {entry.run} is {entry.state}" for entry in await client.all() if entry.is_active]
    dying = _killed_lately(faults)
    left += [
        f"a heartbeat of {entry.worker}, last seen {time.time() - entry.seen:.1f} s ago"
        for entry in await workers(engine)
        if name_of_worker(entry.worker) not in dying
    ]
    left += [f"a process: {pid} {command}" for pid, command in site.processes().items()]
    return left + [f"a file: {path}" for path in _files(site.temporary)]


def _killed_lately(faults: Faults) -> set[str | None]:
    """Those whose last heartbeat the server has not forgotten yet."""
    since = time.time() - FORGOTTEN - BEAT
    return {kill.worker for kill in faults.of(Kind.WORKER_KILLED) if kill.start > since}


def _files(folder: Path) -> Iterator[Path]:
    """What is left in a folder for temporary files, once what dead workers left was removed as the next one does it."""
    sweep(folder)
    return folder.iterdir()


def _stored(site: Site) -> set[str]:
    """The runs of which there is something in the database."""
    if site.database is None:
        return set()
    with pymongo.MongoClient(site.database.url, directConnection=True) as database:
        return {
            str(run) for name in ("nflow_store", "nflow_store_parts") for run in database["chaos"][name].distinct("run")
        }
