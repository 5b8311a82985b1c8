"""One connection that is never given up.

nats-py's own reconnect is switched off: it does not return from every error, keeps half-sent buffers, and can die
unnoticed. Instead every lost client, for whatever reason, is replaced by a new one with the same subscriptions.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypedDict
from urllib.parse import urlsplit

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import SlowConsumerError

from nflow.bus.nats.backoff import Backoff
from nflow.bus.nats.listening import Callbacks, Limits, Listening, drive
from nflow.errors import ServerError, ServerRefused, ServerUnreachable

_LOG = logging.getLogger("nflow.bus")

_CONNECT_TIMEOUT = 2.0
_PULSE = 1.0  # seconds between pings; a silent server is left after one more _PING_TIMEOUT
_PING_TIMEOUT = 2.0
_UNLIMITED = 1 << 40
_OUTBOX_BYTES = 64 * 1024**2  # plain messages kept through an outage; the oldest go first
_REFUSALS = ("authorization", "authentication", "permissions", "maximum connections", "account")


class Login(TypedDict, total=False):
    """How to identify oneself to the server."""

    token: str
    user: str
    password: str
    user_credentials: str  #: path of a `.creds` file


class QuickClient(Client):
    """Reads headers in a quarter of the time: every record has some, and the server writes them all alike.

    Should nats-py come to call that otherwise, all goes on with its own reading.
    """

    @staticmethod
    def _parse_header_lines(raw: bytes) -> dict[str, str]:
        try:
            return dict(line.split(": ", 1) for line in raw.decode("ascii").rstrip("\r\n").split("\r\n"))
        except ValueError:  # some other program has written them
            return Client._parse_header_lines(raw)  # noqa: SLF001 - there is no other way to what is overridden


class Connection:
    """A supervised client. Everything here is called on the loop that opened it."""

    def __init__(self, urls: list[str], login: Login, *, name: str, limits: Limits | None = None) -> None:
        self._urls = list(urls)
        self._login = login
        self._name = name
        self._limits = limits or Limits()
        self._client: Client | None = None
        self._gone = asyncio.Event()
        self._closing = False
        self._supervisor: asyncio.Task[None] | None = None
        self._background: set[asyncio.Task[None]] = set()
        self._listening: dict[int, Listening] = {}
        self._outbox: deque[tuple[str, bytes]] = deque()
        self._outbox_bytes = 0
        self._missed_announced = False
        self.up = asyncio.Event()
        self.since = 0.0
        self.on_up = Callbacks()  #: after every reconnect, and when pushes were dropped
        self.on_down = Callbacks()
        self.on_refused: Callable[[str], None] = lambda reason: _LOG.error("The server refuses: %s", reason)

    # --- life ---

    async def open(self) -> None:
        """Connect, each address once; later losses are mended in the background.

        Raises:
            ServerUnreachable: nothing answers.
            ServerRefused: not with these credentials.
        """
        try:
            self._made(await self._try_all())
        except ServerError:
            await self.close()
            raise
        self._supervisor = asyncio.create_task(self._supervise())

    def open_soon(self) -> None:
        """Connect in the background, for as long as it takes."""
        self._supervisor = asyncio.create_task(self._supervise())

    async def close(self) -> None:
        """Send what is waiting, then disconnect."""
        if self.up.is_set():
            with suppress(TimeoutError):
                await self.ping()
        self._closing = True  # as well as the cancel, which asyncio.wait_for in Python 3.11 can swallow
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.wait([self._supervisor])
        self._lost()
        if self._client is not None:
            await self._abandon(self._client)
        if self._background:
            await asyncio.wait(self._background, timeout=_PING_TIMEOUT)

    def reset(self) -> None:
        """Leave the present client for a new one."""
        self._gone.set()

    @property
    def client(self) -> Client:
        """The present client; a lost one while there is no other."""
        assert self._client is not None, "open() comes first"
        return self._client

    # --- messages ---

    def send(self, subject: str, payload: bytes, reply: str = "", headers: dict[str, str] | None = None) -> bool:
        """Send now, in order with all that was sent before; False when there is no connection."""
        if self._client is None or not self._client.is_connected:
            return False
        drive(self._client.publish(subject, payload, reply, headers))
        return True

    def post(self, subject: str, payload: bytes) -> None:
        """Send now, or keep the message for the next connection."""
        if self.up.is_set() and self.send(subject, payload):
            return
        self._outbox.append((subject, payload))
        self._outbox_bytes += len(payload)
        while self._outbox_bytes > _OUTBOX_BYTES:
            self._outbox_bytes -= len(self._outbox.popleft()[1])

    def listen(self, subject: str, on_message: Callable[[Msg], None]) -> Listening:
        """Call back for every message that matches, on this and all later clients."""
        listening = Listening(subject, on_message, self._limits, on_close=self._listening.pop)
        self._listening[id(listening)] = listening
        if self.up.is_set() and not self.client.is_closed:
            listening.start(self.client)
        return listening

    async def ping(self) -> None:
        """Return when the server has taken all that was sent.

        Raises:
            TimeoutError: it is silent; the client is left for a new one.
        """
        ping = asyncio.ensure_future(self._ping(self.client, self._gone))
        ping.add_done_callback(_seen)
        await asyncio.shield(ping)  # for a pong to a cancelled ping ends nats-py's reading for good

    # --- supervision ---

    async def _supervise(self) -> None:
        while not self._closing:
            if self._client is not None:
                await self._until_gone(self._client)
                self._lost()
                self._spawn(self._abandon(self._client))
            backoff = Backoff(first=0.03, longest=1.0)
            while not self._closing and not await self._retry():
                await backoff.pause()

    async def _until_gone(self, client: Client) -> None:
        gone = self._gone
        while not (gone.is_set() or client.is_closed or self._closing):
            with suppress(TimeoutError):
                async with asyncio.timeout(_PULSE):
                    await gone.wait()
            if not gone.is_set():
                with suppress(TimeoutError):
                    await self._ping(client, gone)

    async def _ping(self, client: Client, gone: asyncio.Event) -> None:
        # rtt and not flush: flush reports success when nats-py's reading task has died.
        try:
            await client.rtt(timeout=_PING_TIMEOUT)  # type: ignore[arg-type] # annotated int, used as seconds
        except (NatsError, OSError, RuntimeError) as error:
            gone.set()
            raise TimeoutError("the server is silent") from error

    def _made(self, client: Client) -> None:
        again = self.since > 0
        self._client = client
        self.since = time.monotonic()
        self._learn_servers(client)
        for listening in list(self._listening.values()):
            listening.start(client)
        while self._outbox:
            drive(client.publish(*self._outbox.popleft()))
        self._outbox_bytes = 0
        self.up.set()
        if again:
            _LOG.info("Connected again to %s", self._urls[0].rpartition("@")[2])
            self.on_up.fire()

    def _lost(self) -> None:
        if self.up.is_set():
            self.up.clear()
            self.on_down.fire()

    def _missed(self) -> None:
        """Tell once for a burst of dropped messages."""
        if not self._missed_announced:
            self._missed_announced = True
            asyncio.get_running_loop().call_soon(self._announce_missed)

    def _announce_missed(self) -> None:
        self._missed_announced = False
        _LOG.warning("Messages came faster than they were taken, and some were dropped")
        self.on_up.fire()

    # --- clients ---

    async def _try_all(self) -> Client:
        """A client from the first address that serves; the next time it begins with the next one."""
        failure: ServerError = ServerUnreachable("No address of a server is given.")
        for _ in range(len(self._urls)):
            try:
                return await self._connect(self._urls[0])
            except ServerError as error:
                failure = error
                self._urls.append(self._urls.pop(0))
        raise failure

    async def _retry(self) -> bool:
        try:
            self._made(await self._try_all())
        except ServerError as error:
            _LOG.debug("%s", error)
            return False
        return True

    async def _connect(self, url: str) -> Client:
        client, gone, reasons = QuickClient(), asyncio.Event(), list[str]()

        async def on_closed() -> None:
            gone.set()

        async def on_error(error: Exception) -> None:
            reasons.append(str(error))
            self._on_error(error)

        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT):
                await client.connect(
                    servers=[url],
                    name=self._name,
                    error_cb=on_error,
                    closed_cb=on_closed,
                    allow_reconnect=False,
                    max_reconnect_attempts=1,
                    reconnect_time_wait=0,
                    ping_interval=3600,  # the pulse above pings
                    flusher_queue_size=0,  # without limits no publish ever suspends: see drive()
                    pending_size=_UNLIMITED,
                    connect_timeout=int(_CONNECT_TIMEOUT),
                    skip_subject_validation=True,  # they come from wire/subjects, at a cost per message otherwise
                    **self._login,
                )
        except BaseException as error:
            self._spawn(self._abandon(client))  # when cancelled, too: its socket is open
            if isinstance(error, NatsError | OSError | ValueError):
                raise _refusal(url, reasons[-1] if reasons else str(error)) from error
            raise
        self._gone = gone
        return client

    def _on_error(self, error: Exception) -> None:
        text = str(error)
        if isinstance(error, SlowConsumerError):
            self._missed()
        elif "permissions violation" in text:
            self.on_refused(text)
        elif not isinstance(error, NatsError | OSError):
            _LOG.error("A callback failed", exc_info=error)

    async def _abandon(self, client: Client) -> None:
        # Closing writes what is left, which a stopped server never reads. AssertionError: there was never anything to
        # close, as its address could not even be read.
        with suppress(TimeoutError, NatsError, OSError, AssertionError):
            async with asyncio.timeout(_PING_TIMEOUT):
                await client.close()

    def _learn_servers(self, client: Client) -> None:
        """Remember the other servers of the cluster, with the login that the first address carries."""
        user, at, _ = urlsplit(self._urls[0]).netloc.rpartition("@")
        known = {urlsplit(url).netloc.rpartition("@")[2] for url in self._urls}
        self._urls += [
            f"{server.scheme}://{user}{at}{server.netloc}"
            for server in client.discovered_servers
            if server.netloc not in known
        ]

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._background.add(task)  # a task that nobody holds may be collected
        task.add_done_callback(self._background.discard)


def _seen(work: "asyncio.Task[None]") -> None:
    """Whoever waited for it may have gone: then its failure is no news to anybody."""
    if not work.cancelled():
        work.exception()


def _refusal(url: str, reason: str) -> ServerError:
    where = url.rpartition("@")[2] or "''"
    reason = reason.removeprefix("nats: ").strip("'\" ")
    if any(word in reason.lower() for word in _REFUSALS):
        return ServerRefused(f"The server at {where} refuses the connection: {reason}. Check the token or user.")
    return ServerUnreachable(f"No NATS server answers at {where} ({reason or 'silence'}). Is the address right?")
