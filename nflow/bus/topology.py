"""The streams, buckets and consumers that nflow keeps on a server: defined here and nowhere else.

Raw JSON, for a client library that does not know a field would reset it without a word. What is missing is created;
what differs is reported, and never changed: a stream belongs to everybody who uses the server.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from nflow.bus.port import LEASE, JobQueue
from nflow.errors import BusError, ServerRefused, StorageFull

Config = dict[str, object]
Call = Callable[[str, Config], Awaitable[Config]]  #: (verb and name, body) → the server's answer, errors included

#: What a person can do who is told that there is no room.
MAKE_ROOM = "Make room on its disk, or raise its max_file_store; nothing is dropped."

#: The same where the server has met the end of its disk: it then stores nothing more before it is started again.
BROKEN_DISK = "Is its disk full? Look at the server's log, make room, and start the server again; nothing is dropped."

SUBJECT_BYTES = 1024  #: the longest subject; a server closes the connection over one that is much longer

_SECOND = 10**9  # the server counts in nanoseconds
_LOG_AGE = 30 * 24 * 3600 * _SECOND  # as long as finished runs are kept
_LOG_BYTES = 512 * 1024**2  # a stream's mark is reserved when it is created, so it must fit on a small disk
_CONSUMERS = 100_000  # the server's default is 1000; every queue has one for each Python and priority
_PULLS = 20_000  # every idle worker has a few outstanding


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLimits:
    """How much of the logs is kept. None: as the server has it, or as usual where nothing is there yet."""

    size_bytes: int | None = None  #: of all runs together
    age: float | None = None  #: seconds

    def fields(self) -> Config:
        """Those that are given, as the server's API takes them."""
        size: Config = {} if self.size_bytes is None else {"max_bytes": self.size_bytes}
        if self.age is None:
            return size
        return {**size, "max_age": 0 if self.age == math.inf else int(self.age * _SECOND)}


USUAL_LOGS = LogLimits()

_STREAM_OF_KIND = {"job": "jobs", "event": "events", "blob": "blobs", "log": "logs", "dead": "dead"}
_NEEDED = ("retention", "storage", "subjects", "allow_direct", "republish", "max_msgs_per_subject", "allow_msg_ttl")

_NAME_IN_USE = 10058
_SUBJECTS_OVERLAP = 10065
_CONSUMER_EXISTS = 10148
_NO_ROOM = frozenset({10023, 10028, 10047})


def streams(namespace: str, replicas: int = 1, logs: LogLimits = USUAL_LOGS) -> list[Config]:
    """Every stream of `namespace`, as the server's API takes it."""
    return [
        _stream(namespace, "job", replicas, retention="workqueue", max_consumers=_CONSUMERS),
        _stream(namespace, "event", replicas, republish=_pushes(namespace, "event"), allow_msg_ttl=True),
        _stream(namespace, "blob", replicas),
        _stream(
            namespace,
            "log",
            replicas,
            discard="old",
            republish=_pushes(namespace, "log"),
            **{"max_age": _LOG_AGE, "max_bytes": _LOG_BYTES, **logs.fields()},
        ),
        _stream(namespace, "dead", replicas, republish=_pushes(namespace, "dead")),
        _bucket(namespace, "runs", replicas),
        _bucket(namespace, "store", replicas),
        _bucket(namespace, "workers", replicas, storage="memory"),
    ]


def consumer(queue: JobQueue) -> Config:
    """The durable consumer of a queue. What is in hand has no limit: drivers hold their jobs for as long as a run."""
    return {
        "name": queue.name,
        "durable_name": queue.name,
        "filter_subject": queue.subject,
        "deliver_policy": "all",
        "ack_policy": "explicit",
        "replay_policy": "instant",
        "ack_wait": int(LEASE * _SECOND),
        "max_deliver": -1,
        "max_ack_pending": -1,
        "max_waiting": _PULLS,
    }


def stream_of(subject: str) -> str:
    """The stream that stores `subject`."""
    first, second, _ = subject.split(".", 2)
    if first == "$KV":
        return f"KV_{second}"
    return f"{first}_{_STREAM_OF_KIND[second]}"


def jobs_stream(namespace: str) -> str:
    """The stream of all jobs."""
    return f"{namespace}_jobs"


def clock_stream(namespace: str) -> str:
    """The stream whose description tells the server's time: a small one, in memory."""
    return f"KV_{namespace}_workers"


def head_of(subject: str, tokens: int) -> str:
    """The first tokens of a subject."""
    return ".".join(subject.split(".", tokens)[:tokens])


def is_stored(subject: str) -> bool:
    """Whether a message to `subject` is kept by a stream."""
    first, *rest = subject.split(".", 2)
    return len(rest) == 2 and (first == "$KV" or rest[0] in _STREAM_OF_KIND)


def pushed(namespace: str, subject: str) -> str:
    """Where the records of `subject` are sent once they are stored."""
    first, second, rest = subject.split(".", 2)
    kind = f"kv.{second.removeprefix(f'{namespace}_')}" if first == "$KV" else second
    return f"{namespace}.pushed.{kind}.{rest}"


async def ensure(call: Call, namespace: str, replicas: int = 1, logs: LogLimits = USUAL_LOGS) -> list[str]:
    """Create what is missing, all at once; the differences of what is there already, in words.

    Limits of the logs that nobody has set here may be any: another one has.

    Raises:
        ServerRefused: a stream of that name or subject is there and cannot serve.
        StorageFull: there is no room for a new stream.
    """
    free = frozenset({"max_age", "max_bytes"} - set(logs.fields()))
    wanted = streams(namespace, replicas, logs)
    differences = await asyncio.gather(*(_ensure_stream(call, config, free) for config in wanted))
    return [line for lines in differences for line in lines]


