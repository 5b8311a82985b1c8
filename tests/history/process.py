"""A process that catches a history up with a log on a server; it can be made to die in the middle of a write.

python -m tests.history.process NATS_URL TOKEN HISTORY PORTION [STATEMENT]
"""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

from sqlalchemy import event

from nflow.bus.nats import connect
from nflow.history import catchup
from nflow.history.catchup import CatchUp
from nflow.history.database import Database
from nflow.view.detail import Retries


async def policies(_: str) -> Retries:
    return {}


def die_at(database: Database, statement: int) -> None:
    """Be killed when that many statements were sent, the ends of transactions among them."""
    left = [statement]

    def count(*_: Any) -> None:
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(database.engine, "before_cursor_execute", count)
    event.listen(database.engine, "commit", count)


async def main(url: str, token: str, history: str, portion: int, statement: int) -> None:
    catchup.PORTION = portion  # type: ignore[misc] # so that a few runs make many of them
    database = Database(history if "://" in history else Path(history))
    if statement:
        die_at(database, statement)
    bus = await connect(url, token=token)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.readline)
    done = await CatchUp(database, bus, policies).run()
    sys.stdout.write(f"{done.records}\n")
    await bus.close()
    database.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:4], int(sys.argv[4]), int(sys.argv[5]) if len(sys.argv) > 5 else 0))
