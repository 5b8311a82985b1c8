"""The story of a run that was played, read from its logs."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

from nflow.bus.paging import all_records
from nflow.core.dataset import BLOB, Ref, Tree
from nflow.core.events import (
    DagFinished,
    DagStarted,
    Event,
    RunFinished,
    TaskAborted,
    TaskCancelled,
    TaskEvent,
    TaskFailed,
    TaskReleased,
    TaskSkipped,
    TaskStarted,
    TaskSucceeded,
)
from nflow.core.ids import DagId, RunId, TaskId
from nflow.engine.engine import Engine
from nflow.models.workflow import Workflow
from nflow.slot.exchange import grown
from nflow.testing.played import Played, PlayedTask
from nflow.testing.stage import Stage
from nflow.wire.messages import unpack_events
from nflow.wire.subjects import event_place, token


@dataclass(frozen=True, slots=True, kw_only=True)
class UnderWay:
    """What of a run has begun and has not ended."""

    tasks: list[str]  #: `main_dag:1/reduce`
    dags: list[str]  #: `main_dag:1`


async def under_way(engine: Engine, run: RunId) -> UnderWay:
    """What has not ended by now."""
    names: dict[str, DagId] = {}
    dags: dict[DagId, None] = {}
    tasks: dict[tuple[str, TaskId], None] = {}
    async for dag, event in _events(engine, run):
        match event:
            case DagStarted(dag=name):
                names[token(name)] = name
                dags[name] = None
            case TaskStarted(task=task):
                tasks[dag, task] = None
            case TaskReleased() | TaskSucceeded() | TaskFailed() | TaskAborted() | TaskCancelled():
                tasks.pop((dag, event.task), None)
            case DagFinished(dag=name):
                dags.pop(name, None)
    return UnderWay(tasks=[f"{names[dag]}/{task}" for dag, task in tasks], dags=list(dags))


async def _events(engine: Engine, run: RunId) -> AsyncIterator[tuple[str, Event]]:
    """Every event of a run, in order, with the token of the dag run in whose log it is."""
    async for record in all_records(engine.bus, engine.subjects.run_events(run)):
        for event in unpack_events(record.payload):
            yield event_place(record.subject).dag, event


async def played(engine: Engine, workflow: Workflow, run: RunId, finished: RunFinished, stage: Stage) -> Played:
    """All that a test may want to know of a run that has ended."""
    names: dict[str, DagId] = {}
    ended: dict[tuple[DagId, TaskId], TaskEvent] = {}
    async for token_of_dag, event in _events(engine, run):
        match event:
            case DagStarted(dag=dag):
                names[token(dag)] = dag
            case TaskSucceeded() | TaskFailed() | TaskAborted() | TaskSkipped() | TaskCancelled():
                place = names[token_of_dag], event.task
                ended.pop(place, None)  # an earlier attempt, which was followed by this one
                ended[place] = event
    values = _Values(engine)
    return Played(
        workflow=workflow.name,
        status=finished.status.value,
        reason=finished.reason,
        tasks=[
            await _task(values, dag, event, stage.printed_by(engine.subjects.lines(run, dag, event.task)))
            for (dag, _), event in ended.items()
        ],
        store={key: await values.grown(tree) for key, tree in (await engine.store.whole(run)).items()},
    )


async def _task(values: "_Values", dag: DagId, event: TaskEvent, output: str) -> PlayedTask:
    common: dict[str, Any] = {"dag": dag, "name": event.task, "output": output}
    common["attempts"] = 0 if isinstance(event, TaskCancelled) else getattr(event, "attempt", 0)
    match event:
        case TaskSucceeded(output=dataset, stopped=stopped):
            data = {key: await values.grown(ref) for key, ref in dataset.values.items()}
            return PlayedTask(**common, state="succeeded", data=data, reason=stopped or "")
        case TaskFailed(error=error):
            return PlayedTask(**common, state="failed", error=error, reason=error.words)
        case TaskAborted(reason=reason):
            return PlayedTask(**common, state="aborted", reason=reason)
        case TaskCancelled(reason=reason):
            return PlayedTask(**common, state="cancelled", reason=reason)
    return PlayedTask(**common, state="skipped")


class _Values:
    """References to values, opened."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._blobs: dict[str, bytes] = {}

    async def grown(self, tree: Tree) -> object:
        """The value that a tree stands for."""
        for ref in _refs(tree):
            if ref.scheme == BLOB:
                self._blobs[str(ref.where)] = await self._engine.blobs.get(ref)
        return grown(tree, self)

    def get_blob(self, ref: Ref, what: str = "") -> bytes:  # noqa: ARG002 - the port's
        """The bytes of a large value, fetched before."""
        return self._blobs[str(ref.where)]


def _refs(tree: Tree) -> Iterator[Ref]:
    match tree:
        case Ref():
            yield tree
        case dict():
            for each in tree.values():
                yield from _refs(each)
        case list():
            for each in tree:
                yield from _refs(each)
