"""Becoming the driver of a log: after `OwnerChanged`, whatever an earlier driver still sends is refused."""

from collections.abc import Awaitable, Callable

from nflow.bus.port import Bus, Guard, Job
from nflow.core.events import OwnerChanged
from nflow.engine.holdings import Holdings, Verdict
from nflow.errors import Conflict
from nflow.wire.messages import pack_events, unpack_events


class NotOwner(Exception):
    """This worker is not to drive this log; its job was dealt with."""


Look = Callable[[int], Awaitable[bool]]


async def _never(_: int) -> bool:
    return False


async def take_ownership(bus: Bus, job: Job, owner_subject: str, holdings: Holdings, is_done: Look = _never) -> Guard:
    """Write this worker into the log as its owner, unless the owner there is alive.

    Args:
        bus: Where the log is.
        job: To drive it.
        owner_subject: Where owners stand in it.
        holdings: Of this worker.
        is_done: Whether the owner of that sequence has come to the end: it is not asked, and may be gone for long.

    Returns:
        The guard for all that only the owner may write.

    Raises:
        NotOwner: the recorded owner holds on to it; the job was handed back.
    """
    me = pack_events([OwnerChanged(worker=holdings.worker)])
    expect = 0
    while True:
        try:
            return Guard(owner_subject, await bus.append(owner_subject, me, expect=expect))
        except Conflict:
            last = await bus.last(owner_subject)
        if last is None:
            continue
        [owner] = unpack_events(last.payload)
        assert isinstance(owner, OwnerChanged)
        if not await is_done(last.seq) and await holdings.verdict(job, owner.worker) is Verdict.HAND_BACK:
            await holdings.hand_back(job, holdings.rest)
            raise NotOwner
        expect = last.seq


async def still_owner(bus: Bus, guard: Guard) -> bool:
    """Whether no later owner has been recorded."""
    last = await bus.last(guard.subject)
    return last is not None and last.seq <= guard.seq
