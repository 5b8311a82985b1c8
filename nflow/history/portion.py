"""A portion of the log on its way into the tables, in one transaction with the position that it leads to.

Nothing is kept from one portion to the next: what its events are about is read from the tables, changed by the fold
that everybody uses, and written back. So portions may be written by any process, and each of them is written once.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, TypeVar

from sqlalchemy import Connection, RowMapping, Table, bindparam, delete, insert, select, tuple_, update

from nflow.bus.port import Record
from nflow.core.events import (
    DagFinished,
    DagReopened,
    DagStarted,
    Event,
    RunRetried,
    RunStarted,
    TaskEvent,
    TaskFailed,
)
from nflow.core.ids import DagId, RunId, TaskId
from nflow.errors import BrokenMessage, SchemaTooNew
from nflow.history import rows
from nflow.history.rows import Row, fit
from nflow.history.schema import ATTEMPTS, DAGS, EXECUTIONS, GAPS, POSITIONS, PRUNED, RETRIES, RUNS, TASKS
from nflow.view.detail import Retries, RunDetail
from nflow.wire.messages import unpack_events
from nflow.wire.subjects import event_place, name_of

#: What is noted of a run with records that cannot be read.
DAMAGED: Final = "some of its records are damaged"
TOO_NEW: Final = "a newer nflow wrote some of its records: upgrade nflow here, then: nflow history rebuild"

#: Keys that one question to the database names.
_KEYS: Final = 500


T = TypeVar("T")


class Overtaken(Exception):
    """Somebody else has written from that position; nothing was changed."""


@dataclass(slots=True)
class Chapter:
    """What a portion tells of one run."""

    run: RunId
    events: list[tuple[Event, Record]] = field(default_factory=list)
    unreadable: list[tuple[Record, str]] = field(default_factory=list)
    last: Record = field(init=False)
    spec: str | None = None  #: digest of the workflow, where the portion tells it
    fails: bool = False  #: some attempt has, so what follows depends on the workflow

    def __iter__(self) -> Iterator[tuple[Event | str, Record]]:
        """What is told, in its order; of records that cannot be read, why."""
        told: list[tuple[Event | str, Record]] = [*self.events]
        if self.unreadable:
            told += [(why, record) for record, why in self.unreadable]
            told.sort(key=lambda each: each[1].seq)
        return iter(told)


@dataclass(frozen=True, slots=True)
class Portion:
    """Records of the log, in the order of the stream."""

    chapters: Mapping[RunId, Chapter]
    last: Record  #: behind which the next portion begins


def portion_of(records: Sequence[Record]) -> Portion:
    """Read what these records say. None of them is fatal, whatever is in it."""
    chapters: dict[RunId, Chapter] = {}
    for record in records:
        place = event_place(record.subject).run
        run = RunId(name_of(place) or place)
        chapter = chapters.get(run)
        if chapter is None:
            chapter = chapters[run] = Chapter(run)
        chapter.last = record
        try:
            events = unpack_events(record.payload)
        except BrokenMessage:
            chapter.unreadable.append((record, DAMAGED))
            continue
        except SchemaTooNew:
            chapter.unreadable.append((record, TOO_NEW))
            continue
        for event in events:
            chapter.events.append((event, record))
            if isinstance(event, RunStarted):
                chapter.spec = event.spec
            elif isinstance(event, TaskFailed):
                chapter.fails = True
    return Portion(chapters, records[-1])


def specs_of(connection: Connection, runs: Iterable[RunId]) -> dict[RunId, str]:
    """Digests of the workflows of runs that are on record."""
    found: dict[RunId, str] = {}
    for some in _some(runs):
        chosen = select(RUNS.c.run, RUNS.c.code).where(RUNS.c.run.in_(map(fit, some)))
        found |= {RunId(rows.unfit(run)): code for run, code in connection.execute(chosen)}
    return found


def write(
    connection: Connection,
    portion: Portion,
    *,
    namespace: str,
    stream: str,
    after: int,
    retries: Mapping[RunId, Retries],
) -> None:
    """Take a portion in, in the transaction of `connection`.

    Args:
        connection: Is rolled back should this raise.
        portion: What follows the record `after`.
        namespace: Of the log.
        stream: Its origin.
        after: The position until now.
        retries: The policies of the tasks of runs in which some attempt fails.

    Raises:
        Overtaken: somebody else has come further than `after`.
    """
    _advance(connection, portion.last, namespace, stream, after)
    gone = _pruned(connection, portion.chapters)
    known = _known(connection, portion.chapters)
    page = _Page(connection, namespace)
    page.load(portion, known, retries)
    for run, chapter in portion.chapters.items():
        if run not in gone or run in known or page.brings_back(chapter):
            page.take(chapter)
    page.write()


def _advance(connection: Connection, last: Record, namespace: str, stream: str, after: int) -> None:
    """First of all: from here on, whoever else writes has to wait, and then finds that it was overtaken."""
    at = (POSITIONS.c.namespace == namespace) & (POSITIONS.c.stream == stream) & (POSITIONS.c.seq == after)
    if connection.execute(update(POSITIONS).where(at).values(seq=last.seq, at=last.at)).rowcount != 1:
        raise Overtaken


def _pruned(connection: Connection, runs: Iterable[RunId]) -> set[RunId]:
    found: set[RunId] = set()
    for some in _some(runs):
        chosen = connection.execute(select(PRUNED.c.run).where(PRUNED.c.run.in_(map(fit, some))))
        found |= {RunId(rows.unfit(run)) for run in chosen.scalars()}
    return found


def _known(connection: Connection, runs: Iterable[RunId]) -> dict[RunId, RowMapping]:
    found: dict[RunId, RowMapping] = {}
    for some in _some(runs):
        for row in connection.execute(select(RUNS).where(RUNS.c.run.in_(map(fit, some)))).mappings():
            found[RunId(rows.unfit(row["run"]))] = row
    return found


@dataclass(slots=True)
class _Touched:
    """What the events of a run are about."""

    dags: set[DagId] = field(default_factory=set)
    every_dag: bool = False  #: a record names one of them by a digest
    tasks: dict[DagId, set[TaskId]] = field(default_factory=lambda: defaultdict(set))
    whole: set[DagId] = field(default_factory=set)  #: of which all tasks may change


class _Page:
    """The runs that a portion is about, from the tables and back."""

    def __init__(self, connection: Connection, namespace: str) -> None:
        self._connection = connection
        self._namespace = namespace
        self._runs: dict[RunId, RunDetail] = {}
        self._last: dict[RunId, Record] = {}
        self._before: dict[RunId, RowMapping] = {}  # rows of runs that were known
        self._touched: dict[RunId, _Touched] = {}

    # --- in ---

    def load(self, portion: Portion, known: Mapping[RunId, RowMapping], retries: Mapping[RunId, Retries]) -> None:
        """Read what is on record of all that the portion is about."""
        self._before = dict(known)
        for run, chapter in portion.chapters.items():
            row = known.get(run)
            policies = retries.get(run, {})
            self._runs[run] = RunDetail(run=run, retries=policies) if row is None else rows.run_of(row, policies)
            if row is not None:
                self._touched[run] = _touched_by(self._runs[run], chapter)
        if known:
            self._load_notes(known)
            self._load_dags()
            self._load_tasks()

    @staticmethod
    def brings_back(chapter: Chapter) -> bool:
        """Whether a run that was removed from the history goes on."""
        return any(isinstance(event, RunRetried) for event, _ in chapter.events)

    def _load_notes(self, known: Iterable[RunId]) -> None:
        for row in self._of(RETRIES, known):
            self._runs[RunId(rows.unfit(row["run"]))].retrials.append(rows.retrial_of(row))
        for row in self._of(GAPS, known):
            self._runs[RunId(rows.unfit(row["run"]))].notes.append(rows.note_of(row))

    def _load_dags(self) -> None:
        pairs = [(run, dag) for run, touched in self._touched.items() for dag in touched.dags]
        every = [run for run, touched in self._touched.items() if touched.every_dag]
        for row in (*self._at(DAGS, pairs), *self._of(DAGS, every)):
            run = self._runs[RunId(rows.unfit(row["run"]))]
            dag = rows.dag_of(row)
            if dag.id not in run.dags:
                run.know(dag)

    def _load_tasks(self) -> None:
        """All attempts of the tasks in question, and all of their executions."""
        for run, touched in self._touched.items():
            if touched.every_dag:  # only now are those known that subjects name by a digest
                _resolve(self._runs[run], touched)
        keys = [
            (run, dag, task)
            for run, touched in self._touched.items()
            for dag, tasks in touched.tasks.items()
            if dag not in touched.whole
            for task in tasks
        ]
        whole = [(run, dag) for run, touched in self._touched.items() for dag in touched.whole]
        for row in (*self._at(TASKS, keys), *self._at(TASKS, whole)):
            run, dag, _ = _names(row)
            task = rows.task_of(row)
            self._runs[run].dag(dag).tasks[task.id] = task
        for row in (*self._at(ATTEMPTS, keys), *self._at(ATTEMPTS, whole)):
            run, dag, name = _names(row)
            attempt = rows.attempt_of(row)
            self._runs[run].dags[dag].tasks[name].attempts[attempt.number] = attempt
        for row in (*self._at(EXECUTIONS, keys), *self._at(EXECUTIONS, whole)):
            run, dag, name = _names(row)
            execution = rows.execution_of(row)
            attempt = self._runs[run].dags[dag].tasks[name].attempts[row["attempt"]]
            attempt.executions[execution.number] = execution

    def _of(self, table: Table, runs: Iterable[RunId]) -> Iterator[RowMapping]:
        for some in _some(runs):
            chosen = select(table).where(table.c.run.in_(map(fit, some))).order_by(*table.primary_key)
            yield from self._connection.execute(chosen).mappings()

    def _at(self, table: Table, keys: Iterable[tuple[str, ...]]) -> Iterator[RowMapping]:
        """The rows whose keys begin like these."""
        for some in _some(keys):
            columns = list(table.primary_key)[: len(some[0])]
            fitted = [tuple(map(fit, key)) for key in some]
            chosen = select(table).where(tuple_(*columns).in_(fitted)).order_by(*table.primary_key)
            yield from self._connection.execute(chosen).mappings()

    # --- the fold ---

    def take(self, chapter: Chapter) -> None:
        """Take in what a portion tells of a run."""
        run = self._runs[chapter.run]
        self._last[chapter.run] = chapter.last
        for told, record in chapter:
            if isinstance(told, str):
                run.take_unreadable(record, told)
            else:
                run.take(told, record)

    # --- out ---

    def write(self) -> None:
        """Replace what was on record."""
        taken = {run: self._runs[run] for run in self._last}
        self._forget(taken)
        tables: dict[Table, list[Row]] = {
            RUNS: [self._run_row(run) for run in taken.values()],
            RETRIES: [row for run in taken.values() for row in rows.retry_rows(run)],
            GAPS: [row for run in taken.values() for row in rows.gap_rows(run)],
            DAGS: [rows.dag_row(run, dag) for run in taken.values() for dag in run.dags.values()],
            TASKS: [],
            ATTEMPTS: [],
            EXECUTIONS: [],
        }
        for run in taken.values():
            _add_tasks(run, self._namespace, tables[TASKS], tables[ATTEMPTS], tables[EXECUTIONS])
        for table, added in tables.items():
            if added:
                self._connection.execute(insert(table), added)

    def _run_row(self, run: RunDetail) -> Row:
        last = self._last[run.run]
        row = rows.run_row(run, self._namespace, last_seq=last.seq, last_at=last.at)
        before = self._before.get(run.run)
        return row if before is None else rows.with_parameters(row, before["parameters"])

    def _forget(self, taken: Mapping[RunId, RunDetail]) -> None:
        """Remove the rows that come again."""
        known = [run for run in taken if run in self._before]
        if not known:
            return
        for table in (RUNS, RETRIES, GAPS):
            self._delete(table, [(run,) for run in known])
        self._delete(DAGS, [(run, dag) for run in known for dag in taken[run].dags])
        keys = [(run, dag.id, task) for run in known for dag in taken[run].dags.values() for task in dag.tasks]
        for table in (TASKS, ATTEMPTS, EXECUTIONS):
            self._delete(table, keys)

    def _delete(self, table: Table, keys: Sequence[tuple[str, ...]]) -> None:
        if not keys:
            return
        columns = list(table.primary_key)[: len(keys[0])]
        matching = [column == bindparam(f"key_{column.name}") for column in columns]
        names = [f"key_{column.name}" for column in columns]
        gone = [dict(zip(names, map(fit, key), strict=True)) for key in keys]
        self._connection.execute(delete(table).where(*matching), gone)


def _add_tasks(run: RunDetail, namespace: str, tasks: list[Row], attempts: list[Row], executions: list[Row]) -> None:
    for dag in run.dags.values():
        for task in dag.tasks.values():
            key = rows.key_of(run.run, dag.id, task.id)
            tasks.append(rows.task_row(key, run, dag, task, namespace))
            for attempt in task.attempts.values():
                attempts.append(rows.attempt_row(key, attempt))
                executions += [rows.execution_row(key, attempt, each) for each in attempt.executions.values()]


def _touched_by(run: RunDetail, chapter: Chapter) -> _Touched:
    """What the fold of these events will ask for."""
    touched = _Touched()
    for event, record in chapter.events:
        dag = run.dag_of(record)
        if dag is not None:
            if dag.startswith("=x"):  # a digest: all names have to be known to tell whose it is
                touched.every_dag = True
            touched.dags.add(dag)
            if isinstance(event, TaskEvent):
                touched.tasks[dag].add(event.task)
            elif isinstance(event, DagReopened):
                touched.whole.add(dag)
        match event:
            case DagStarted(dag=name) | DagFinished(dag=name):
                touched.dags.add(name)
            case RunRetried(dags=dags, superseded=superseded):
                touched.dags.update(dags, superseded)
    return touched


def _resolve(run: RunDetail, touched: _Touched) -> None:
    """Put the names of dag runs in the place of their digests."""
    for digest in [dag for dag in touched.dags if dag.startswith("=x")]:
        name = run.named(digest)
        touched.dags.discard(digest)
        touched.dags.add(name)
        if digest in touched.tasks:
            touched.tasks[name] |= touched.tasks.pop(digest)
        if digest in touched.whole:
            touched.whole.discard(digest)
            touched.whole.add(name)


def _names(row: RowMapping) -> tuple[RunId, DagId, TaskId]:
    return RunId(rows.unfit(row["run"])), DagId(rows.unfit(row["dag"])), TaskId(rows.unfit(row["task"]))


def _some(things: Iterable[T]) -> Iterator[list[T]]:
    """As many at a time as one question may name."""
    left = iter(things)
    while some := list(islice(left, _KEYS)):
        yield some
