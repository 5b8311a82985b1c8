"""The bus on a NATS server: the port, put together from its parts."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from datetime import datetime
from typing import Any, Unpack

from nats.aio.msg import Msg

from nflow.bus import topology
from nflow.bus.nats.backoff import Backoff
from nflow.bus.nats.connection import Connection, Login
from nflow.bus.nats.jetstream import NO_RESPONDERS, NOTHING, JetStream, error_code
from nflow.bus.nats.leases import Leases
from nflow.bus.nats.listening import Limits
from nflow.bus.nats.outbox import Outbox
from nflow.bus.nats.publisher import Publisher
from nflow.bus.nats.puller import Puller
from nflow.bus.nats.reader import Reader, record_of
from nflow.bus.nats.requests import Requests, status_of
from nflow.bus.port import Intake, Job, JobQueue, Page, QueueState, Record, Subscription
from nflow.bus.topology import USUAL_LOGS, LogLimits
from nflow.errors import BusError, Conflict, NflowError, NobodyThere, StorageFull

_LOG = logging.getLogger("nflow.bus")


async def connect(
    url: str | list[str],
    *,
    namespace: str = "nflow",
    replicas: int = 1,
    logs: LogLimits = USUAL_LOGS,
    domain: str | None = None,
    name: str = "nflow",
    ensure: bool = True,
    limits: Limits | None = None,
    **login: Unpack[Login],
) -> "NatsBus":
    """A bus on the server at `url` (or on the first of several, also written with commas, that answers).

    Args:
        url: `nats://host:port`, `tls://host:port`.
        namespace: Prefix of all names, so that tenants can share a server.
        replicas: On how many servers of a cluster each record is kept; counts when streams are created.
        logs: How much of the logs is kept; counts when streams are created.
        domain: The JetStream domain, where there are several.
        name: Shown in the server's list of connections.
        ensure: Create missing streams; differing ones are logged.
        limits: What a subscription may have waiting.
        **login: Token, user and password, or credentials file.

    Raises:
        ServerUnreachable: nothing answers there.
        ServerRefused: not with this login, or there are streams of these names that cannot serve.
        ServerTooOld: it is older than 2.12 or has no JetStream.
        StorageFull: there is no room for a missing stream.
    """
    urls = url.split(",") if isinstance(url, str) else url
    connection = Connection(urls, login, name=name, limits=limits)
    await connection.open()
    leases = Leases(urls, login, name=name)
    bus = NatsBus(connection, leases, namespace=namespace, replicas=replicas, logs=logs, domain=domain)
    try:
        await bus.begin(ensure=ensure)
    except BaseException:
        await bus.close()
        raise
    return bus


#: Seconds for which a stream in memory may be missing after a restart of the server.
_IN_THE_MAKING = 10.0


class NatsBus:
    """`port.Bus` on NATS JetStream."""

    def __init__(
        self,
        connection: Connection,
        leases: Leases,
        *,
        namespace: str,
        replicas: int = 1,
        logs: LogLimits = USUAL_LOGS,
        domain: str | None = None,
    ) -> None:
        self.namespace = namespace
        self.differences: list[str] = []  #: how the server's streams and consumers differ from what they should be
        self._replicas = replicas
        self._logs = logs
        self._connection = connection
        self._leases = leases
        self._requests = Requests(connection)
        self._jetstream = JetStream(connection, self._requests, domain)
        self._publisher = Publisher(connection, self._requests, self._jetstream)
        self._reader = Reader(connection, self._requests, self._jetstream, self._publisher, replicated=replicas > 1)
        self._outbox = Outbox(connection)
        self._intakes: set[Puller] = set()
        self._background: set[asyncio.Task[Any]] = set()
        self.append = self._publisher.append  #: see the port; with both `expect` and `guard`, the guard is read before

    @property
    def max_payload_bytes(self) -> int:
        """The largest payload the server takes."""
        return self._publisher.max_payload_bytes

    @property
    def server_version(self) -> str:
        """What the server says it is, such as `2.12.1`."""
        version = self._connection.client.connected_server_version
        return f"{version.major}.{version.minor}.{version.patch}"

    async def storage(self) -> tuple[int, int | None]:
        """Bytes on disk that this account uses, and how many it may; None where its server sets no limit to it."""
        match await self._jetstream.call("INFO", {}, patience=2.0):
            case {"storage": int(used), "limits": {"max_storage": int(limit)}}:
                return used, limit if limit > 0 else None
            case answer:
                raise BusError(f"The server does not tell what it stores: {answer.get('error')}")

    async def set_log_limits(self, logs: LogLimits) -> list[str]:
        """Let the stream of the logs have these limits; what that has changed, in words."""
        return await topology.set_log_limits(self._jetstream.call, self.namespace, logs)

    # --- records ---

    async def last(self, subject: str) -> Record | None:
        """See the port."""
        return await self._reader.last(subject)

    async def read(self, subject: str, *, after: int = 0, limit: int = 1000) -> Page:
        """See the port."""
        return await self._reader.read(subject, after, limit)

    async def last_of_each(self, subjects: list[str]) -> list[Record]:
        """See the port."""
        return await self._reader.last_of_each(subjects)

    async def heads(self, subject: str, tokens: int) -> set[str]:
        """See the port."""
        return await self._jetstream.heads(subject, tokens)

    async def newest(self, subject: str, *, before: float | None = None) -> int:
        """See the port."""
        if before is not None and (first := await self._reader.first_from(subject, before)) is not None:
            return first.seq - 1
        return await self._jetstream.newest(topology.stream_of(subject))

    async def origin(self, subject: str) -> str:
        """See the port."""
        return await self._jetstream.origin(topology.stream_of(subject))

    async def purge(self, subject: str, *, through: int | None = None) -> None:
        """See the port."""
        stream = topology.stream_of(subject)
        limit = {} if through is None else {"seq": through + 1}  # the server keeps this one and what is later
        answer = await self._jetstream.call(f"STREAM.PURGE.{stream}", {"filter": subject, **limit})
        if error_code(answer):
            raise BusError(f"The server does not remove {subject}: {answer['error']}")

    def watch(self, subject: str, on_record: Callable[[Record], None]) -> Subscription:
        """See the port."""
        pushed = topology.pushed(self.namespace, subject)
        return self._connection.listen(pushed, lambda message: on_record(record_of(message)))

    # --- jobs ---

    async def enqueue(self, subject: str, payload: bytes) -> bool:
        """See the port."""
        try:
            await self._publisher.append(subject, payload, expect=0)
        except Conflict:
            return False
        return True

    def post_job(self, subject: str, payload: bytes) -> None:
        """See the port."""
        self._publisher.post(subject, payload, lambda: self._spawn(self._enqueue(subject, payload)))

    async def withdraw(self, subject: str) -> None:
        """See the port."""
        await self.purge(subject)

    async def take(self, queue: JobQueue, on_job: Callable[[Job], None]) -> Intake:
        """See the port."""
        await self._ensure_consumer(queue)
        self._leases.start()
        stream = topology.stream_of(queue.subject)
        puller = Puller(
            self._connection,
            self._leases,
            f"{self._jetstream.prefix}CONSUMER.MSG.NEXT.{stream}.{queue.name}",
            on_job,
            lambda: self._ensure_consumer(queue),
        )
        self._intakes.add(puller)
        return puller

    async def queues(self) -> list[QueueState]:
        """See the port."""
        return await self._jetstream.queues(topology.jobs_stream(self.namespace))

    # --- plain messages ---

    def publish(self, subject: str, payload: bytes) -> None:
        """See the port."""
        self._publisher.admit(subject, payload)
        self._connection.post(subject, payload)

    def post_record(self, subject: str, payload: bytes) -> None:
        """See the port."""
        self._publisher.admit(subject, payload)
        self._outbox.post(subject, payload)

    async def posted(self, subject: str) -> None:
        """See the port."""
        await self._outbox.posted(subject)

    def subscribe(self, subject: str, on_message: Callable[[str, bytes], None]) -> Subscription:
        """See the port."""
        return self._connection.listen(subject, lambda message: on_message(message.subject, message.data))

    def answer(self, subject: str, handler: Callable[[bytes], Awaitable[bytes]]) -> Subscription:
        """See the port."""

        async def respond(message: Msg) -> None:
            self._connection.send(message.reply, await handler(message.data))

        return self._connection.listen(subject, lambda message: self._spawn(respond(message)))

    async def ask(self, subject: str, payload: bytes, *, timeout: float) -> bytes:  # noqa: ASYNC109 - the port's word
        """See the port."""
        self._publisher.admit(subject, payload)
        backoff = Backoff()
        async with asyncio.timeout(timeout):
            while True:
                answer = await self._publisher.ask(subject, payload, None)
                if answer is not None and status_of(answer) == NO_RESPONDERS:
                    raise NobodyThere(f"Nobody answers on {subject}.")
                if answer is not None:
                    return answer.data
                await backoff.pause()

    # --- life ---

    async def begin(self, *, ensure: bool) -> None:
        """Make sure that the server can serve, now and after every reconnect."""
        await self._jetstream.check()
        if ensure:
            await self._ensure_streams()
            # What the server kept in memory is gone when it was restarted.
            self._connection.on_up.add(lambda: self._spawn(self._ensure_again()))

    async def server_time(self) -> float:
        """See the port."""
        backoff = Backoff()
        while True:
            answer = await self._jetstream.call(f"STREAM.INFO.{topology.clock_stream(self.namespace)}", {})
            match answer:
                case {"ts": str(at)}:
                    return datetime.fromisoformat(at).timestamp()
                case _ if error_code(answer) in NOTHING and backoff.spent < _IN_THE_MAKING:
                    await backoff.pause()  # it was in memory, and is being made again after a restart
                case _:
                    raise BusError(f"The server does not tell the time: {answer.get('error')}")

    def connected_for(self) -> float:
        """See the port."""
        return time.monotonic() - self._connection.since if self._connection.up.is_set() else 0.0

    def on_reconnect(self, callback: Callable[[], None]) -> Subscription:
        """See the port."""
        return self._connection.on_up.add(callback)

    def on_disconnect(self, callback: Callable[[], None]) -> Subscription:
        """See the port."""
        return self._connection.on_down.add(callback)

    async def flush(self) -> None:
        """See the port."""
        backoff = Backoff()
        while True:
            await self._connection.up.wait()
            try:
                return await self._connection.ping()
            except TimeoutError:
                await backoff.pause()

    async def close(self) -> None:
        """See the port."""
        for intake in self._intakes:
            intake.close()
        self._outbox.close()
        await self._leases.stop()
        for task in self._background:
            task.cancel()
        await self._connection.close()

    # --- inside ---

    async def _ensure_streams(self) -> None:
        call = self._jetstream.call_patiently
        self.differences = await topology.ensure(call, self.namespace, self._replicas, self._logs)
        for difference in self.differences:
            _LOG.warning("%s", difference)

    async def _ensure_again(self) -> None:
        try:
            await self._ensure_streams()
        except NflowError as error:
            _LOG.error("%s", error)  # the message says it all; appends go on trying

    async def _ensure_consumer(self, queue: JobQueue) -> None:
        differences = await topology.ensure_consumer(self._jetstream.call, self.namespace, queue)
        self.differences += [line for line in differences if line not in self.differences]

    async def _enqueue(self, subject: str, payload: bytes) -> None:
        """Store a job that nobody waits for, however long the server has no room for it."""
        backoff = Backoff(longest=5.0)
        while True:
            try:
                await self.enqueue(subject, payload)
            except StorageFull as error:
                _LOG.warning("%s It is tried again.", error)
                await backoff.pause()
            else:
                return

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._background.add(task)  # a task that nobody holds may be collected
        task.add_done_callback(self._background.discard)
