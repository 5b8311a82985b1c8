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
class Reopening:
    """What a run that has ended is to begin again with."""

    number: int  #: of the `RunRetried` that follows; when the log holds it, or a later one, it has been done
    by: str
    after: int = 0  #: the last record of the log when it was asked for: stops that came later are meant for it
    redo: Mapping[DagId, tuple[TaskId, ...]] = field(default_factory=dict)  #: what is done again though it succeeded
    superseded: tuple[DagId, ...] = ()  #: dag runs that tasks of those had started, and will start anew
    parameters: Mapping[str, Ref] = field(default_factory=dict)  #: those that are given another value


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowJob(Job):
    """Drive a workflow run. Its acknowledgement by the server is what makes a run exist."""

    spec: str
    queue: str
    submitted: float = 0.0  #: seconds since the epoch, by the server's clock
    parameters: Mapping[str, Ref] = field(default_factory=dict)
    keep_data: bool = False  #: keep the store and the blobs of the run though it succeeds
    reopening: Reopening | None = None  #: None: it is to begin
    has_file: bool = True  #: the workflow is a file in `folder`; else a program made it, whose file is none


@dataclass(frozen=True, slots=True, kw_only=True)
class DagJob(Job):
    """Drive a dag run."""

    spec: str
    dag: DagId
    queue: str
    input: TaskInput | None = None
    input_blob: Ref | None = None
    opening: int = 0  #: the number of the `RunRetried` that reopened the dag run


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
    opening: int = 0  #: of its dag run: stops of an earlier one do not reach it
    renewed: int = 0  #: the opening in which it was to be done again: since then it asks for dag runs of its own
    timeout: float | None = None  #: seconds that it may take

    def execution(self, number: int) -> str:
        """What an execution of it is called, for people and programs."""
        return f"{self.run}/{self.dag}/{self.task}/{self.attempt}/{number}"
