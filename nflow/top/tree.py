"""One run as a tree: its dag runs, and the tasks of each, with what each waits for. Pure."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from nflow.core.ids import DagId, DagName, TaskId
from nflow.core.spec import DagSpec, WorkflowSpec
from nflow.engine.serving import Served
from nflow.view.detail import ENDED, SETTLED, DagDetail, RunDetail, TaskDetail

#: What stands for a task of which nothing was heard yet.
_UNHEARD = "waiting"


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """A line of the tree: a dag run, or a task of it."""

    dag: DagId
    task: TaskId | None = None
    state: str = _UNHEARD
    started: float | None = None
    ended: float | None = None
    attempt: int = 0
    worker: str = ""
    remark: str = ""  #: what it waits for, why it ended
    needs_person: bool = False  #: nobody serves what it waits for
    done: int = 0  #: of a dag run: tasks that have ended
    total: int = 0
    is_folded: bool = False  #: its tasks are not shown

    @property
    def place(self) -> str:
        """As commands take it."""
        return f"{self.dag}/{self.task}" if self.task else self.dag


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What no event tells of a workflow."""

    dags: Mapping[DagName, DagSpec] = field(default_factory=dict)
    python: str = ""

    @classmethod
    def of(cls, spec: WorkflowSpec | None) -> "Plan":
        """That of a spec, where there still is one."""
        return cls() if spec is None else cls(dags=spec.dags, python=spec.python)


def leaves(detail: RunDetail, plan: Plan, served: Served, folded: AbstractSet[DagId] = frozenset()) -> Iterator[Leaf]:
    """The tree of a run, from top to bottom.

    Args:
        detail: What its logs have told.
        plan: What its file has.
        served: The queues that somebody serves.
        folded: Dag runs whose tasks are not shown.
    """
    for dag in detail.dags.values():
        spec = plan.dags.get(dag.name)
        is_folded = dag.id in folded
        yield _of_dag(dag, spec, served, is_folded=is_folded)
        if not is_folded:
            yield from _tasks(dag, spec, served, plan.python)


def first_of_note(tree: Sequence[Leaf]) -> int:
    """Where a person looks first: what failed, else what needs them, else what runs."""
    wanted: tuple[Callable[[Leaf], bool], ...] = (
        lambda leaf: leaf.task is not None and leaf.state == "failed",
        lambda leaf: leaf.needs_person,
        lambda leaf: leaf.task is not None and leaf.state in ("running", "retrying"),
        lambda leaf: leaf.task is not None,
    )
    found = (number for is_wanted in wanted for number, leaf in enumerate(tree) if is_wanted(leaf))
    return next(found, 0)


def _of_dag(dag: DagDetail, spec: DagSpec | None, served: Served, *, is_folded: bool) -> Leaf:
    settled = sum(dag.counts[state] for state in SETTLED)
    remark = "others take its place" if dag.is_superseded else dag.reason
    lack = served.lack(spec.queue, None) if spec and dag.state == "waiting" else None
    if lack is not None:
        remark = f"waits for a worker on queue '{lack.queue}'"
    return Leaf(
        dag=dag.id,
        state=dag.state,
        started=dag.started or dag.requested,
        ended=dag.ended,
        worker=dag.worker,
        remark=remark,
        done=settled,
        total=max(len(spec.tasks) if spec else 0, len(dag.tasks)),
        needs_person=lack is not None,
        is_folded=is_folded,
    )


def _tasks(dag: DagDetail, spec: DagSpec | None, served: Served, python: str) -> Iterator[Leaf]:
    known = {task.id: task.queue for task in spec.tasks} if spec else {}
    parents: dict[TaskId, list[TaskId]] = {}
    for edge in spec.edges if spec else ():
        parents.setdefault(edge.child, []).append(edge.parent)
    for task in dict.fromkeys((*known, *dag.tasks)):
        heard = dag.tasks.get(task) or TaskDetail(id=task)
        if dag.state in ENDED and heard.state not in SETTLED:
            continue  # it never came to be
        yield _of_task(dag, heard, _waits_for(dag, heard, parents.get(task, [])), known.get(task), served, python)


def _waits_for(dag: DagDetail, task: TaskDetail, parents: Sequence[TaskId]) -> list[TaskId]:
    """The predecessors that it waits for."""
    if task.state != _UNHEARD:
        return []
    return [parent for parent in parents if _state(dag, parent) not in SETTLED]


def _of_task(
    dag: DagDetail, task: TaskDetail, waits: list[TaskId], queue: str | None, served: Served, python: str
) -> Leaf:
    attempt = task.last
    execution = attempt.last if attempt else None
    state, remark, lack = task.state, task.reason, None
    if waits:
        remark = f"waits for {', '.join(waits[:3])}{' and others' if len(waits) > 3 else ''}"
    elif state in (_UNHEARD, "ready") and queue is not None and dag.state == "running":
        lack = served.lack(queue, python)
        state, remark = "ready", f"waits for a worker on queue '{queue}'" if lack else f"waits in queue '{queue}'"
    elif attempt is not None and attempt.error is not None and state in ("failed", "retrying"):
        remark = attempt.error.words
    return Leaf(
        dag=dag.id,
        task=task.id,
        state=state,
        started=(execution.started or execution.claimed) if execution else None,
        ended=(execution.ended or execution.settled) if execution else None,
        attempt=attempt.number if attempt else 0,
        worker=execution.worker if execution else "",
        remark=remark,
        needs_person=lack is not None,
    )


def _state(dag: DagDetail, task: TaskId) -> str:
    heard = dag.tasks.get(task)
    return heard.state if heard else _UNHEARD
