"""JetStream's own API: calls in JSON that wait through outages, and what its errors mean."""

import json

from nats.aio.msg import Msg

from nflow.bus.nats.backoff import Backoff
from nflow.bus.nats.connection import Connection
from nflow.bus.nats.requests import Requests, status_of
from nflow.bus.port import JobQueue, QueueState
from nflow.bus.topology import Config, head_of, stream_of
from nflow.errors import BusError, ServerRefused, ServerTooOld, ServerUnreachable

NO_RESPONDERS = "503"

WRONG_LAST_SEQUENCE = 10071
COPY_IN_FLIGHT = 10158  # replicated streams: the same message, sent before, has not been agreed upon yet
WRITE_IN_FLIGHT = 10164  # replicated streams: another write to this subject has not been agreed upon yet
NOTHING = frozenset({10037, 10059})  # no such record; no such stream, which is being made again after a restart
NO_ROOM = frozenset({10023, 10028, 10047, 10077})  # 10077: the stream has reached its mark, or a write has failed

_NOT_ENABLED = frozenset({10039, 10076})
SOON = frozenset({10005, 10008, 10023, 10074})  # a cluster that is still electing and finding its peers
_NEEDED = (2, 12)


class JetStream:
    """The API of one JetStream domain."""

    def __init__(self, connection: Connection, requests: Requests, domain: str | None = None) -> None:
        self._connection = connection
        self._requests = requests
        self.prefix = f"$JS.{domain}.API." if domain else "$JS.API."

    async def call(self, verb: str, body: Config, *, patience: float | None = None) -> Config:
        """The server's answer, errors included; repeated until there is one, for at most `patience` seconds of pauses.

        Raises:
            ServerUnreachable: nobody answered for so long.
        """
        backoff = Backoff()
        while True:
            await self._connection.up.wait()
            answer = await self._requests.one(self.prefix + verb, json.dumps(body).encode() if body else b"")
            if answer is not None and status_of(answer) is None:
                decoded: Config = json.loads(answer.data)
                return decoded
            if patience is not None and backoff.spent > patience:
                raise ServerUnreachable(f"JetStream on {self._where()} does not answer {verb}.")
            await backoff.pause()

    async def call_patiently(self, verb: str, body: Config) -> Config:
        """`call` for a server that may have just started: a cluster needs seconds until it can place a stream."""
        backoff = Backoff(first=0.05, longest=1.0)
        while True:
            answer = await self.call(verb, body, patience=20.0)
            if error_code(answer) not in SOON or backoff.spent > self._patience():
                return answer
            await backoff.pause()

    async def heads(self, subject: str, tokens: int) -> set[str]:
        """How the subjects that match begin. The server tells 100 000 of them at a time; only their heads are kept."""
        found: set[str] = set()
        offset, total = 0, 1
        while offset < total:
            page = await self.call(f"STREAM.INFO.{stream_of(subject)}", {"subjects_filter": subject, "offset": offset})
            match page:
                case {"error": error}:
                    raise BusError(f"The server does not list {subject}: {error}")
                case {"state": {"subjects": dict(subjects)}, "total": int(total)}:
                    found |= {head_of(each, tokens) for each in subjects}
                    offset += len(subjects)
                case _:  # none at all, or none any more
                    return found
        return found

    async def newest(self, stream: str) -> int:
        """The last sequence of a stream."""
        match await self.call_patiently(f"STREAM.INFO.{stream}", {}):
            case {"state": {"last_seq": int(newest)}}:
                return newest
            case answer:
                raise BusError(f"The server does not describe {stream}: {answer.get('error')}")

    async def queues(self, stream: str) -> list[QueueState]:
        """The durable consumers of a stream; the server tells 256 of them at a time."""
        found: dict[str, QueueState] = {}
        total = 1
        while len(found) < total:
            page = await self.call(f"CONSUMER.LIST.{stream}", {"offset": len(found)})
            match page:
                case {"consumers": [*consumers], "total": int(total)} if consumers:
                    found |= {state.queue.name: state for state in map(_queue_state, consumers)}
                case {"error": error}:
                    raise BusError(f"The server does not list the queues of {stream}: {error}")
                case _:  # none at all, or none any more
                    break
        return [found[name] for name in sorted(found)]

    async def check(self) -> None:
        """Make sure that this server can serve.

        Raises:
            ServerTooOld: its version is too low, or JetStream is off.
        """
        version = self._connection.client.connected_server_version
        try:
            major, minor = version.major, version.minor
        except ValueError as error:
            raise ServerTooOld(f"The server at {self._where()} tells no version: {error}. nflow needs 2.12.") from error
        if (major, minor) < _NEEDED:
            raise ServerTooOld(f"The server at {self._where()} is version {major}.{minor}; nflow needs 2.12 or newer.")
        try:
            answer = await self.call("INFO", {}, patience=2.0)
        except ServerUnreachable as error:
            raise ServerTooOld(f"The server at {self._where()} runs without JetStream: enable it (`-js`).") from error
        code = error_code(answer)
        if code in _NOT_ENABLED:
            raise ServerTooOld(f"JetStream is not enabled for this account on {self._where()}.")
        if code and code not in SOON:
            raise ServerRefused(f"JetStream on {self._where()} refuses: {answer['error']}")

    def _patience(self) -> float:
        """Lack of room or of peers heals by itself only where there is a cluster to wait for."""
        return 20.0 if self._connection.client.discovered_servers else 0.0

    def _where(self) -> str:
        url = self._connection.client.connected_url
        return f"{url.hostname}:{url.port}" if url else "this server"


def _queue_state(info: object) -> QueueState:
    match info:
        case {
            "name": str(name),
            "config": {"filter_subject": str(subject)},
            "delivered": {"stream_seq": int(delivered)},
            "num_pending": int(waiting),
            "num_ack_pending": int(in_hand),
        }:
            queue = JobQueue(name=name, subject=subject)
            return QueueState(queue=queue, waiting=waiting, in_hand=in_hand, delivered=delivered)
        case _:
            raise BusError(f"The server describes a queue in a way that is not known: {info}")


def error_code(answer: Config) -> int:
    """The server's number for what went wrong; 0 when nothing did."""
    match answer.get("error"):
        case {"err_code": int(code)}:
            return code
        case None:
            return 0
        case _:
            return -1


def error_of(message: Msg) -> tuple[int, str]:
    """Number and words of the error in a reply to a publish."""
    answer = json.loads(message.data)
    return error_code(answer), answer.get("error", {}).get("description", "no reason given")
