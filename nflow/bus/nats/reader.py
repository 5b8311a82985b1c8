"""Reading records straight from a stream's store, without a consumer."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from nats.aio.msg import Msg

from nflow.bus.nats.backoff import Backoff
from nflow.bus.nats.connection import Connection
from nflow.bus.nats.jetstream import NO_RESPONDERS, JetStream
from nflow.bus.nats.publisher import Publisher
from nflow.bus.nats.requests import Requests, status_of
from nflow.bus.port import Page, Record
from nflow.bus.topology import Config, stream_of
from nflow.errors import BusError

_NONE = frozenset({"404", "408"})
_TOO_MANY = "413"  # the server answers for at most 1024 subjects at once
_PAGE = 1000
_SUBJECTS = 200  # in one request, which must fit in a message


class Reader:
    """Direct reads. On a replicated stream any replica answers, so what it says is checked against the leader first."""

    def __init__(
        self,
        connection: Connection,
        requests: Requests,
        jetstream: JetStream,
        publisher: Publisher,
        *,
        replicated: bool,
    ) -> None:
        self._connection = connection
        self._requests = requests
        self._direct = f"{jetstream.prefix}DIRECT.GET."
        self._publisher = publisher
        self._replicated = replicated

    async def last(self, subject: str) -> Record | None:
        """The newest record on exactly this subject."""
        if self._replicated:
            return await self._publisher.record_at(subject, None)
        backoff = Backoff()
        where = f"{self._direct}{stream_of(subject)}.{subject}"
        while True:
            await self._connection.up.wait()
            answer = await self._requests.one(where, b"")
            if answer is not None:
                status = status_of(answer)
                if status is None:
                    return record_of(answer)
                if status in _NONE:
                    return None
            await backoff.pause()

    async def read(self, subject: str, after: int, limit: int) -> Page:
        """Records that match, oldest first."""
        newest = await self._newest([subject])
        while True:
            page, _ = await self._batch(subject, {"next_by_subj": subject, "seq": after + 1, "batch": limit})
            if page.pending or self._complete(page.records, newest, after):
                return page
            newest = await self._newest([subject])

    async def first_from(self, subject: str, moment: float) -> Record | None:
        """The first record that matches and was stored at that moment or later."""
        start = datetime.fromtimestamp(moment, UTC).isoformat()
        page, _ = await self._batch(subject, {"next_by_subj": subject, "start_time": start, "batch": 1})
        return page.records[0] if page.records else None

    async def last_of_each(self, subjects: Sequence[str]) -> list[Record]:
        """The newest record of every subject that matches, in stream order."""
        if not subjects:
            return []
        found: dict[tuple[str, int], Record] = {}
        for start in range(0, len(subjects), _SUBJECTS):
            for record in await self._last_of(subjects[start : start + _SUBJECTS]):
                found[record.subject, record.seq] = record
        return sorted(found.values(), key=lambda record: record.seq)

    async def _last_of(self, subjects: Sequence[str]) -> list[Record]:
        newest = await self._newest(subjects)
        while True:
            page, status = await self._batch(subjects[0], {"multi_last": list(subjects), "batch": _PAGE * 2})
            if status == _TOO_MANY:
                return await self._last_of_many(subjects)
            if self._complete(page.records, newest, 0):
                return page.records
            newest = await self._newest(subjects)

    async def _last_of_many(self, subjects: Sequence[str]) -> list[Record]:
        """More subjects than the server answers for at once: by halves, then by reading through."""
        if len(subjects) > 1:
            middle = len(subjects) // 2
            return [*await self._last_of(subjects[:middle]), *await self._last_of(subjects[middle:])]
        last: dict[str, Record] = {}
        after, pending = 0, 1
        while pending:
            page = await self.read(subjects[0], after, _PAGE)
            last |= {record.subject: record for record in page.records}
            after, pending = page.records[-1].seq if page.records else after, page.pending
        return list(last.values())

    async def _newest(self, subjects: Sequence[str]) -> int:
        """The sequence that a replica must have reached, as the leader knows it; 0 where there are no replicas."""
        if not self._replicated:
            return 0
        records = [await self._publisher.record_at(subject, None) for subject in subjects]
        return max((record.seq for record in records if record), default=0)

    @staticmethod
    def _complete(records: list[Record], newest: int, after: int) -> bool:
        return newest <= after or bool(records and records[-1].seq >= newest)

    async def _batch(self, subject: str, query: Config) -> tuple[Page, str]:
        """All replies to one batched read, and the status that closed it."""
        backoff = Backoff()
        where, body = self._direct + stream_of(subject), json.dumps(query).encode()
        while True:
            await self._connection.up.wait()
            messages = await self._requests.many(where, body)
            status = status_of(messages[-1]) if messages else None
            if messages is None or status is None or status == NO_RESPONDERS:
                await backoff.pause()
            elif status in ("400", "500"):
                raise BusError(f"{subject} cannot be read: {messages[-1].headers}")
            else:
                records = [record_of(message) for message in messages[:-1]]
                return Page(records, int((messages[-1].headers or {}).get("Nats-Num-Pending", 0))), status


def record_of(message: Msg) -> Record:
    """A record as the server sends it: stored message, with where and when in its headers."""
    headers = message.headers or {}
    return Record(
        headers["Nats-Subject"],
        int(headers["Nats-Sequence"]),
        datetime.fromisoformat(headers["Nats-Time-Stamp"]).timestamp(),
        message.data,
        int(headers.get("Nats-Last-Sequence", 0)),
    )
