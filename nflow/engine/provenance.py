"""Who did what and when in a run, as its tasks may read it from the `meta` section of the store.

It is folded from the event logs when somebody asks, so that it costs a run nothing while nobody does.
"""

from datetime import UTC, datetime
from typing import Any, Protocol

from nflow.bus.paging import all_records
from nflow.bus.port import Record
from nflow.core.dataset import Ref, Tree
from nflow.core.events import DagFinished, RunRetried, RunStarted, TaskAborted, TaskFailed, TaskStarted, TaskSucceeded
from nflow.core.ids import DagName, RunId
from nflow.core.spec import TaskSpec
from nflow.core.workflow_state import name_of as dag_name_of
from nflow.engine.engine import Engine
from nflow.engine.log import readable
from nflow.errors import BlobLost
from nflow.store.tree import parts_of, reach
from nflow.wire.subjects import event_place, name_of
from nflow.wire.values import inline


class OfRun(Protocol):
    """What belongs to a run: one of its jobs, or its entry in the index."""

    @property
    def run(self) -> RunId:
        """Which run."""

    @property
    def workflow(self) -> str:
        """What it is a run of."""


async def provenance_of(engine: Engine, job: OfRun, key: str) -> Tree | None:
    """What is at a dotted `key` of the provenance of the run of `job`."""
    return reach(await all_provenance_of(engine, job), parts_of(key))


async def all_provenance_of(engine: Engine, job: OfRun) -> dict[str, Tree]:
    """All that is known of who did what in the run of `job`."""
    document: dict[str, Any] = {"name": job.workflow, "log": {}}
    spec = ""
    async for record in all_records(engine.bus, engine.subjects.run_events(job.run)):
        spec = _take(document, record) or spec
    await _add_queues(engine, job, document, spec)
    return {key: _tree(value) for key, value in document.items()}


async def _add_queues(engine: Engine, job: OfRun, document: dict[str, Any], spec: str) -> None:
    """Events do not repeat what the spec says: in which queue each task waits."""
    entry = await engine.index.get(job.run)
    if entry is not None:
        document["queue"] = entry.queue
    tasks = await _tasks_of(engine, spec)
    for dag, told in document["log"].items():
        for task in tasks.get(dag_name_of(dag), ()):
            if task.id in told["tasks"]:
                told["tasks"][task.id]["queue"] = task.queue


async def _tasks_of(engine: Engine, spec: str) -> dict[DagName, tuple[TaskSpec, ...]]:
    """The tasks of each dag; of a run whose data are gone the spec may be gone too."""
    try:
        return {name: dag.tasks for name, dag in (await engine.specs.get(spec)).dags.items()} if spec else {}
    except BlobLost:
        return {}


def _take(document: dict[str, Any], record: Record) -> str | None:
    """Take a record in; the digest of the run's spec, where this record tells it."""
    place = event_place(record.subject)
    at = datetime.fromtimestamp(record.at, UTC).replace(tzinfo=None)
    spec = None
    for event in readable(record):
        match event:
            case RunStarted():
                document["start_time"] = at
                spec = event.spec
            case DagFinished(dag=dag):
                _end(_dag(document, dag, at), at)
            case RunRetried(dags=dags):
                for dag in dags:
                    _go_on(_dag(document, dag, at))
            case TaskStarted(task=task, worker=worker):
                tasks = _dag(document, str(name_of(place.dag)), at)["tasks"]
                tasks[task] = {"start_time": at, "worker": worker}
            case TaskSucceeded(task=task) | TaskFailed(task=task) | TaskAborted(task=task):
                entry = _dag(document, str(name_of(place.dag)), at)["tasks"].setdefault(task, {})
                provenance = event.provenance
                entry |= {"host": provenance.host, "pid": provenance.pid, "attempt": event.attempt}
                entry |= {"execution": event.execution, "peak_memory": provenance.peak_memory_bytes}
                _end(entry, at)
            case _:
                pass
    return spec


def _dag(document: dict[str, Any], name: str, at: datetime) -> dict[str, Any]:
    entry: dict[str, Any] = document["log"].setdefault(name, {"start_time": at, "tasks": {}})
    return entry


def _go_on(entry: dict[str, Any]) -> None:
    """It has ended, and has not any more."""
    entry.pop("end_time", None)
    entry.pop("duration", None)


def _end(entry: dict[str, Any], at: datetime) -> None:
    entry["end_time"] = at
    entry["duration"] = (at - entry.get("start_time", at)).total_seconds()


def _tree(value: Any) -> Tree:
    return {key: _tree(each) for key, each in value.items()} if isinstance(value, dict) else _leaf(value)


def _leaf(value: object) -> Ref:
    return inline(value)
