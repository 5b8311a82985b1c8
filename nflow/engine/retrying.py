"""What a run that has ended is to begin again with, worked out from its log; nothing is written here."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from nflow.bus.paging import all_records
from nflow.core import workflow_run
from nflow.core.dataset import Ref
from nflow.core.events import DagRequested, RunStarted, Status
from nflow.core.graph import graph_of
from nflow.core.ids import DagId, TaskId
from nflow.core.jobs import Reopening, WorkflowJob
from nflow.core.spec import DagSpec, TaskSpec, WorkflowSpec
from nflow.core.workflow_run import WorkflowRun, can_be_reopened
from nflow.core.workflow_state import name_of
from nflow.engine.engine import Engine
from nflow.engine.log import events_of
from nflow.engine.runs import RunEntry
from nflow.errors import BlobLost, UsageError

#: Tasks that an error names.
MOST_NAMED = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """A run as its log has it."""

    entry: RunEntry
    spec: WorkflowSpec
    started: RunStarted
    run: WorkflowRun
    requests: Sequence[DagRequested] = field(default_factory=tuple)  #: all that tasks ever asked for
    last: int = 0  #: its last record

    @property
    def queue(self) -> str:
        """The workflow queue that it was submitted to."""
        return self.started.queue or self.entry.queue

    @property
    def queues(self) -> list[str]:
        """Every queue that some job of it may wait in."""
        dags = self.spec.dags.values()
        return list(dict.fromkeys((self.queue, *(name for dag in dags for name in _queues_of(dag)))))

    @property
    def number(self) -> int:
        """Of the next reopening."""
        return self.run.opening + 1


def _queues_of(dag: DagSpec) -> Iterator[str]:
    yield dag.queue
    for task in dag.tasks:
        yield task.queue


async def past_of(engine: Engine, entry: RunEntry) -> Past:
    """Read the log of a run.

    Raises:
        UsageError: it never began, or its plan is not there any more.
    """
    records = [record async for record in all_records(engine.bus, engine.subjects.log(entry.run))]
    events = [event for record in records for event in events_of(record)]
    started = next((event for event in events if isinstance(event, RunStarted)), None)
    if started is None:
        raise UsageError(f"Run {entry.run} ({entry.workflow}) never began, so nothing of it can be done again.")
    try:
        spec = await engine.specs.get(started.spec)
    except BlobLost:
        raise UsageError(f"The plan of run {entry.run} ({entry.workflow}) is gone. Start it anew.") from None
    run = WorkflowRun(entry.run, spec)
    for event in events:
        workflow_run.apply(run, event)
    requests = tuple(event for event in events if isinstance(event, DagRequested))
    return Past(entry=entry, spec=spec, started=started, run=run, requests=requests, last=records[-1].seq)


def refuse_if_needless(past: Past, tasks: Sequence[str]) -> None:
    """Raise UsageError where there is nothing to do again, or nothing to do it with."""
    run, entry = past.run, past.entry
    who = f"Run {entry.run} ({entry.workflow})"
    if run.status is None:
        raise UsageError(f"{who} is still going on. Stop it first: nflow stop {entry.run}")
    if entry.dropped:
        raise UsageError(f"{who} cannot go on: its data went {entry.dropped}. Start it anew.")
    if run.status is Status.SUCCEEDED and not tasks and not can_be_reopened(run):
        raise UsageError(f"{who} succeeded, with every task. To do some again, name the first one: --from TASK")


def job_of(past: Past, reopening: Reopening) -> WorkflowJob:
    """The job that begins the run again, in all else as the first one was."""
    started = past.started
    return WorkflowJob(
        run=past.entry.run,
        workflow=started.workflow,
        directory=started.directory,
        folder=started.folder,
        spec=started.spec,
        queue=past.queue,
        submitted=started.submitted or past.entry.submitted,
        parameters=started.parameters,
        keep_data=started.keep_data,
        has_file=started.has_file,
        reopening=reopening,
    )


def reopening_of(past: Past, tasks: Iterable[str], parameters: Mapping[str, Ref], by: str) -> Reopening:
    """What is to be done again: what did not succeed, and `tasks` with all that follows them.

    Args:
        past: The run.
        tasks: Names of tasks, with their dag run in front where several have one: `sub_dag:2/reduce`.
        parameters: Those that are given another value.
        by: Who asks.

    Raises:
        UsageError: no task, or more than one, is called so.
    """
    redo: dict[DagId, tuple[TaskId, ...]] = {}
    for text in tasks:
        dag, task = _found(past, text)
        redo[dag] = (*redo.get(dag, ()), task)
    superseded = _superseded(past, redo)
    for dag in superseded & redo.keys():
        raise UsageError(f"'{dag}' was started by a task that is done again, and will be started anew. Leave it out.")
    return Reopening(
        number=past.number,
        by=by,
        after=past.last,
        redo=redo,
        superseded=tuple(sorted(superseded)),
        parameters=parameters,
    )


def _found(past: Past, text: str) -> tuple[DagId, TaskId]:
    every = {f"{dag}/{task.id}": (dag, task) for dag, task in _tasks_of(past)}
    named = [(dag, task) for dag, task in every.values() if text in (task.id, task.name, f"{dag}/{task.name}")]
    exact = [every[text]] if text in every else [(dag, task) for dag, task in named if task.id == text]
    found = exact if len(exact) == 1 else named
    if len(found) == 1:
        [(dag, task)] = found
        return dag, task.id
    run = f"run {past.entry.run} ({past.entry.workflow})"
    if found:
        raise UsageError(f"{len(found)} tasks of {run} are called '{text}'. Name one: {_named(found)}")
    close = get_close_matches(text, [*every, *(task.name for _, task in every.values())], n=1)
    advice = f"Did you mean '{close[0]}'?" if close else f"There are: {_named(list(every.values()))}"
    raise UsageError(f"No task '{text}' in {run}. {advice}")


def _tasks_of(past: Past) -> Iterator[tuple[DagId, TaskSpec]]:
    for dag in past.run.holders:
        if dag not in past.run.superseded:
            for task in past.spec.dags[name_of(dag)].tasks:
                yield dag, task


def _named(found: Sequence[tuple[DagId, TaskSpec]]) -> str:
    names = [f"{dag}/{task.id}" for dag, task in found[:MOST_NAMED]]
    return ", ".join(names) + (", ..." if len(found) > MOST_NAMED else "")


def _superseded(past: Past, redo: Mapping[DagId, Iterable[TaskId]]) -> set[DagId]:
    """The dag runs that tasks have started which are done again, and those that these have started in turn.

    A task that is done again may start others, with other data: what it started before must not run beside them.
    """
    redone = {f"{dag}/{task}" for dag, tasks in redo.items() for task in _with_descendants(past, dag, tasks)}
    if not redone:
        return set()
    askers = {f"{dag}/{task.id}": dag for dag in past.run.holders for task in past.spec.dags[name_of(dag)].tasks}
    found: set[DagId] = set()
    for request in past.requests:  # a dag run starts others after it was asked for itself
        dag = past.run.granted.get(request.key)
        if dag is not None and (request.by in redone or askers.get(request.by) in found):
            found.add(dag)
    return found


def _with_descendants(past: Past, dag: DagId, tasks: Iterable[TaskId]) -> Iterator[TaskId]:
    spec = past.spec.dags[name_of(dag)]
    graph = graph_of(spec)
    for position in graph.descendants(graph.index[task] for task in tasks):
        yield spec.tasks[position].id
