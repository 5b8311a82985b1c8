"""Runs that nobody drives: left by a command that was killed, or started while there was no worker."""

import asyncio
from collections.abc import Sequence

from nflow.engine.runs import RunEntry
from nflow.runs import Runs

#: Runs that a note names.
_MOST_NAMED = 5


async def left_over(client: Runs) -> list[RunEntry]:
    """The runs that have not ended, and that no worker which is alive drives."""
    active = [entry for entry in await client.all() if entry.is_active]
    driven = await asyncio.gather(*map(client.is_driven, active))
    return [entry for entry, is_driven in zip(active, driven, strict=True) if not is_driven]


def going_on(entries: Sequence[RunEntry]) -> str:
    """What to say when they go on now."""
    count = "1 run" if len(entries) == 1 else f"{len(entries)} runs"
    return f"{count} left from before, now going on here: {_named(entries)}."


def still_to_end(entries: Sequence[RunEntry]) -> str:
    """What to say when they went on for a while, and nobody is there any more for the rest."""
    return f"Still to end: {_named(entries)}. To go on: nflow worker"


def _named(entries: Sequence[RunEntry]) -> str:
    names = [f"{entry.workflow} ({entry.run})" for entry in entries[:_MOST_NAMED]]
    more = [f"{len(entries) - _MOST_NAMED} more"] if len(entries) > _MOST_NAMED else []
    return ", ".join(names + more)
