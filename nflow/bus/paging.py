"""Reading all records of a subject, page by page."""

from collections.abc import AsyncIterator

from nflow.bus.port import Bus, Record


async def all_records(bus: Bus, subject: str, *, after: int = 0) -> AsyncIterator[Record]:
    """Every record under `subject`, in stream order; with `after`, those that came after that one."""
    pending = 1
    while pending:
        page = await bus.read(subject, after=after)
        for record in page.records:
            yield record
        after, pending = (page.records[-1].seq, page.pending) if page.records else (0, 0)
