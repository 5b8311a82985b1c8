"""Storing records and jobs: once, whatever happens to the connection in between.

The server checks one expected sequence for each message. After an ambiguous outage the stream itself is asked whether
the record is there: payloads of checked appends are unique, and ids of messages are remembered for two minutes only.
Within these, they keep out what a lost connection delivers late, when the record was sent again over another one.
"""

import asyncio
import base64
import itertools
import re
import secrets
from collections.abc import Callable
from datetime import datetime

from nats.aio.msg import Msg

from nflow.bus.nats.backoff import Backoff
from nflow.bus.nats.connection import Connection
from nflow.bus.nats.jetstream import (
    COPY_IN_FLIGHT,
    NO_ROOM,
    NOTHING,
    SOON,
    WRITE_IN_FLIGHT,
    WRONG_LAST_SEQUENCE,
    JetStream,
    error_code,
    error_of,
)
from nflow.bus.nats.requests import Requests, status_of
from nflow.bus.port import Guard, Record
from nflow.bus.topology import BROKEN_DISK, MAKE_ROOM, SUBJECT_BYTES, Config, stream_of
from nflow.errors import BusError, Conflict, Fenced, StorageFull, SubjectTooLong, TooLarge

HEADROOM_BYTES = 4096  #: of a message's limit, left for headers: payload and headers count together

#: Seconds without any answer, on a connection that stands, after which a server is taken to store nothing any more.
SILENCE = 8.0

_FIRST = {"Nats-Expected-Last-Subject-Sequence": "0"}
_SEQUENCE = re.compile(rb'"seq":\s*(\d+)')


class Publisher:
    """Appends to streams."""

    def __init__(self, connection: Connection, requests: Requests, jetstream: JetStream) -> None:
        self._connection = connection
        self._requests = requests
        self._jetstream = jetstream
        self._ids = map(f"{secrets.token_hex(8)}-{{}}".format, itertools.count())

    @property
    def max_payload_bytes(self) -> int:
        """The largest payload that leaves room for headers."""
        return self._connection.client.max_payload - HEADROOM_BYTES

    async def append(
        self,
        subject: str,
        payload: bytes,
        expect: int | None = None,
        guard: Guard | None = None,
        ttl: float | None = None,
    ) -> int:
        """Store a record; see the port."""
        self.admit(subject, payload)
        if guard is not None and expect is not None:
            await self._check(guard)
        headers = _headers(expect, guard, ttl)
        asked = asyncio.get_running_loop().time()
        if expect is None:  # else the server itself refuses a second copy
            headers["Nats-Msg-Id"] = next(self._ids)
        if self._connection.up.is_set():
            answer = await self._requests.one(subject, payload, headers)
            if answer is not None and (sequence := _stored(answer)):
                return sequence
        else:
            answer = None
        return await _Settling(self, subject, payload, headers, expect, guard, asked).settle(answer)

    def post(self, subject: str, payload: bytes, on_trouble: Callable[[], object]) -> None:
        """Store the first record of a subject; `on_trouble` unless it, or another, is stored at once."""
        self.admit(subject, payload)
        if not self._connection.up.is_set():
            on_trouble()
            return

        def check(reply: "asyncio.Future[Msg | None]") -> None:
            if reply.cancelled():
                return
            answer = None if reply.exception() else reply.result()
            if answer is None or (not _stored(answer) and not _is_second(answer)):
                on_trouble()

        self._requests.one(subject, payload, _FIRST).add_done_callback(check)

    def admit(self, subject: str, payload: bytes) -> None:
        """Refuse here what would make the server close the connection.

        Raises:
            SubjectTooLong, TooLarge: it would.
        """
        if len(subject) > SUBJECT_BYTES or (not subject.isascii() and len(subject.encode()) > SUBJECT_BYTES):
            raise SubjectTooLong(f"The subject {subject[:60]}… is longer than {SUBJECT_BYTES} bytes.")
        if len(payload) > self.max_payload_bytes:
            raise TooLarge(
                f"A message of {len(payload)} bytes for {subject} is over the limit of {self.max_payload_bytes}."
            )

    async def record_at(self, subject: str, after: int | None) -> Record | None:
        """The record that followed `after` on this subject, or the last one; read from the stream's leader."""
        wanted: Config = {"last_by_subj": subject} if after is None else {"next_by_subj": subject, "seq": after + 1}
        backoff = Backoff()
        while error_code(answer := await self._jetstream.call(f"STREAM.MSG.GET.{stream_of(subject)}", wanted)) in SOON:
            await backoff.pause()  # a stream that has lost its leader gets another
        match answer:
            case {"message": {"subject": str(where), "seq": int(seq), "time": str(at), **rest}}:
                payload = base64.b64decode(str(rest.get("data", "")))
                return Record(subject=where, seq=seq, at=datetime.fromisoformat(at).timestamp(), payload=payload)
            case _ if error_code(answer) in NOTHING:
                return None
            case _:
                raise BusError(f"{subject} cannot be read: {answer.get('error')}")

    async def _check(self, guard: Guard) -> None:
        last = await self.record_at(guard.subject, None)
        if (last.seq if last else 0) != guard.seq:
            raise Fenced(f"{guard.subject} is no longer at {guard.seq}: a later owner has taken this log.")

    @property
    def connected_since(self) -> float:
        """When the present connection was made."""
        return self._connection.since

    async def answers_for(self, subject: str) -> bool:
        """Whether the server answers questions about the stream of `subject`, though it may store nothing there."""
        where = f"{self._jetstream.prefix}STREAM.INFO.{stream_of(subject)}"
        answer = await self._requests.one(where, b"")
        return answer is not None and status_of(answer) is None

    async def ask(self, subject: str, payload: bytes, headers: dict[str, str] | None) -> Msg | None:
        """One try over a connection that is up."""
        await self._connection.up.wait()
        return await self._requests.one(subject, payload, headers)


