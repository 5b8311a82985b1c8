"""What every execution of a worker shares."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from nflow.engine.claims import Claimer
from nflow.engine.engine import Engine
from nflow.engine.specs import Cache
from nflow.worker.pool import Pool
from nflow.worker.runwatches import RunWatches


async def _nothing(_: str) -> None:
    """Slots that start no processes leave none behind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """The shared parts, made once for a worker."""

    engine: Engine
    pool: Pool
    claimer: Claimer
    code: Cache[bytes]
    watches: RunWatches
    host: str
    kill_after: float = 5.0  #: seconds between SIGTERM and SIGKILL
    end_strays: Callable[[str], Awaitable[None]] = _nothing  #: ends what is left of an execution on this machine
