"""Runs in all their details ⇄ rows of the tables. Rows are dicts by the names of columns."""

import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, TypeAlias

from sqlalchemy import RowMapping

from nflow.core.dataset import INLINE, Ref
from nflow.core.events import RemoteError
from nflow.core.ids import DagId, RunId, TaskId, WorkerId
from nflow.history.schema import TASK_STATES
from nflow.view.detail import (
    AttemptDetail,
    DagDetail,
    ExecutionDetail,
    Note,
    Retrial,
    Retries,
    RunDetail,
    TaskDetail,
)
from nflow.wire.frames import unpack_plain
from nflow.wire.values import is_plain

Row: TypeAlias = dict[str, Any]

#: What databases do not take in a text: PostgreSQL no NUL, and none of them halves of surrogate pairs. Nor may a text
#: look as if it had been made to fit.
_UNFIT = re.compile("[\0\ud800-\udfff]|\\\\(?=x00|x5c|ud[89a-f][0-9a-f]{2})")
_FITTED = re.compile(r"\\x(00|5c)|\\u(d[89a-f][0-9a-f]{2})")


def fit(text: str) -> str:
    """A text as databases take it: what does not fit is written as Python escapes it."""
    if text.isascii() and "\0" not in text and "\\" not in text:
        return text
    return _UNFIT.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def unfit(text: str) -> str:
    """A name as it was before `fit`."""
    return text if "\\" not in text else _FITTED.sub(lambda found: chr(int(found[1] or found[2], 16)), text)


# --- out -------------------------------------------------------------------------------------------------------------


def run_row(run: RunDetail, namespace: str, *, last_seq: int, last_at: float) -> Row:
    """A run, without what has tables of its own."""
    return {
        "run": fit(run.run),
        "namespace": namespace,
        "workflow": fit(run.workflow),
        "state": run.state,
        "queue": fit(run.queue),
        "worker": fit(run.worker),
        "submitted": run.submitted,
        "started": run.started,
        "ended": run.ended,
        "reason": fit(run.reason),
        "stopped_by": fit(run.by),
        "code": run.spec,
        "engine": run.engine,
        "directory": fit(run.directory),
        "folder": fit(run.folder),
        "keeps_data": run.keep_data,
        "parameters": _json({name: told(ref) for name, ref in run.parameters.items()}),
        "retried": run.opening,
        "last_seq": last_seq,
        "last_at": last_at,
    }


def retry_rows(run: RunDetail) -> Iterator[Row]:
    """How a run was begun again."""
    for retrial in run.retrials:
        yield {
            "run": fit(run.run),
            "number": retrial.number,
            "at": retrial.at,
            "retried_by": fit(retrial.by),
            "state_before": retrial.status,
            "reason_before": fit(retrial.reason),
            "ended_before": retrial.ended,
        }


def gap_rows(run: RunDetail) -> Iterator[Row]:
    """What is missing of a run."""
    for number, note in enumerate(run.notes, 1):
        yield {"run": fit(run.run), "number": number, "seq": note.seq, "at": note.at, "what": fit(note.text)}


def dag_row(run: RunDetail, dag: DagDetail) -> Row:
    """A dag run."""
    return {
        "run": fit(run.run),
        "dag": fit(dag.id),
        "name": fit(dag.name),
        "state": dag.state,
        "request": fit(dag.request),
        "worker": fit(dag.worker),
        "requested": dag.requested,
        "started": dag.started,
        "ended": dag.ended,
        "reason": fit(dag.reason),
        "stopped_by": fit(dag.by),
        "opening": dag.opening,
        "superseded": dag.is_superseded,
        **{state: dag.counts[state] for state in TASK_STATES},
    }


def task_row(key: Row, run: RunDetail, dag: DagDetail, task: TaskDetail, namespace: str) -> Row:
    """A task. `key` names it."""
    attempt = task.last
    execution = attempt.last if attempt is not None else None
    attempt_number, execution_number = task.claim
    return {
        **key,
        "namespace": namespace,
        "workflow": fit(run.workflow),
        "dag_name": fit(dag.name),
        "state": task.state,
        "since": task.since,
        "reason": fit(task.reason),
        "attempts": len(task.attempts),
        "seconds": None if execution is None else execution.seconds,
        "claim_attempt": attempt_number,
        "claim_execution": execution_number,
        "base": task.base,
        "opening": task.opening,
    }


def attempt_row(key: Row, attempt: AttemptDetail) -> Row:
    """An attempt of the task that `key` names."""
    row = {
        **key,
        "attempt": attempt.number,
        "state": attempt.state,
        "lost": attempt.lost,
        "reason": fit(attempt.reason),
        "error": None,
        "message": None,
        "traceback": None,
        "hint": None,
        "classes": None,
        "exit_code": attempt.exit_code,
        "output": _json(attempt.output) if attempt.output else None,
    }
    if (error := attempt.error) is not None:
        row |= {"error": fit(error.type), "message": fit(error.message), "traceback": fit(error.traceback)}
        row |= {"hint": fit(error.hint), "classes": _json(error.mro)}
    return row


