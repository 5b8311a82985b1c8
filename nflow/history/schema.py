"""The tables of the history: a contract with everybody who asks it in SQL, told in docs/history.md.

Times are seconds since the epoch, UTC. What has no value is NULL; texts that were never given are empty. There are no
foreign keys: a portion of the log writes its rows in bulk, and a run is removed as a whole.
"""

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Double, Index, Integer, MetaData, String, Table, Text

#: The version of what is defined here; another one takes a step in `migrations`.
VERSION: Final = 1

METADATA: Final = MetaData()

#: States of tasks, each with a column of `dags` that counts them.
TASK_STATES: Final = ("waiting", "ready", "running", "retrying", "succeeded", "failed", "skipped", "cancelled")


def _key(*names: str) -> list[Column[str]]:
    return [Column(name, String, primary_key=True) for name in names]


def _number(name: str) -> Column[int]:
    return Column(name, Integer, primary_key=True, autoincrement=False)


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False)


VERSIONS = Table("schema_version", METADATA, Column("version", Integer, nullable=False))

POSITIONS = Table(
    "positions",
    METADATA,
    *_key("namespace", "stream"),
    Column("seq", BigInteger, nullable=False),
    Column("at", Double),
)

RUNS = Table(
    "runs",
    METADATA,
    *_key("run"),
    _text("namespace"),
    _text("workflow"),
    _text("state"),
    _text("queue"),
    _text("worker"),
    Column("submitted", Double),
    Column("started", Double),
    Column("ended", Double),
    _text("reason"),
    _text("stopped_by"),
    _text("code"),
    _text("engine"),
    _text("directory"),
    _text("folder"),
    Column("keeps_data", Boolean, nullable=False),
    _text("parameters"),
    Column("retried", Integer, nullable=False),
    Column("last_seq", BigInteger, nullable=False),
    Column("last_at", Double, nullable=False),
    Index("runs_by_age", "namespace", "run"),
    Index("runs_by_state", "namespace", "state", "run"),
    Index("runs_by_workflow", "namespace", "workflow", "run"),
    sqlite_with_rowid=False,
)

RETRIES = Table(
    "retries",
    METADATA,
    *_key("run"),
    _number("number"),
    Column("at", Double, nullable=False),
    _text("retried_by"),
    _text("state_before"),
    _text("reason_before"),
    Column("ended_before", Double),
    sqlite_with_rowid=False,
)

GAPS = Table(
    "gaps",
    METADATA,
    *_key("run"),
    _number("number"),
    Column("seq", BigInteger, nullable=False),
    Column("at", Double, nullable=False),
    _text("what"),
    sqlite_with_rowid=False,
)

DAGS = Table(
    "dags",
    METADATA,
    *_key("run", "dag"),
    _text("name"),
    _text("state"),
    _text("request"),
    _text("worker"),
    Column("requested", Double),
    Column("started", Double),
    Column("ended", Double),
    _text("reason"),
    _text("stopped_by"),
    Column("opening", Integer, nullable=False),
    Column("superseded", Boolean, nullable=False),
    *(Column(state, Integer, nullable=False) for state in TASK_STATES),
    sqlite_with_rowid=False,
)

TASKS = Table(
    "tasks",
    METADATA,
    *_key("run", "dag", "task"),
    _text("namespace"),
    _text("workflow"),
    _text("dag_name"),
    _text("state"),
    Column("since", Double),
    _text("reason"),
    Column("attempts", Integer, nullable=False),
    Column("seconds", Double),
    Column("claim_attempt", Integer, nullable=False),
    Column("claim_execution", Integer, nullable=False),
    Column("base", Integer, nullable=False),
    Column("opening", Integer, nullable=False),
    Index("tasks_by_workflow", "namespace", "workflow", "dag_name", "task", "state", "seconds"),
    sqlite_with_rowid=False,
)

ATTEMPTS = Table(
    "attempts",
    METADATA,
    *_key("run", "dag", "task"),
    _number("attempt"),
    _text("state"),
    Column("lost", Integer, nullable=False),
    _text("reason"),
    Column("error", Text),
    Column("message", Text),
    Column("traceback", Text),
    Column("hint", Text),
    Column("classes", Text),
    Column("exit_code", Integer),
    Column("output", Text),
    sqlite_with_rowid=False,
)

EXECUTIONS = Table(
    "executions",
    METADATA,
    *_key("run", "dag", "task"),
    _number("attempt"),
    _number("execution"),
    _text("state"),
    _text("worker"),
    _text("host"),
    Column("pid", Integer),
    Column("claimed", Double),
    Column("started", Double),
    Column("ended", Double),
    Column("settled", Double),
    Column("seconds", Double),
    Column("peak_memory_bytes", BigInteger),
    sqlite_with_rowid=False,
)

PRUNED = Table("pruned", METADATA, *_key("run"), Column("at", Double, nullable=False), sqlite_with_rowid=False)

#: Tables with rows of runs, the runs themselves last.
OF_RUNS: Final = (EXECUTIONS, ATTEMPTS, TASKS, DAGS, RETRIES, GAPS, RUNS)
