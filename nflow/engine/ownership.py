"""Becoming the driver of a log: after `OwnerChanged`, whatever an earlier driver still sends is refused."""

from collections.abc import Awaitable, Callable

from nflow.bus.port import Bus, Guard, Job, Record
from nflow.core.events import OwnerChanged
from nflow.engine.holdings import Holdings, Verdict
from nflow.engine.log import damaged, events_of
from nflow.errors import BrokenMessage, Conflict
from nflow.wire.messages import pack_events


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
        earlier = owner_in(last).worker
        if not await is_done(last.seq) and await holdings.verdict(job, earlier) is Verdict.HAND_BACK:
            await holdings.hand_back(job, holdings.rest)
            raise NotOwner
        expect = last.seq


def owner_in(record: Record) -> OwnerChanged:
    """Who drives, as a record tells. Raises LogDamaged and SchemaTooNew."""
    match events_of(record):
        case [OwnerChanged() as owner]:
            return owner
        case _:
            raise damaged(record, BrokenMessage("It tells of no owner."))


async def still_owner(bus: Bus, guard: Guard) -> bool:
    """Whether no later owner has been recorded."""
    last = await bus.last(guard.subject)
    return last is not None and last.seq <= guard.seq