def execution_row(key: Row, attempt: AttemptDetail, execution: ExecutionDetail) -> Row:
    """An execution of an attempt of the task that `key` names."""
    return {
        **key,
        "attempt": attempt.number,
        "execution": execution.number,
        "state": execution.state,
        "worker": fit(execution.worker),
        "host": fit(execution.host),
        "pid": execution.pid,
        "claimed": execution.claimed,
        "started": execution.started,
        "ended": execution.ended,
        "settled": execution.settled,
        "seconds": execution.seconds,
        "peak_memory_bytes": execution.peak_memory_bytes,
    }


def key_of(run: RunId, dag: DagId, task: TaskId) -> Row:
    """What names a task in every table."""
    return {"run": fit(run), "dag": fit(dag), "task": fit(task)}


def told(ref: Ref) -> object:
    """The value of a parameter, where it is plain; else what is known of it."""
    if ref.scheme == INLINE and isinstance(ref.where, bytes) and is_plain(ref.where):
        plain = unpack_plain(ref.where)
        if _is_json(plain):
            return plain
    return {"type": ref.type, "size_bytes": ref.size_bytes, "digest": ref.digest}


def _is_json(plain: object) -> bool:
    match plain:
        case dict():
            return all(isinstance(key, str) for key in plain) and all(map(_is_json, plain.values()))
        case list():
            return all(map(_is_json, plain))
        case float():
            return math.isfinite(plain)
    return plain is None or isinstance(plain, bool | int | str)


def _json(plain: object) -> str:
    """As JSON in ASCII, which takes every text."""
    return json.dumps(plain)


# --- in --------------------------------------------------------------------------------------------------------------


def run_of(row: RowMapping, retries: Retries) -> RunDetail:
    """What is on record of a run itself: its parameters are only those that are told anew."""
    return RunDetail(
        run=RunId(unfit(row["run"])),
        retries=retries,
        workflow=row["workflow"],
        state=row["state"],
        queue=row["queue"],
        worker=WorkerId(row["worker"]),
        submitted=row["submitted"],
        started=row["started"],
        ended=row["ended"],
        reason=row["reason"],
        by=row["stopped_by"],
        spec=row["code"],
        engine=row["engine"],
        directory=row["directory"],
        folder=row["folder"],
        keep_data=row["keeps_data"],
        opening=row["retried"],
    )


def with_parameters(row: Row, before: str) -> Row:
    """The row of a run that had these parameters before; those that a retry has changed come over them."""
    return row | {"parameters": _json(json.loads(before) | json.loads(row["parameters"]))}


def retrial_of(row: RowMapping) -> Retrial:
    """A retry of a run."""
    return Retrial(
        number=row["number"],
        at=row["at"],
        by=row["retried_by"],
        status=row["state_before"],
        reason=row["reason_before"],
        ended=row["ended_before"],
    )


def note_of(row: RowMapping) -> Note:
    """What is missing of a run."""
    return Note(seq=row["seq"], at=row["at"], text=row["what"])


def dag_of(row: RowMapping) -> DagDetail:
    """A dag run, without its tasks."""
    return DagDetail(
        id=DagId(unfit(row["dag"])),
        state=row["state"],
        request=row["request"],
        worker=WorkerId(row["worker"]),
        requested=row["requested"],
        started=row["started"],
        ended=row["ended"],
        reason=row["reason"],
        by=row["stopped_by"],
        opening=row["opening"],
        is_superseded=row["superseded"],
        counts=Counter({state: row[state] for state in TASK_STATES if row[state]}),
    )


def task_of(row: RowMapping) -> TaskDetail:
    """A task, without its attempts."""
    return TaskDetail(
        id=TaskId(unfit(row["task"])),
        state=row["state"],
        claim=(row["claim_attempt"], row["claim_execution"]),
        base=row["base"],
        opening=row["opening"],
        since=row["since"],
        reason=row["reason"],
    )


def attempt_of(row: RowMapping) -> AttemptDetail:
    """An attempt, without its executions."""
    error = None
    if row["error"] is not None:
        error = RemoteError(
            type=row["error"],
            message=row["message"],
            traceback=row["traceback"],
            hint=row["hint"],
            mro=tuple(json.loads(row["classes"])),
        )
    return AttemptDetail(
        number=row["attempt"],
        state=row["state"],
        lost=row["lost"],
        reason=row["reason"],
        error=error,
        exit_code=row["exit_code"],
        output=tuple(json.loads(row["output"])) if row["output"] else (),
    )


def execution_of(row: RowMapping) -> ExecutionDetail:
    """An execution."""
    return ExecutionDetail(
        number=row["execution"],
        worker=WorkerId(row["worker"]),
        host=row["host"],
        pid=row["pid"],
        state=row["state"],
        claimed=row["claimed"],
        started=row["started"],
        ended=row["ended"],
        settled=row["settled"],
        peak_memory_bytes=row["peak_memory_bytes"],
    )
