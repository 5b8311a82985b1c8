"""Names ⇄ subjects: the one place where what a user typed becomes part of an address, and back.

A name may hold any characters; a token of a subject may not. Tokens made here are also valid keys of a NATS bucket.
Nothing else in nflow builds or takes apart a subject.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from nflow.core.ids import DagId, RunId, TaskId, WorkerId
from nflow.errors import ConfigError
from nflow.wire.digest import digest

LONGEST_TOKEN_BYTES = 200
LONGEST_PART_BYTES = 40
PRIORITY = 5  #: the one priority class there is today; its place in the subject is kept for others
ANY_PYTHON = "any"  #: drivers open no code, so any Python may take their jobs

_PLAIN = re.compile(r"[A-Za-z0-9-][A-Za-z0-9_-]*", re.ASCII)
_ESCAPED = re.compile(r"=([0-9A-F]{2})")
_EMPTY = "=0"
_DIGEST = "=x"
_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")


@lru_cache(maxsize=1 << 16)
def token(name: str) -> str:
    """`name` as one token of a subject: itself where it can be, else with `=XX` for every byte that may not be in one.

    A token never begins with `_`: those are the engine's own. A name that would need more than 200 bytes becomes
    `=x` and its digest, and has to travel in the payload.
    """
    if _PLAIN.fullmatch(name) and len(name) <= LONGEST_TOKEN_BYTES:
        return name
    # surrogates are what Python makes of file names that are no UTF-8; they must come back as they were
    raw = name.encode("utf-8", "surrogatepass")
    escaped = "".join(chr(byte) if byte in _SAFE else f"={byte:02X}" for byte in raw) or _EMPTY
    if escaped.startswith("_"):
        escaped = "=5F" + escaped[1:]
    if len(escaped) > LONGEST_TOKEN_BYTES:
        return _DIGEST + digest(raw)
    return escaped


def part_token(part: str) -> str:
    """One part of a key of the store: as `token`, but a key has many of them, so long ones become digests earlier."""
    plain = token(part)
    return plain if len(plain) <= LONGEST_PART_BYTES else _DIGEST + digest(part.encode("utf-8", "surrogatepass"))


@lru_cache(maxsize=1 << 16)
def name_of(token_: str) -> str | None:
    """The name that `token` made this of; None where it does not tell: a digest, or a token of the engine's own."""
    if _PLAIN.fullmatch(token_):
        return token_
    if token_ == _EMPTY:
        return ""
    raw = _ESCAPED.sub(lambda escape: chr(int(escape[1], 16)), token_).encode("latin-1", "replace")
    try:
        name = raw.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return None
    return name if token(name) == token_ else None


class QueueAddress(NamedTuple):
    """Where the jobs of one queue wait: the durable consumer's name, and the subjects it takes."""

    name: str
    subject: str


class EventPlace(NamedTuple):
    """Where in the logs a record belongs, in tokens; `dag` is `_` in the workflow's log, `last` is what it is about."""

    run: str
    dag: str
    last: str


class JobPlace(NamedTuple):
    """What a job's subject tells about it, in tokens; `dag` and `task` are empty where the kind of job has none."""

    kind: str
    queue: str
    python: str
    run: str
    dag: str
    task: str
    attempt: int


