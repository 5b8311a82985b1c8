"""Short words for specs and events, so that a test reads as a story."""

from nflow.core.dataset import Dataset, Ref
from nflow.core.events import (
    Provenance,
    RemoteError,
    Status,
    StopRequested,
    TaskAborted,
    TaskFailed,
    TaskReleased,
    TaskStarted,
    TaskSucceeded,
)
from nflow.core.ids import DagId, DagName, TaskId, WorkerId
from nflow.core.retry import RetrySpec
from nflow.core.spec import DagSpec, Edge, OnFailure, TaskSpec, WorkflowSpec

WORKER = WorkerId("w-1")
WORK = Provenance(worker=WORKER, host="h", pid=1, start=0.0, end=1.0)
BOOM = RemoteError(type="ValueError", message="boom")


def dag(
    links: str,
    *,
    name: str = "main",
    force: str = "",
    keep: str = "",
    autostart: bool = True,
    retry: RetrySpec | None = None,
    on_failure: OnFailure = OnFailure.STOP_WORKFLOW,
) -> DagSpec:
    """A dag written as `a>b a>c b>d:slot e`; tasks in `force` are forced to run, those in `keep` propagate no skip."""
    tasks: dict[str, None] = {}
    edges = []
    for link in links.split():
        parent, _, rest = link.partition(">")
        child, _, slot = rest.partition(":")
        tasks |= dict.fromkeys(filter(None, (parent, child)))
        if child:
            edges.append(Edge(parent=TaskId(parent), child=TaskId(child), slot=slot or None))
    return DagSpec(
        name=DagName(name),
        tasks=tuple(
            TaskSpec(
                id=TaskId(task),
                name=task.partition("#")[0],
                code="c",
                force_run=task in force.split(),
                propagate_skip=task not in keep.split(),
                retry=retry,
                on_failure=on_failure,
            )
            for task in tasks
        ),
        edges=tuple(edges),
        autostart=autostart,
    )


def workflow(*dags: DagSpec) -> WorkflowSpec:
    return WorkflowSpec(name="wf", dags={each.name: each for each in dags}, python="py311", engine="0.1")


def value(text: str) -> Dataset:
    ref = Ref(scheme="inline", where=text.encode(), size_bytes=len(text), digest="", type="str")
    return Dataset(values={"value": ref}, history=(text,))


def started(task: str, execution: int = 1, attempt: int = 1) -> TaskStarted:
    return TaskStarted(task=TaskId(task), attempt=attempt, execution=execution, worker=WORKER, host="h")


def released(task: str, execution: int = 1, attempt: int = 1) -> TaskReleased:
    return TaskReleased(task=TaskId(task), attempt=attempt, execution=execution)


def succeeded(
    task: str,
    execution: int = 1,
    *,
    attempt: int = 1,
    limit: tuple[str, ...] | None = None,
    output: Dataset | None = None,
) -> TaskSucceeded:
    return TaskSucceeded(
        task=TaskId(task),
        attempt=attempt,
        execution=execution,
        provenance=WORK,
        limit=limit,
        output=value(task) if output is None else output,
    )


def failed(task: str, execution: int = 1, attempt: int = 1, error: RemoteError = BOOM) -> TaskFailed:
    return TaskFailed(task=TaskId(task), attempt=attempt, execution=execution, error=error, provenance=WORK)


def aborted(task: str, execution: int = 1, attempt: int = 1, reason: str = "enough") -> TaskAborted:
    return TaskAborted(task=TaskId(task), attempt=attempt, execution=execution, reason=reason, provenance=WORK)


def stop(
    reason: str = "lunch", *, of: str | None = None, status: Status = Status.STOPPED, grace: float | None = None
) -> StopRequested:
    return StopRequested(reason=reason, by="ada", status=status, grace=grace, dag=None if of is None else DagId(of))
