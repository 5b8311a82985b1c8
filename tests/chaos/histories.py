"""After the storm: the history, caught up with the log by two at once and in small steps, equals a slow recount."""

import asyncio
from pathlib import Path

from nflow.bus.paging import all_records
from nflow.errors import BlobLost
from nflow.history.catchup import CatchUp
from nflow.history.database import Database
from nflow.runs import Runs
from nflow.view.detail import Retries, retries_of
from tests.history.recount import counted_in, recounted


async def history_differences(client: Runs, file: Path) -> list[str]:
    """What the history has otherwise than the log, in words."""
    engine = client.engine

    async def policies(spec: str) -> Retries:
        try:
            return retries_of(await engine.specs.get(spec))
        except BlobLost:
            return {}

    first, second = Database(file), Database(file)
    try:
        await asyncio.gather(*(CatchUp(each, engine.bus, policies).run() for each in (first, second)))
        records = [record async for record in all_records(engine.bus, engine.subjects.all_events())]
        found = recounted(records).differences(counted_in(first))
    finally:
        first.close()
        second.close()
    return [f"the history is not what the log says: {each}" for each in found]