async def ensure_consumer(call: Call, namespace: str, queue: JobQueue) -> list[str]:
    """Create the consumer of `queue` unless it is there; how it differs, in words."""
    stream, config = jobs_stream(namespace), consumer(queue)
    body: Config = {"stream_name": stream, "config": config, "action": "create"}
    answer = await call(f"CONSUMER.CREATE.{stream}.{queue.name}.{queue.subject}", body)
    match _error(answer):
        case None:
            return []
        case code, _ if code == _CONSUMER_EXISTS:
            there = await call(f"CONSUMER.INFO.{stream}.{queue.name}", {})
            return _differences(f"The consumer {queue.name}", config, there)
        case _, text:
            raise BusError(f"The server does not open the queue {queue.name} ({queue.subject}): {text}.")


def _stream(namespace: str, kind: str, replicas: int, **more: object) -> Config:
    """A stream that refuses new messages when there is no room, rather than to drop old ones."""
    return {
        "name": f"{namespace}_{_STREAM_OF_KIND[kind]}",
        "subjects": [f"{namespace}.{kind}.>"],
        "retention": "limits",
        "storage": "file",
        "discard": "new",
        "allow_direct": True,
        "num_replicas": replicas,
    } | more


def _bucket(namespace: str, name: str, replicas: int, storage: str = "file") -> Config:
    """A stream laid out as a NATS key-value bucket, so that its own tools can read it."""
    bucket = f"{namespace}_{name}"
    return {
        "name": f"KV_{bucket}",
        "subjects": [f"$KV.{bucket}.>"],
        "retention": "limits",
        "storage": storage,
        "discard": "new",
        "max_msgs_per_subject": 1,
        "allow_rollup_hdrs": True,
        "deny_delete": True,
        "allow_direct": True,
        "allow_msg_ttl": True,
        "republish": {"src": f"$KV.{bucket}.>", "dest": pushed(namespace, f"$KV.{bucket}.>")},
        "num_replicas": replicas,
    }


def _pushes(namespace: str, kind: str) -> Config:
    source = f"{namespace}.{kind}.>"
    return {"src": source, "dest": pushed(namespace, source)}


async def set_log_limits(call: Call, namespace: str, logs: LogLimits) -> list[str]:
    """Let the stream of the logs have these limits; what that has changed, in words.

    Raises:
        ServerRefused: it does not allow it.
    """
    name = f"{namespace}_{_STREAM_OF_KIND['log']}"
    there = (await call(f"STREAM.INFO.{name}", {})).get("config")
    before = there if isinstance(there, dict) else {}
    changes = {key: value for key, value in logs.fields().items() if before.get(key) != value}
    if changes:
        match _error(await call(f"STREAM.UPDATE.{name}", before | changes)):
            case _, text:
                raise ServerRefused(f"The server does not change the stream {name}: {text}.")
    return [f"{name}: {key} is {value} now; it was {before.get(key)}." for key, value in changes.items()]


async def _ensure_stream(call: Call, config: Config, free: frozenset[str]) -> list[str]:
    """Create it, or compare it, but for what is `free` to differ."""
    name = str(config["name"])
    match _error(await call(f"STREAM.CREATE.{name}", config)):
        case None:
            return []
        case code, _ if code == _NAME_IN_USE:
            there = await call(f"STREAM.INFO.{name}", {})
            return _compared(name, config, there, free)
        case code, text if code in _NO_ROOM:
            there = await call(f"STREAM.INFO.{name}", {})
            if _error(there) is None:  # a full server says so before it looks whether the stream is there already
                return _compared(name, config, there, free)
            raise StorageFull(_no_room(config, text))
        case code, text if code == _SUBJECTS_OVERLAP:
            raise ServerRefused(
                f"Another stream on this server takes the subjects of {name}: choose another namespace."
            )
        case _, text:
            raise ServerRefused(f"The server does not create the stream {name}: {text}.")


def _no_room(config: Config, text: str) -> str:
    size = config.get("max_bytes")
    needed = f" of {size // 1024**2} MB" if isinstance(size, int) else ""
    return f"The server has no room for the stream {config['name']}{needed}: {text}. {MAKE_ROOM}"


def _compared(name: str, config: Config, there: Config, free: frozenset[str]) -> list[str]:
    """The harmless differences of an existing stream."""
    needed = {key: config.get(key) for key in _NEEDED}
    if harmful := _differences(f"The stream {name}", needed, there):
        raise ServerRefused(f"{harmful[0]} nflow cannot use it: choose another namespace, or mend the stream.")
    fixed = {key: value for key, value in config.items() if key not in free}
    hint = " Change the setting, or the stream: nflow server apply."
    return [
        line + (hint if " max_" in line and name.endswith(f"_{_STREAM_OF_KIND['log']}") else "")
        for line in _differences(f"The stream {name}", fixed, there)
    ]


def _differences(what: str, wanted: Config, answer: Config) -> list[str]:
    """Field by field; the server leaves out what is empty."""
    config = answer.get("config")
    actual = config if isinstance(config, dict) else {}
    return [
        f"{what} has {key} = {actual.get(key)!r} where {value!r} is expected."
        for key, value in wanted.items()
        if (actual.get(key) or None) != (value or None) and not (value is None and actual.get(key) == -1)
    ]


def _error(answer: Config) -> tuple[int, str] | None:
    match answer.get("error"):
        case {"err_code": int(code), "description": str(text)}:
            return code, text
        case None:
            return None
        case other:
            return 0, str(other)
