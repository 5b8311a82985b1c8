"""What happened, in words: one line an event, for `nflow events` and the monitor. Pure.

Nothing here is fit for a terminal as it stands: names and messages are the users', and may hold anything.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from nflow.bus.port import Record
from nflow.core.events import (
    DagFinished,
    DagRefused,
    DagReopened,
    DagRequested,
    DagStarted,
    Event,
    OwnerChanged,
    Provenance,
    RunFinished,
    RunRetried,
    RunStarted,
    StopRequested,
    TaskAborted,
    TaskCancelled,
    TaskEvent,
    TaskFailed,
    TaskReleased,
    TaskSkipped,
    TaskStarted,
    TaskSucceeded,
)
from nflow.wire.subjects import event_place, name_of

_WORKFLOW_LOG = "_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One event in words."""

    at: float  #: seconds since the epoch, by the clock of the server
    seq: int  #: of its record; events of one record share it
    run: str
    kind: str  #: what it is about: `run`, `dag` or `task`
    what: str  #: one word or two: `started`, `succeeded`, `stop asked for`
    dag: str = ""  #: the dag run; empty for the run itself
    task: str = ""
    attempt: int = 0  #: of a task; 0 where none is concerned
    by: str = ""  #: who did it: a worker, a person, a task
    why: str = ""  #: the reason, or the error: its first line
    is_detail: bool = False  #: of use to few: who drives, who asks
    workflow: str = ""  #: where the event itself tells
    worker: str = ""  #: from here on: what is known of the execution
    host: str = ""
    pid: int = 0
    execution: int = 0
    seconds: float | None = None  #: that it took
    more: str = ""  #: whatever else there is to say, in one line

    @property
    def place(self) -> str:
        """The dag run and the task, as commands take them: `main_dag:1/reduce`; empty for the run itself."""
        return f"{self.dag}/{self.task}" if self.task else self.dag


def told(event: Event, record: Record) -> Told:
    """An event in words, by itself: nothing that came before is needed to say it."""
    place = event_place(record.subject)
    run = name_of(place.run) or place.run
    dag = "" if place.dag == _WORKFLOW_LOG else name_of(place.dag) or place.dag
    base = Told(at=record.at, seq=record.seq, run=run, kind="dag" if dag else "run", what=_past(event), dag=dag)
    if isinstance(event, TaskEvent):
        return _of_task(event, replace(base, kind="task", task=event.task))
    return _of_run(event, base)


def where(words: Told) -> str:
    """Its place, and which attempt of the task it was if that was not the first."""
    return words.place + (f" ({words.attempt})" if words.attempt > 1 else "")


def rest(words: Told, *, details: bool = False) -> str:
    """What follows the word for what happened: who did it, and why. Workers are named only in `details`."""
    by = f" by {words.by}" if words.by and (details or words.kind != "task") else ""
    return by + (f": {words.why}" if words.why else "")


def style(what: Told) -> str:
    """How good or bad it is: `succeeded`, `failed`, `stopped`, `started`, or nothing in particular."""
    return _STYLES.get(what.what, "")


_STYLES = {
    "started": "started",
    "retried": "started",
    "succeeded": "succeeded",
    "failed": "failed",
    "aborted": "failed",
    "refused": "failed",
    "stopped": "stopped",
    "cancelled": "stopped",
    "stop asked for": "stopped",
}

_WORDS: dict[type[Event], str] = {
    OwnerChanged: "driven",
    StopRequested: "stop asked for",
    RunStarted: "started",
    RunRetried: "retried",
    DagRequested: "asked for",
    DagStarted: "started",
    DagRefused: "refused",
    DagReopened: "reopened",
    TaskStarted: "started",
    TaskReleased: "given back",
    TaskSucceeded: "succeeded",
    TaskFailed: "failed",
    TaskAborted: "aborted",
    TaskSkipped: "skipped",
    TaskCancelled: "cancelled",
}


def _past(event: Event) -> str:
    """The word for what happened."""
    match event:
        case RunFinished(status=status) | DagFinished(status=status):
            return status.value
    return _WORDS.get(type(event), type(event).__name__)


def _of_run(event: Event, base: Told) -> Told:
    match event:
        case RunStarted(workflow=workflow, queue=queue, engine=engine):
            base = replace(base, workflow=workflow, more=f"nflow {engine}, queue '{queue}'")
        case RunFinished(reason=reason):
            base = replace(base, why=_line(reason))
        case RunRetried(by=by, number=number, dags=dags):
            base = replace(base, by=by, more=f"retry {number} of {', '.join(dags) or 'no dag'}")
        case OwnerChanged(worker=worker):
            base = replace(base, by=worker, worker=worker, is_detail=True)
        case StopRequested(reason=reason, by=by, dag=dag, grace=grace):
            left = "" if grace is None else f"running tasks have {grace:g} s"
            base = replace(base, by=by, why=_line(reason), more=left)
            base = base if dag is None else replace(base, kind="dag", dag=dag)
        case _:
            base = _of_dag(event, base)
    return base


def _of_dag(event: Event, base: Told) -> Told:
    match event:
        case DagRequested(dag=name, by=by):
            base = replace(base, kind="dag", dag=name, by=by, is_detail=True)
        case DagStarted(dag=dag):
            base = replace(base, kind="dag", dag=dag)
        case DagRefused(reason=reason, key=key):
            base = replace(base, kind="dag", why=_line(reason), more=f"request {key}")
        case DagReopened(number=number):
            base = replace(base, more=f"retry {number}")
        case DagFinished(dag=dag):
            base = replace(base, kind="dag", dag=dag, more=", ".join(_counts(event)))
    return base


def _of_task(event: TaskEvent, base: Told) -> Told:
    base = replace(base, attempt=getattr(event, "attempt", 0), execution=getattr(event, "execution", 0))
    match event:
        case TaskStarted(worker=worker, host=host, lost=lost):
            more = f"{lost} executions before it were lost" if lost else ""
            base = replace(base, by=worker, worker=worker, host=host, more=more)
        case TaskReleased():
            base = replace(base, is_detail=True)
        case TaskSucceeded(stopped=stopped):
            base = replace(base, why=_line(stopped or ""))
        case TaskFailed(error=error, exit_code=code):
            base = replace(base, why=_line(error.words), more="" if code is None else f"exit code {code}")
        case TaskAborted(reason=reason) | TaskCancelled(reason=reason):
            base = replace(base, why=_line(reason))
    who: Provenance | None = getattr(event, "provenance", None)
    return base if who is None else _ended(base, who)


def _ended(base: Told, who: Provenance) -> Told:
    seconds = round(max(who.end - who.start, 0.0), 6)
    peak = f"{who.peak_memory_bytes // 1024**2} MiB" if who.peak_memory_bytes else ""
    more = ", ".join(filter(None, (base.more, peak)))
    return replace(base, by=who.worker, worker=who.worker, host=who.host, pid=who.pid, seconds=seconds, more=more)


def _counts(event: DagFinished) -> Iterator[str]:
    for state in ("succeeded", "failed", "skipped", "cancelled"):
        if count := getattr(event, state):
            yield f"{count} {state}"


def _line(text: str) -> str:
    """The first line of a text that may have many."""
    return text.strip().partition("\n")[0]