class Subjects:
    """Every subject of one namespace. Arguments are names; what comes back is ready for the bus."""

    def __init__(self, namespace: str) -> None:
        if not _PLAIN.fullmatch(namespace) or len(namespace) > 32:
            raise ConfigError(
                f"A namespace is at most 32 letters, digits, '-' and '_', not {namespace!r}. Change server.namespace."
            )
        self.namespace = namespace
        self._jobs = f"{namespace}.job."
        self._events = f"{namespace}.event."
        self._blobs = f"{namespace}.blob."
        self._lines = f"{namespace}.log."
        self._dead = f"{namespace}.dead."
        self._holders = f"{namespace}.holder."
        self._buckets = f"$KV.{namespace}_"

    # --- jobs ---

    def jobs(self) -> str:
        """All jobs."""
        return f"{self._jobs}>"

    def jobs_under(self, head: str) -> str:
        """All jobs of one kind, queue and Python, by the first five tokens of their subjects."""
        return f"{head}.>"

    def job_workflow(self, queue: str, run: RunId) -> str:
        """The job to drive a workflow run."""
        return f"{self._jobs}workflow.{token(queue)}.{ANY_PYTHON}.{PRIORITY}.{token(run)}"

    def all_jobs(self) -> str:
        """Whatever waits in a queue, or is in the hands of a worker."""
        return f"{self._jobs}>"

    def workflow_jobs(self, run: RunId | None = None) -> str:
        """The jobs to drive a run, in whatever queue, or any run."""
        return f"{self._jobs}workflow.*.*.*.{'*' if run is None else token(run)}"

    def jobs_of(self, run: RunId, queue: str | None = None) -> tuple[str, str]:
        """All jobs of a run, or those in the queues of that name: to drive it, and all others."""
        place = f"{'*' if queue is None else token(queue)}.*.*.{token(run)}"
        return f"{self._jobs}workflow.{place}", f"{self._jobs}*.{place}.>"

    def tasks_of(self, run: RunId, queue: str, python: str) -> str:
        """The tasks of a run in that queue, for that Python."""
        return f"{self._jobs}task.{token(queue)}.{token(python)}.*.{token(run)}.>"

    def job_dag(self, queue: str, run: RunId, dag: DagId) -> str:
        """The job to drive a dag run."""
        return f"{self._jobs}dag.{token(queue)}.{ANY_PYTHON}.{PRIORITY}.{token(run)}.{token(dag)}"

    def job_task(self, queue: str, python: str, run: RunId, dag: DagId, task: TaskId, attempt: int) -> str:
        """The job to execute one attempt at a task, with the Python that can open its code."""
        place = f"{token(queue)}.{token(python)}.{PRIORITY}.{token(run)}.{token(dag)}.{token(task)}"
        return f"{self._jobs}task.{place}.{attempt}"

    def task_jobs(self, run: RunId, dag: DagId) -> str:
        """The jobs of all tasks of a dag run, in whatever queues."""
        return f"{self._jobs}task.*.*.*.{token(run)}.{token(dag)}.>"

    def queue(self, kind: str, queue: str, python: str = ANY_PYTHON) -> QueueAddress:
        """The consumer over all jobs of one kind (`workflow`, `dag`, `task`), queue and Python."""
        # kinds and Python tags hold no `_`, so that no two queues share a consumer
        return QueueAddress(
            name=f"{kind}_{PRIORITY}_{token(python)}_{token(queue)}",
            subject=f"{self._jobs}{kind}.{token(queue)}.{token(python)}.{PRIORITY}.>",
        )

    # --- the event logs; without a dag: the workflow's ---

    def log(self, run: RunId, dag: DagId | None = None) -> str:
        """All records of one log."""
        return f"{self._log(run, dag)}.>"

    def run_events(self, run: RunId) -> str:
        """All records of all logs of a run."""
        return f"{self._events}{token(run)}.>"

    def all_events(self) -> str:
        """All records of all logs of all runs."""
        return f"{self._events}>"

    def owner(self, run: RunId, dag: DagId | None = None) -> str:
        """Who drives: the last record here fences the owner's writes."""
        return f"{self._log(run, dag)}._owner"

    def own(self, run: RunId, dag: DagId | None = None) -> str:
        """What the owner has decided."""
        return f"{self._log(run, dag)}._log"

    def owns(self) -> str:
        """What the owners of all runs have decided."""
        return f"{self._events}*._._log"

    def stop(self, run: RunId, dag: DagId | None = None) -> str:
        """Wishes that the run, or the dag run, should end; from anyone."""
        return f"{self._log(run, dag)}._stop"

    def stops(self) -> str:
        """Every wish that something should end, in any log."""
        return f"{self._events}*.*._stop"

    def ask(self, run: RunId) -> str:
        """Requests to the workflow's driver; from anyone."""
        return f"{self._log(run, None)}._ask"

    def dag_finished(self, run: RunId, dag: DagId) -> str:
        """How a dag run ended: in the workflow's log, from the dag's driver."""
        return f"{self._log(run, None)}.{token(dag)}"

    def task(self, run: RunId, dag: DagId, task: TaskId) -> str:
        """Claims and outcomes of one task."""
        return f"{self._events}{token(run)}.{token(dag)}.{token(task)}"

    def _log(self, run: RunId, dag: DagId | None) -> str:
        return f"{self._events}{token(run)}.{'_' if dag is None else token(dag)}"

    # --- data ---

    def upload(self, run: RunId, upload: str) -> str:
        """One upload of a run: what a `Ref` to a blob has in `where`."""
        return f"{self._blobs}{token(run)}.{token(upload)}"

    def code(self, digest: str) -> str:
        """The upload of a code or spec blob, which runs share by digest."""
        return f"{self._blobs}_code.{token(digest)}"

    def blobs_of(self, run: RunId) -> str:
        """All chunks of all uploads of a run."""
        return f"{self._blobs}{token(run)}.>"

    def blobs(self) -> str:
        """All chunks of all uploads, code among them."""
        return f"{self._blobs}*.>"

    def codes(self) -> str:
        """All chunks of all code and specs."""
        return f"{self._blobs}_code.>"

    def blob(self, upload: str, n: int) -> str:
        """Chunk `n` of an upload, which is given as `upload` or `code` returned it."""
        return f"{upload}.{n}"

    def chunks(self, upload: str) -> str:
        """All chunks of an upload."""
        return f"{upload}.*"

    def kv(self, bucket: str, *keys: str) -> str:
        """A key of a bucket (`runs`, `workers`, `store`), of as many parts as there are names."""
        return f"{self._buckets}{bucket}.{'.'.join(map(token, keys))}"

    def kv_under(self, bucket: str, *keys: str) -> str:
        """All keys of a bucket whose first parts are these."""
        return ".".join((f"{self._buckets}{bucket}", *map(token, keys), ">"))

    def value(self, run: RunId, section: str, parts: Sequence[str]) -> str:
        """Where the store keeps what a key was set to."""
        return f"{self._stored(run, section, parts)}._v"

    def elements(self, run: RunId, section: str, parts: Sequence[str], entry: str = "*") -> str:
        """Where the store keeps one that was pushed or added to a key, or all of them."""
        return f"{self._stored(run, section, parts)}._e.{entry}"

    def stored(self, run: RunId, section: str | None = None, parts: Sequence[str] = ()) -> str:
        """All that the store keeps of a key, a section or a run."""
        if section is None:
            return f"{self._buckets}store.{token(run)}.>"
        return f"{self._stored(run, section, parts)}.>"

    def _stored(self, run: RunId, section: str, parts: Sequence[str]) -> str:
        return ".".join((f"{self._buckets}store.{token(run)}.{token(section)}", *map(part_token, parts)))

    # --- the sweep ---

    def sweep(self) -> str:
        """Who sweeps writes here: nobody else does, while that record lives."""
        return f"{self._buckets}runs._sweep"

    def reminder(self) -> str:
        """Who looks for forgotten jobs writes here: nobody else does, while that record lives."""
        return f"{self._buckets}runs._reminder"

    def swept_blobs(self) -> str:
        """A mark among the blobs: what is stored behind it is too young for this sweep."""
        return f"{self._blobs}_sweep"

    # --- people and processes ---

    def lines(self, run: RunId, dag: DagId, task: TaskId) -> str:
        """What a task prints and logs."""
        return f"{self._lines}{token(run)}.{token(dag)}.{token(task)}"

    def lines_of(self, run: RunId, dag: DagId | None = None) -> str:
        """What all tasks of a run, or of a dag run, print and log."""
        return f"{self._lines}{token(run)}.>" if dag is None else f"{self._lines}{token(run)}.{token(dag)}.>"

    def lines_like(self, run: RunId, dag: str | None, task: str | None) -> str:
        """What tasks of a run print and log, as narrow as names can make it: a dag without its number has many runs."""
        where = token(dag) if dag is not None and ":" in dag else "*"
        return f"{self._lines}{token(run)}.{where}.{'*' if task is None else token(task)}"

    def dead(self, kind: str, run: str, seq: int) -> str:
        """Where the job of this sequence is laid down that could not be handled, with its reason."""
        return f"{self._dead}{token(kind)}.{token(run)}.{seq}"

    def dead_piece(self, letter: str, n: int) -> str:
        """Piece `n` of a payload that leaves no room in its letter, which is given as `dead` returned it."""
        return f"{letter}.{n}"

    def dead_pieces(self, letter: str) -> str:
        """All pieces of the payload of a letter."""
        return f"{letter}.*"

    def dead_letters(self, run: str | None = None) -> str:
        """The letters of all jobs that could not be handled, or of those of a run."""
        return f"{self._dead}*.{'*' if run is None else token(run)}.*"

    def dead_of(self, run: RunId) -> str:
        """The letters of a run, with all pieces of their payloads."""
        return f"{self._dead}*.{token(run)}.>"

    def holder(self, worker: WorkerId) -> str:
        """Where a worker answers whether a job is still its own."""
        return f"{self._holders}{token(worker)}"


def log_of(subject: str) -> str:
    """The log that a record of this subject belongs to, as `Subjects.log` calls it."""
    return f"{subject.rpartition('.')[0]}.>"


def event_place(subject: str) -> EventPlace:
    """Take apart the subject of a record in a log."""
    return EventPlace(*subject.rsplit(".", 3)[1:])


def line_place(subject: str) -> tuple[str, str]:
    """The dag run and the task that wrote under this subject; of a name that is too long for one, what stands there."""
    dag, task = subject.rsplit(".", 2)[1:]
    return name_of(dag) or dag, name_of(task) or task


def queue_of(head: str) -> tuple[str, str, str]:
    """Kind, queue and Python of a job, by the first five tokens of its subject."""
    _, _, kind, queue, python = head.split(".")
    return kind, name_of(queue) or queue, name_of(python) or python


def job_place(subject: str) -> JobPlace:
    """Take apart the subject of a job; of one that is none of nflow's own, as far as it goes."""
    parts = subject.split(".")[2:]
    kind, queue, python, _, run, dag, task, attempt = (*parts, *[""] * 8)[:8]
    return JobPlace(kind, queue, python, run, dag, task, int(attempt) if attempt.isdecimal() else 0)