class _Settling:
    """One append that did not succeed at the first try."""

    def __init__(
        self,
        publisher: Publisher,
        subject: str,
        payload: bytes,
        headers: dict[str, str],
        expect: int | None,
        guard: Guard | None,
        asked: float,
    ) -> None:
        self._publisher = publisher
        self._subject = subject
        self._payload = payload
        self._headers = headers
        self._expect = expect
        self._guard = guard
        self._ambiguous = False
        self._silent_since = asked  #: by the loop's clock
        self._connected_since = publisher.connected_since
        self._backoff = Backoff()

    async def settle(self, answer: Msg | None) -> int:
        """Try until the record is known to be stored, or refused."""
        while True:
            if answer is None:
                self._ambiguous = True
                await self._backoff.pause()  # else nobody has the time to find that the connection is lost
                # With an expected sequence the server itself refuses a second copy.
                if self._expect is None and (mine := await self._mine()):
                    return mine
                await self._note_silence()
            elif status_of(answer) is not None:
                await self._backoff.pause()  # no leader, or JetStream is not up yet; nothing announces that it is
            elif sequence := _stored(answer):
                return sequence
            elif mine := await self._refused(answer):
                return mine
            answer = await self._publisher.ask(self._subject, self._payload, self._headers)

    async def _note_silence(self) -> None:
        """A server whose disk is full answers everything but what it is to store, until it is started again."""
        now = asyncio.get_running_loop().time()
        if self._connected_since != self._publisher.connected_since:  # an outage is no silence
            self._connected_since, self._silent_since = self._publisher.connected_since, now
        if now - self._silent_since < SILENCE or not await self._publisher.answers_for(self._subject):
            return
        if not (await self._mine() if self._expect is not None else 0):
            raise StorageFull(f"The server does not store {self._subject}, and does not say why. {BROKEN_DISK}")

    async def _refused(self, answer: Msg) -> int:
        """The sequence of the record if it had been stored before; 0: try again."""
        code, text = error_of(answer)
        if code in (WRITE_IN_FLIGHT, COPY_IN_FLIGHT):
            await self._backoff.pause()
            return 0
        if code == WRONG_LAST_SEQUENCE:
            if self._ambiguous and (mine := await self._mine()):
                return mine
            if self._expect is not None:
                raise Conflict(f"Somebody else wrote to {self._subject} after {self._expect}: {text}.")
            raise Fenced(f"A later owner has taken the log of {self._subject}: {text}.")
        if code in NO_ROOM:
            raise StorageFull(f"The server has no room for {self._subject}: {text}. {MAKE_ROOM}")
        raise BusError(f"The server does not store {self._subject}: {text} ({code}).")

    async def _mine(self) -> int:
        record = await self._publisher.record_at(self._subject, self._expect)
        return record.seq if record is not None and record.payload == self._payload else 0


def _headers(expect: int | None, guard: Guard | None, ttl: float | None) -> dict[str, str]:
    headers = {} if ttl is None else {"Nats-TTL": _duration(ttl)}
    if expect is not None:
        headers["Nats-Expected-Last-Subject-Sequence"] = str(expect)
    elif guard is not None:
        headers["Nats-Expected-Last-Subject-Sequence"] = str(guard.seq)
        headers["Nats-Expected-Last-Subject-Sequence-Subject"] = guard.subject
    return headers


def _duration(seconds: float) -> str:
    return f"{max(1000, round(seconds * 1000))}ms"


def _is_second(answer: Msg) -> bool:
    return status_of(answer) is None and error_of(answer)[0] == WRONG_LAST_SEQUENCE


def _stored(answer: Msg) -> int:
    """The sequence of a stored record; 0 when it was not stored."""
    found = _SEQUENCE.search(answer.data)
    return int(found[1]) if found and not answer.data.startswith(b'{"error"') else 0
