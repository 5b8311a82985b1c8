"""What workers take from queues: drive this run, drive this dag run, execute this attempt."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from nflow.core.dataset import Ref, TaskInput
from nflow.core.ids import DagId, RunId, TaskId


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A piece of work in a queue."""

    run: RunId
    workflow: str
    directory: str = ""  #: where the run was submitted; tasks work there wherever that folder exists
    folder: str = ""  #: where the workflow file was; what it imports may lie beside it


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowJob(Job):
    """Drive a workflow run. Its acknowledgement by the server is what makes a run exist."""

    spec: str
    queue: str
    submitted: float = 0.0  #: seconds since the epoch, by the server's clock
    parameters: Mapping[str, Ref] = field(default_factory=dict)
    keep_data: bool = False  #: keep the store and the blobs of the run though it succeeds


@dataclass(frozen=True, slots=True, kw_only=True)
class DagJob(Job):
    """Drive a dag run."""

    spec: str
    dag: DagId
    queue: str
    input: TaskInput | None = None
    input_blob: Ref | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskJob(Job):
    """Execute one attempt at a task."""

    dag: DagId
    task: TaskId
    name: str
    attempt: int
    queue: str
    code: str  #: digest of the code blob
    after: int = 0  #: sequence of the last event of this task that the driver knew; the claim is checked against it
    input: TaskInput | None = None
    input_blob: Ref | None = None
    timeout: float | None = None  #: seconds that it may take

    def execution(self, number: int) -> str:
        """What an execution of it is called, for people and programs."""
        return f"{self.run}/{self.dag}/{self.task}/{self.attempt}/{number}"
