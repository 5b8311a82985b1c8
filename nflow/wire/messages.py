"""Events, jobs, inputs and specs ⇄ bytes.

A message is msgpack: the schema's number, what it says, and which version of nflow says so. A dataclass travels as a
row of its fields in their order, with its name in front where the reader cannot know it. New fields go to the end, with
a default: an older reader ignores them, a newer one fills them in. Any other change is a new schema.
"""

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any, Final, TypeVar, cast

import msgpack

from nflow._version import __version__
from nflow.core import events, jobs
from nflow.core.dataset import Dataset, Ref, TaskInput
from nflow.core.events import Event, Provenance, RemoteError
from nflow.core.jobs import Job, Reopening
from nflow.core.retry import RetrySpec
from nflow.core.spec import DagSpec, Edge, TaskSpec, WorkflowSpec
from nflow.errors import BrokenMessage, SchemaTooNew
from nflow.wire.shapes import MisfitError, Read, reader_of, row_of

SCHEMA: Final = 1  #: the newest schema that this nflow reads, and the one it writes
OLDEST: Final = 1  #: the oldest one that it reads

M = TypeVar("M")


def pack_events(happened: Sequence[Event]) -> bytes:
    """Events as one record of a log, in their order."""
    return _pack(list(happened))


def unpack_events(payload: bytes) -> list[Event]:
    """The events of one record of a log.

    Raises:
        BrokenMessage: These bytes hold no events of this schema.
        SchemaTooNew: A newer nflow wrote them.
    """
    rows = _unpack(payload)
    if type(rows) is not tuple:
        raise BrokenMessage(f"A record of a log holds a list of events, not a {type(rows).__name__}.")
    if not rows:
        raise BrokenMessage("A record of a log holds at least one event, and this one has none.")
    return [cast("Event", _named(_EVENTS, row)) for row in rows]


def pack_job(job: Job) -> bytes:
    """A job as the payload that waits in a queue."""
    return _pack(job)


def unpack_job(payload: bytes) -> Job:
    """The job that waited in a queue. Raises as `unpack_events` does."""
    return cast("Job", _named(_JOBS, _unpack(payload)))


def pack_message(message: object) -> bytes:
    """A dataclass of `core/` that travels on its own, such as a `TaskInput` too large for its event."""
    return _pack(row_of(message.__class__, named=True)(message))


def unpack_message(payload: bytes, kind: type[M]) -> M:
    """The dataclass of this `kind` that was packed. Raises as `unpack_events` does."""
    return cast("M", _named({kind.__name__: reader_of(kind)}, _unpack(payload)))


def pack_input(given: TaskInput) -> bytes:
    """A task's input as a blob, where it is too large for an event or a job."""
    return pack_message(given)


def unpack_input(payload: bytes) -> TaskInput:
    """The input that a blob holds. Raises as `unpack_events` does."""
    return unpack_message(payload, TaskInput)


def pack_spec(spec: WorkflowSpec) -> bytes:
    """A workflow as the blob that its drivers plan from."""
    return pack_message(spec)


def unpack_spec(payload: bytes) -> WorkflowSpec:
    """The workflow that a blob holds. Raises as `unpack_events` does."""
    return unpack_message(payload, WorkflowSpec)


# --- rows and bytes --------------------------------------------------------------------------------------------------


def _readers(module: ModuleType, root: type) -> dict[str, Read]:
    """A reader for every class of `module` that is a `root` and nothing more special is one of."""
    # not __subclasses__: it also has what dataclass(slots=True) makes its classes from
    kinds = [kind for kind in vars(module).values() if isinstance(kind, type) and issubclass(kind, root)]
    leaves = [kind for kind in kinds if not any(kind in other.__mro__[1:] for other in kinds)]
    return {kind.__name__: reader_of(kind) for kind in leaves}


_EVENTS = _readers(events, Event)
_JOBS = _readers(jobs, Job)

_PARTS = (Provenance, RemoteError, Ref, Dataset, TaskInput, DagSpec, TaskSpec, RetrySpec, Edge, Reopening)
_ROWS = {
    **{getattr(events, name): row_of(getattr(events, name), named=True) for name in _EVENTS},
    **{getattr(jobs, name): row_of(getattr(jobs, name), named=True) for name in _JOBS},
    **{kind: row_of(kind) for kind in _PARTS},
}


def _row(value: Any) -> object:
    row = _ROWS.get(type(value))
    if row is not None:
        return row(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a {type(value).__name__} has no place in a message")


def _pack(body: object) -> bytes:
    # surrogates: texts of errors quote file names that are no UTF-8
    return cast("bytes", msgpack.packb((SCHEMA, body, __version__), default=_row, unicode_errors="surrogatepass"))


def _unpack(payload: bytes) -> Any:
    try:
        schema, body, *more = msgpack.unpackb(payload, use_list=False, unicode_errors="surrogatepass")
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        reason = str(error) or "they are no msgpack"  # some of its errors are without a word
        raise BrokenMessage(f"These {len(payload)} bytes are no message of nflow: {reason}") from error
    if schema == SCHEMA:
        return body
    if type(schema) is int and schema > SCHEMA:
        writer = f"nflow {more[0]}" if more and type(more[0]) is str else "A newer nflow"
        raise SchemaTooNew(
            f"{writer} wrote this message, in schema {schema}; this is nflow {__version__}, "
            f"which reads schema {SCHEMA}. Upgrade nflow here."
        )
    if type(schema) is int and schema >= OLDEST:
        return body
    raise BrokenMessage(f"A message of schema {schema!r}, which never was one.")


def _named(readers: Mapping[str, Read], row: Any) -> object:
    try:
        read = readers[row[0]]
    except (TypeError, LookupError):
        expected = next(iter(readers)) if len(readers) == 1 else "kind of message of this schema"
        raise BrokenMessage(f"{str(row)[:80]} is no {expected}.") from None
    try:
        return read(row[1:])
    except MisfitError as misfit:
        raise BrokenMessage(f"A broken {row[0]}: {misfit}.") from misfit
