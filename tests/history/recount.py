"""The event log counted once more: slow, obvious, and without a word of what the history is made with."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Any

from sqlalchemy import text

from nflow.bus.port import Record
from nflow.core.events import (
    DagFinished,
    DagStarted,
    Event,
    RunFinished,
    RunRetried,
    RunStarted,
    TaskAborted,
    TaskCancelled,
    TaskEvent,
    TaskFailed,
    TaskReleased,
    TaskSkipped,
    TaskStarted,
    TaskSucceeded,
)
from nflow.history.database import Database
from nflow.wire.messages import unpack_events
from nflow.wire.subjects import name_of, token

_OUTCOMES = {TaskSucceeded: "succeeded", TaskFailed: "failed", TaskAborted: "cancelled", TaskReleased: "released"}


@dataclass
class Counted:
    """What there is to count, of runs that have ended."""

    runs: dict[str, Any] = field(default_factory=dict)  #: workflow, state, start, end, retries
    dags: dict[tuple[str, str], str] = field(default_factory=dict)  #: how dag runs ended
    tasks: dict[tuple[str, str, str], str] = field(default_factory=dict)  #: how tasks ended
    executions: dict[tuple[str, str, str, int, int], tuple[str, str]] = field(default_factory=dict)  #: outcome, worker
    errors: dict[tuple[str, str, str, int], tuple[str, str]] = field(default_factory=dict)  #: type, message

    def differences(self, other: "Counted") -> list[str]:
        """What is not the same there."""
        found: list[str] = []
        for each in fields(self):
            mine, theirs = getattr(self, each.name), getattr(other, each.name)
            found += [
                f"{each.name} {key}: {mine.get(key)} in the log, {theirs.get(key)} in the history"
                for key in sorted({*mine, *theirs})
                if mine.get(key) != theirs.get(key)
            ]
        return found


def recounted(records: Iterable[Record]) -> Counted:
    """Go through the log, run by run, and take down what it says."""
    logs: dict[str, list[tuple[str, Event, Record]]] = defaultdict(list)
    for record in records:
        _, _, run, dag, _ = record.subject.split(".")
        for event in unpack_events(record.payload):
            logs[run].append((dag, event, record))
    counted = Counted()
    for run, log in logs.items():
        _recount_run(counted, run, log)
    return counted


def _recount_run(counted: Counted, run: str, log: list[tuple[str, Event, Record]]) -> None:
    own = [(event, record) for dag, event, record in log if dag == "_"]
    ends = [(event, record) for event, record in own if isinstance(event, RunFinished | RunRetried)]
    if not ends or isinstance(ends[-1][0], RunRetried):
        return
    end, ended = ends[-1]
    starts = [(event, record) for event, record in own if isinstance(event, RunStarted)]
    workflow, began = (starts[0][0].workflow, starts[0][1].at) if starts else ("", None)
    retries = sum(isinstance(event, RunRetried) for event, _ in own)
    counted.runs[run] = (workflow, end.status.value, began, ended.at, retries)
    names = {token(event.dag): event.dag for event, _ in own if isinstance(event, DagStarted)}
    for event, _ in own:
        if isinstance(event, DagFinished):
            counted.dags[run, event.dag] = event.status.value
    tasks: dict[tuple[str, str], list[TaskEvent]] = defaultdict(list)
    for dag, event, _ in log:
        if isinstance(event, TaskEvent):
            tasks[names.get(dag) or str(name_of(dag)), event.task].append(event)
    for (dag, task), events in tasks.items():
        _recount_task(counted, (run, dag, task), events)


def _recount_task(counted: Counted, key: tuple[str, str, str], events: list[TaskEvent]) -> None:
    """The last word on a task is that of its last attempt; without one, that it was skipped or cancelled."""
    last = ""
    for event in events:
        match event:
            case TaskStarted(attempt=attempt, execution=execution, worker=worker):
                counted.executions[*key, attempt, execution] = ("lost", worker)  # unless it is heard of again
                last = "running"
            case TaskSucceeded() | TaskFailed() | TaskAborted():
                how = _OUTCOMES[type(event)]
                counted.executions[*key, event.attempt, event.execution] = (how, event.provenance.worker)
                last = how
            case TaskReleased(attempt=attempt, execution=execution):
                _, worker = counted.executions.get((*key, attempt, execution), ("", ""))
                counted.executions[*key, attempt, execution] = ("released", worker)
            case TaskCancelled(attempt=attempt, provenance=who):
                if who is not None:
                    execution = max(n for *name, a, n in counted.executions if (*name,) == key and a == attempt)
                    counted.executions[*key, attempt, execution] = ("cancelled", who.worker)
                last = "cancelled"
            case TaskSkipped():
                last = "skipped"
        if isinstance(event, TaskFailed):
            counted.errors[*key, event.attempt] = (event.error.type, event.error.message)
    counted.tasks[key] = last


def counted_in(database: Database) -> Counted:
    """The same from the tables of the history, in plain SQL."""
    counted = Counted()
    with database.reading() as connection:
        chosen = "SELECT run, workflow, state, started, ended, retried FROM runs WHERE ended IS NOT NULL"
        for run, *rest in connection.execute(text(chosen)):
            counted.runs[run] = tuple(rest)
        for run, dag, state in connection.execute(text("SELECT run, dag, state FROM dags WHERE ended IS NOT NULL")):
            if run in counted.runs:
                counted.dags[run, dag] = state
        for run, dag, task, state in connection.execute(text("SELECT run, dag, task, state FROM tasks")):
            if run in counted.runs:
                counted.tasks[run, dag, task] = state
        chosen = "SELECT run, dag, task, attempt, execution, state, worker FROM executions"
        for run, dag, task, attempt, execution, state, worker in connection.execute(text(chosen)):
            if run in counted.runs:
                counted.executions[run, dag, task, attempt, execution] = (state, worker)
        chosen = "SELECT run, dag, task, attempt, error, message FROM attempts WHERE error IS NOT NULL"
        for run, dag, task, attempt, error, message in connection.execute(text(chosen)):
            if run in counted.runs:
                counted.errors[run, dag, task, attempt] = (error, message)
    return counted
