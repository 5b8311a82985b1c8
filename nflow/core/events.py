"""What can happen to a run: the only things that are ever written down about it.

An event is a fact, in the past tense. A run's state is the fold of its events and nothing else.
Each event says in its docstring which log it lives in and who may write it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from nflow.core.dataset import Dataset, Ref, TaskInput
from nflow.core.ids import DagId, DagName, TaskId, WorkerId


class Status(StrEnum):
    """How a run or a dag run ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteError:
    """An exception from another process, in words: no driver ever unpickles one."""

    type: str  #: `ValueError`
    message: str
    traceback: str = ""
    mro: tuple[str, ...] = ()  #: qualified names of the class and its bases, nearest first
    hint: str = ""  #: what a person can do about it, where that is known

    @property
    def words(self) -> str:
        """What was raised, as the last line of a traceback tells it."""
        return f"{self.type}: {self.message}" if self.message else self.type


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Who did the work of one execution, and what it took. Times are seconds since the epoch, UTC."""

    worker: WorkerId
    host: str
    pid: int
    start: float
    end: float
    peak_memory_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A fact about a run."""


# --- both logs: who drives -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnerChanged(Event):
    """A worker has become the driver of this log; what earlier owners still send is refused from here on."""

    worker: WorkerId


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRequested(Event):
    """Somebody wants the run (workflow log) or this dag run (dag log) to end. Anyone may write it.

    The first one counts; a later one can but give running tasks less time.

    In the workflow log `dag` may name one dag run to stop; without it the whole run is meant.
    """

    reason: str
    by: str  #: a person, a task (`main_dag:1/reduce`) or a dag whose task failed
    status: Status = Status.STOPPED  #: FAILED when a failure is the reason
    grace: float | None = None  #: seconds until running tasks are terminated; None: they are told, and may finish
    dag: DagId | None = None
    opening: int = 0  #: in the log of a dag: the number of the `DagReopened` that came before; an older one is over


# --- the workflow log ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted(Event):
    """The first driver has taken the run. Written by the owner, once."""

    workflow: str
    spec: str  #: digest of the spec blob
    engine: str
    parameters: Mapping[str, Ref] = field(default_factory=dict)
    queue: str = ""  #: from here on what else its job said, for a job that begins the run again
    submitted: float = 0.0
    directory: str = ""
    folder: str = ""
    keep_data: bool = False
    has_file: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class DagRequested(Event):
    """A task asked for a dag to be started. Written by the task's worker; a repeated `key` is the same request."""

    key: str  #: identity of the request: the same in every attempt of the task that made it
    dag: DagName
    by: str
    input: TaskInput | None = None
    input_blob: Ref | None = None  #: the input, packed, where it is too large for an event


@dataclass(frozen=True, slots=True, kw_only=True)
class DagStarted(Event):
    """A request was granted, under this running name. Written by the owner."""

    key: str
    dag: DagId


@dataclass(frozen=True, slots=True, kw_only=True)
class DagRefused(Event):
    """A request cannot be granted. Written by the owner."""

    key: str
    reason: str
    unknown: bool = False  #: True: the workflow has no such dag; False: the run is ending
    opening: int = 0  #: how often the run had been reopened


@dataclass(frozen=True, slots=True, kw_only=True)
class DagFinished(Event):
    """A dag run has ended: no task of it is running. Written by the dag's driver, once for each opening."""

    dag: DagId
    status: Status
    succeeded: int = 0
    failed: int = 0
    skipped: int = 0
    cancelled: int = 0
    opening: int = 0  #: the number of the `RunRetried` that last reopened it: an earlier end does not end it again
    reason: str = ""  #: of a failure: which task failed first, and why


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished(Event):
    """The run has ended. Written by the owner, last."""

    status: Status
    reason: str = ""
    opening: int = 0  #: how often the run had been reopened


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRetried(Event):
    """The run, which had ended, is open again: what succeeded counts, the rest begins again. Written by the owner."""

    number: int  #: 1 for the first time
    by: str
    dags: tuple[DagId, ...] = ()  #: the dag runs that are open again
    redo: Mapping[DagId, tuple[TaskId, ...]] = field(default_factory=dict)  #: what is done again though it succeeded
    superseded: tuple[DagId, ...] = ()  #: dag runs that tasks of those had started, and will start anew: they stay over
    parameters: Mapping[str, Ref] = field(default_factory=dict)  #: those that were given another value


# --- a dag run's log -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class DagReopened(Event):
    """Tasks that did not succeed are to begin again; stops that came before are over. Written by the workflow's driver.

    It stands where stops do, so that the last word there tells whether the dag run is to stop.
    """

    number: int  #: that of the `RunRetried` that it follows from
    redo: tuple[TaskId, ...] = ()  #: tasks that begin again with all their successors though they succeeded


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskEvent(Event):
    """A fact about one task of a dag run."""

    task: TaskId


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskStarted(TaskEvent):
    """A worker claimed this execution of an attempt. Written before user code runs, by the worker."""

    attempt: int
    execution: int  #: 1 for the first claim of the attempt; a later one takes over from a lost worker
    worker: WorkerId
    host: str
    lost: int = 0  #: executions of this attempt that vanished with their worker


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskReleased(TaskEvent):
    """A claim was given back before user code ran; the attempt waits for another claim. Written by the worker."""

    attempt: int
    execution: int
    lost: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSucceeded(TaskEvent):
    """An attempt ended well. Written by the worker whose claim is the last."""

    attempt: int
    execution: int
    provenance: Provenance
    output: Dataset = field(default_factory=Dataset)
    limit: tuple[str, ...] | None = None  #: names of the successors that may run; None: all of them
    stopped: str | None = None  #: the message of a `StopTask`, where one ended it


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFailed(TaskEvent):
    """An attempt ended badly. Written by the worker whose claim is the last."""

    attempt: int
    execution: int
    error: RemoteError
    provenance: Provenance
    output: tuple[str, ...] = ()  #: the last lines that it wrote
    exit_code: int | None = None  #: of its process, where that ended with it; -N: signal N ended it


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskAborted(TaskEvent):
    """The task raised `AbortWorkflow`: it ends as cancelled and takes the run along. Written by its worker."""

    attempt: int
    execution: int
    reason: str
    provenance: Provenance


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSkipped(TaskEvent):
    """No predecessor lets the task run. A consequence of other events, recorded for people by the owner."""

    opening: int = 0  #: the number of the `DagReopened` that came before


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskCancelled(TaskEvent):
    """The task will not run (again): the dag is stopping. Written by the driver, or by the worker that killed it."""

    reason: str
    provenance: Provenance | None = None
    attempt: int = 0  #: the one that is not made, or was ended; 0: it was not to be made yet
    opening: int = 0  #: the number of the `DagReopened` that came before, where no attempt tells
