"""What people ask of the history. Answers come from the tables alone: whoever wants the newest catches up before."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, Table, and_, case, false, func, or_, select, true

from nflow.core.ids import TaskId
from nflow.history import rows
from nflow.history.database import Database
from nflow.history.rows import fit
from nflow.history.schema import ATTEMPTS, DAGS, EXECUTIONS, GAPS, RETRIES, RUNS, TASK_STATES, TASKS
from nflow.view.detail import DagDetail, RunDetail, TaskDetail

#: Tables that can be exported, by name.
EXPORTS: Final[Mapping[str, Table]] = {
    table.name: table for table in (RUNS, DAGS, TASKS, ATTEMPTS, EXECUTIONS, RETRIES, GAPS)
}

_ROWS: Final = 1000  #: that are fetched at once
_LAST: Final = "@last"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLine:
    """A run in a listing. Times are seconds since the epoch, UTC."""

    run: str
    workflow: str
    state: str
    queue: str
    submitted: float | None
    started: float | None = None
    ended: float | None = None
    reason: str = ""
    retried: int = 0
    tasks: Mapping[str, int] = field(default_factory=dict)  #: how many are in which state
    gaps: tuple[str, ...] = ()  #: what is missing


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFigures:
    """How a task of a workflow fared in all its runs. Times are seconds that its code ran, where it succeeded."""

    dag: str
    task: str
    count: int  #: of runs of the task that have ended, well or not
    p50: float | None
    p95: float | None
    max: float | None
    failed: int
    failure_rate: float


class Questions:
    """The history of one namespace."""

    def __init__(self, database: Database, namespace: str) -> None:
        self._database = database
        self._namespace = namespace

    # --- listings ---

    def runs(
        self,
        *,
        states: Sequence[str] = (),
        workflow: str | None = None,
        since: float | None = None,
        limit: int | None = None,
    ) -> list[RunLine]:
        """Runs by these marks, the newest first.

        Args:
            states: Any of these; none: all.
            workflow: Only of this one.
            since: Submitted at this time or later.
            limit: No more than so many.
        """
        chosen = select(RUNS).where(RUNS.c.namespace == self._namespace).order_by(RUNS.c.run.desc()).limit(limit)
        if states:
            chosen = chosen.where(RUNS.c.state.in_(states))
        if workflow is not None:
            chosen = chosen.where(RUNS.c.workflow == fit(workflow))
        if since is not None:
            chosen = chosen.where(func.coalesce(RUNS.c.submitted, RUNS.c.last_at) >= since)
        with self._database.reading() as connection:
            return self._lines(connection, chosen)

    def begun(self, runs: Iterable[str]) -> set[str]:
        """Those of these runs that the history has seen begin."""
        named = list(map(fit, runs))
        found: set[str] = set()
        with self._database.reading() as connection:
            for start in range(0, len(named), 500):
                chosen = select(RUNS.c.run).where(RUNS.c.run.in_(named[start : start + 500]))
                found |= set(connection.execute(chosen.where(RUNS.c.started.is_not(None))).scalars())
        return found

    def find(self, text: str) -> list[str]:
        """The first few runs whose id begins with `text`; of `@last`, the last one."""
        mine = select(RUNS.c.run).where(RUNS.c.namespace == self._namespace)
        if text == _LAST:
            chosen = mine.order_by(RUNS.c.run.desc()).limit(1)
        else:
            chosen = mine.where(RUNS.c.run >= fit(text), RUNS.c.run < f"{fit(text)}\x7f").order_by(RUNS.c.run).limit(6)
        with self._database.reading() as connection:
            found = list(connection.execute(chosen).scalars())
        return [text] if text in found else found

    def workflows(self) -> list[str]:
        """The names of all workflows that have run."""
        chosen = select(RUNS.c.workflow).distinct().where(RUNS.c.namespace == self._namespace).order_by(RUNS.c.workflow)
        with self._database.reading() as connection:
            return list(connection.execute(chosen).scalars())

    def _lines(self, connection: Connection, chosen: Select[Any]) -> list[RunLine]:
        found = connection.execute(chosen).mappings().all()
        names = [row["run"] for row in found]
        counts = _counts(connection, names)
        gaps = _gaps(connection, names)
        return [
            RunLine(
                run=row["run"],
                workflow=row["workflow"],
                state=row["state"],
                queue=row["queue"],
                submitted=row["submitted"],
                started=row["started"],
                ended=row["ended"],
                reason=row["reason"],
                retried=row["retried"],
                tasks=counts.get(row["run"], {}),
                gaps=gaps.get(row["run"], ()),
            )
            for row in found
        ]

    # --- one run ---

    def run(self, run: str, *, task: str | None = None) -> "Story | None":
        """All that is known of a run; of its tasks, only those that are called so, where one is named."""
        named = RUNS.c.run == fit(run)
        with self._database.reading() as connection:
            row = connection.execute(select(RUNS).where(named, RUNS.c.namespace == self._namespace)).mappings().first()
            return None if row is None else _story(connection, rows.run_of(row, {}), row["parameters"], task)

    # --- figures ---

    def figures(self, workflow: str, *, since: float | None = None) -> list[TaskFigures]:
        """How each task of a workflow fared, by dag and task."""
        mine = [TASKS.c.namespace == self._namespace, TASKS.c.workflow == fit(workflow)]
        if since is not None:
            mine.append(TASKS.c.since >= since)
        failed = func.sum(case((TASKS.c.state == "failed", 1), else_=0))
        counted = (
            select(TASKS.c.dag_name, TASKS.c.task, func.count(), failed)
            .where(*mine, TASKS.c.state.in_(("succeeded", "failed")))
            .group_by(TASKS.c.dag_name, TASKS.c.task)
            .order_by(TASKS.c.dag_name, TASKS.c.task)
        )
        with self._database.reading() as connection:
            return [_figures(connection, mine, *row) for row in connection.execute(counted).all()]

    # --- all of it ---

    def export(self, table: str, *, since: float | None = None) -> Iterator[dict[str, Any]]:
        """The rows of a table, the oldest runs first, as they are read."""
        source = EXPORTS[table]
        mine = select(RUNS.c.run).where(RUNS.c.namespace == self._namespace)
        if since is not None:
            mine = mine.where(func.coalesce(RUNS.c.submitted, RUNS.c.last_at) >= since)
        chosen = select(source).where(source.c.run.in_(mine)).order_by(*source.primary_key)
        with self._database.reading() as connection:
            streamed = connection.execution_options(yield_per=_ROWS).execute(chosen)
            for row in streamed.mappings():
                yield _unpacked(dict(row))


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """A run in all its details, from the tables."""

    run: RunDetail
    parameters: Mapping[str, object]


def columns_of(table: str) -> list[str]:
    """The columns of a table that can be exported."""
    return [column.name for column in EXPORTS[table].columns]


#: Columns that hold JSON.
_PACKED: Final = ("parameters", "classes", "output")


def _unpacked(row: dict[str, Any]) -> dict[str, Any]:
    return row | {name: json.loads(row[name]) for name in _PACKED if row.get(name) is not None}


def _counts(connection: Connection, runs: Sequence[str]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    sums = [func.sum(DAGS.c[state]) for state in TASK_STATES]
    for start in range(0, len(runs), 500):
        some = DAGS.c.run.in_(runs[start : start + 500]), DAGS.c.superseded.is_(False)
        for run, *numbers in connection.execute(select(DAGS.c.run, *sums).where(*some).group_by(DAGS.c.run)):
            found[run] = {state: int(number) for state, number in zip(TASK_STATES, numbers, strict=True) if number}
    return found


def _gaps(connection: Connection, runs: Sequence[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for start in range(0, len(runs), 500):
        chosen = select(GAPS).where(GAPS.c.run.in_(runs[start : start + 500])).order_by(GAPS.c.run, GAPS.c.number)
        for row in connection.execute(chosen):
            found[row.run] = (*found.get(row.run, ()), row.what)
    return found


def _story(connection: Connection, run: RunDetail, parameters: str, task: str | None) -> Story:
    def of(table: Table, *, whole: bool = True) -> Iterable[RowMapping]:
        where = [table.c.run == fit(run.run)]
        if not whole and task is not None:
            where.append(_is_meant(table, task))
        return connection.execute(select(table).where(*where).order_by(*table.primary_key)).mappings()

    run.retrials.extend(map(rows.retrial_of, of(RETRIES)))
    run.notes.extend(map(rows.note_of, of(GAPS)))
    dags = {row["dag"]: rows.dag_of(row) for row in of(DAGS)}
    for dag in sorted(dags.values(), key=lambda each: (each.requested or 0.0, each.id)):
        run.know(dag)
    for row in of(TASKS, whole=False):
        known = rows.task_of(row)
        dags[row["dag"]].tasks[known.id] = known
    for row in of(ATTEMPTS, whole=False):
        attempt = rows.attempt_of(row)
        _task(dags, row).attempts[attempt.number] = attempt
    for row in of(EXECUTIONS, whole=False):
        execution = rows.execution_of(row)
        _task(dags, row).attempts[row["attempt"]].executions[execution.number] = execution
    return Story(run=run, parameters=json.loads(parameters))


def _task(dags: Mapping[str, DagDetail], row: RowMapping) -> TaskDetail:
    return dags[row["dag"]].tasks[TaskId(rows.unfit(row["task"]))]


def _is_meant(table: Table, text: str) -> ColumnElement[bool]:
    """Whether a row is of `reduce`, `main:1/reduce`, `main/reduce` in any run of that dag, or of all of `main:1/`."""
    dag, _, task = map(fit, text.partition("/"))
    of_dag = or_(table.c.dag == dag, table.c.dag.startswith(f"{dag}:", autoescape=True))
    is_task = true() if not task else table.c.task == task
    return or_(table.c.task == fit(text), and_(of_dag, is_task) if "/" in text else false())


def _figures(
    connection: Connection, mine: Sequence[ColumnElement[bool]], dag: str, task: str, count: int, failed: int
) -> TaskFigures:
    durations = (
        select(TASKS.c.seconds)
        .where(*mine, TASKS.c.dag_name == dag, TASKS.c.task == task, TASKS.c.state == "succeeded")
        .where(TASKS.c.seconds.is_not(None))
        .order_by(TASKS.c.seconds)
    )
    size = connection.execute(select(func.count()).select_from(durations.subquery())).scalar_one()

    def at(share: float) -> float | None:
        if not size:
            return None
        seconds: float = connection.execute(durations.offset(round(share * (size - 1))).limit(1)).scalar_one()
        return seconds

    return TaskFigures(
        dag=dag,
        task=task,
        count=count,
        p50=at(0.5),
        p95=at(0.95),
        max=at(1.0),
        failed=failed,
        failure_rate=failed / count,
    )
