"""What one workflow run knows: its requests, their answers, and the dag runs that came of them.

It answers questions and decides nothing: `workflow_run.apply` alone changes it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from nflow.core.events import DagRequested, DagStarted, Event, Status, StopRequested
from nflow.core.ids import DagId, DagName, RunId, TaskId


class Blueprint(Protocol):
    """What a workflow run knows of a dag as it is defined."""

    @property
    def autostart(self) -> bool:
        """Whether it starts with the run."""


class Plan(Protocol):
    """What a workflow run knows of its workflow: a `WorkflowSpec` will do."""

    @property
    def dags(self) -> Mapping[DagName, Blueprint]:
        """The dags that can be asked for, as declared."""


class RunState(StrEnum):
    """How far a run is."""

    WAITING = "waiting"  #: for its first driver
    RUNNING = "running"
    STOPPING = "stopping"  #: starts no dag any more
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(slots=True, eq=False)
class WorkflowRun:
    """The fold of a workflow run's log. Only `apply` changes it."""

    id: RunId
    spec: Plan
    is_started: bool = field(init=False, default=False)
    status: Status | None = field(init=False, default=None)  #: how it ended
    granted: dict[str, DagId] = field(init=False, default_factory=dict)  #: key of the request → running name
    holders: dict[DagId, str] = field(init=False, default_factory=dict)  #: running name → key of the request
    refused: set[str] = field(init=False, default_factory=set)
    requests: dict[str, DagRequested] = field(init=False, default_factory=dict)
    unseen: dict[str, Event] = field(init=False, default_factory=dict)  #: answers not yet read from the log, by key
    running: dict[DagId, None] = field(init=False, default_factory=dict)  #: in the order of their start
    ended: dict[DagId, Status] = field(init=False, default_factory=dict)
    failures: dict[DagId, str] = field(init=False, default_factory=dict)  #: why dag runs failed, where that is known
    first_failed: DagId | None = field(init=False, default=None)
    highest: dict[DagName, int] = field(init=False, default_factory=dict)
    stop: StopRequested | None = field(init=False, default=None)  #: of the whole run; the first one counts
    stops: dict[DagId, StopRequested] = field(init=False, default_factory=dict)  #: of single dag runs
    opening: int = field(init=False, default=0)  #: the number of the last `RunRetried`
    openings: dict[DagId, int] = field(init=False, default_factory=dict)  #: of the dag runs that one of them reopened
    redo: dict[DagId, tuple[TaskId, ...]] = field(init=False, default_factory=dict)  #: what the last one does again
    superseded: set[DagId] = field(init=False, default_factory=set)  #: however they ended, it does not count any more

    @property
    def state(self) -> RunState:
        """How far the run is."""
        if self.status is not None:
            return RunState(self.status.value)
        if self.stop is not None:
            return RunState.STOPPING
        return RunState.RUNNING if self.is_started else RunState.WAITING

    @property
    def is_due(self) -> bool:
        """Whether nothing is left to run, and the end is not on record."""
        return self.is_started and self.status is None and not self.running


def request_of(run: WorkflowRun, key: str) -> DagRequested | None:
    """The request of that key, kept until its dag run has succeeded; None for a dag that started with the run."""
    return run.requests.get(key)


def unasked(run: WorkflowRun) -> list[str]:
    """Keys of requests that were let go, and are needed once more for a dag run that was reopened; the log has them."""
    keys = (run.holders[dag] for dag in run.running if dag in run.openings)
    return [key for key in keys if key not in run.requests and key != autostart_key(name_of(run.granted[key]))]


def can_be_reopened(run: WorkflowRun) -> list[DagId]:
    """The dag runs that begin again when the run does: those that ended, and not well."""
    ended = ((dag, status) for dag, status in run.ended.items() if dag not in run.superseded)
    return [dag for dag, status in ended if status is not Status.SUCCEEDED]


def autostart_key(name: DagName) -> str:
    """The key of the request that a run makes by itself for an autostart dag."""
    return f"autostart/{name}"


def name_of(dag: DagId) -> DagName:
    """The dag as it is defined, of a dag as it runs."""
    return DagName(dag.rpartition(":")[0])


def number_of(dag: DagId) -> int:
    """The how-manieth run of its dag this is, from 1."""
    return int(dag.rpartition(":")[2])


def next_of(run: WorkflowRun, name: DagName) -> DagId:
    """The running name after the highest in use; one that was promised and taken back is free again."""
    highest = run.highest.get(name, 0)
    while highest and not _is_taken(run, DagId(f"{name}:{highest}")):
        highest -= 1
    run.highest[name] = highest
    return DagId(f"{name}:{highest + 1}")


def _is_taken(run: WorkflowRun, dag: DagId) -> bool:
    return dag in run.holders or dag in run.ended


def story(run: WorkflowRun) -> str:
    """What the run knows, in a line, for errors."""
    dags = [*run.running][:3]
    parts = [f"{len(run.running)} dags running{': ' if dags else ''}{', '.join(dags)}", f"{len(run.ended)} ended"]
    stop = [f"stop: {run.stop.reason}"] if run.stop is not None else []
    return f"run {run.id!r} ({'; '.join([str(run.state), *parts, *stop])})"


def check_invariants(run: WorkflowRun) -> None:
    """What holds after any events whatever; an assertion that fails tells the run's story."""
    at = story(run)
    assert not run.running.keys() & run.ended.keys(), at
    assert not run.granted.keys() & run.refused, at
    assert run.granted.keys() >= set(run.holders.values()), at
    assert run.requests.keys() <= run.granted.keys() | run.unseen.keys(), at
    for key, answer in run.unseen.items():
        match answer:
            case DagStarted(dag=dag):
                assert run.granted[key] == dag, at
                assert run.holders[dag] == key, at
            case _:
                assert key in run.refused, at
    for dag in run.holders:
        assert dag in run.running or dag in run.ended, at
        assert number_of(dag) <= run.highest[name_of(dag)], at
