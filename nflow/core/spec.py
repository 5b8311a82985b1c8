"""What a workflow is, once its file has been read: plain data that any worker can plan with.

A spec holds no code. A task points to its code by digest, and only a slot ever opens that.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from nflow.core.ids import DagName, TaskId
from nflow.core.retry import RetrySpec


class OnFailure(StrEnum):
    """What becomes of the others when a task has failed for good."""

    STOP_WORKFLOW = "stop_workflow"
    STOP_DAG = "stop_dag"
    SKIP_SUCCESSORS = "skip_successors"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSpec:
    """One task of a dag: where it may run, what runs, and how skipping treats it."""

    id: TaskId
    name: str  #: what a limit and an alias call it; several tasks of one dag may share a name
    code: str  #: digest of the code blob
    queue: str = "task"
    force_run: bool = False  #: runs even when every predecessor was skipped or has limited it away
    propagate_skip: bool = True  #: when skipped, lets its successors be skipped too
    retry: RetrySpec | None = None
    on_failure: OnFailure = OnFailure.STOP_WORKFLOW
    timeout: float | None = None  #: seconds that an attempt may take


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """Data and order flow from `parent` to `child`; `slot` is the alias the child may call the data by."""

    parent: TaskId
    child: TaskId
    slot: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DagSpec:
    """A graph of tasks. The order of `tasks` and `edges` is the order of their declaration, and counts."""

    name: DagName
    tasks: tuple[TaskSpec, ...]
    edges: tuple[Edge, ...] = ()
    autostart: bool = True
    queue: str = "dag"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowSpec:
    """A workflow file, read: its dags by name and the Python that can open their code (`py311`)."""

    name: str
    dags: Mapping[DagName, DagSpec]
    python: str
    engine: str  #: the version of nflow that wrote this spec; rules that change between versions switch on it
    deadline: float | None = None  #: seconds that a run may take
