"""What a run wants done next. A machine of `core/` returns these; the drivers of `engine/` carry them out.

Carrying out a command twice must be harmless: after a takeover, `outstanding()` asks again for whatever is not yet
known to be done.
"""

from dataclasses import dataclass

from nflow.core.events import Event, Status
from nflow.core.ids import DagId, DagName, TaskId


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """Something a driver must do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record(Command):
    """Append these events to the log, as its owner."""

    events: tuple[Event, ...]


# --- of a workflow run -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class StartDag(Command):
    """Put the job of a dag run into its queue (its `DagStarted` is recorded before)."""

    dag: DagId
    name: DagName
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StopDag(Command):
    """Tell a dag run to stop, through its log."""

    dag: DagId
    reason: str
    by: str
    status: Status
    grace: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishRun(Command):
    """Nothing is left to run: record the end, after a look that the log holds nothing unread."""

    status: Status
    reason: str


# --- of a dag run ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatch(Command):
    """Put an attempt at a task into its queue."""

    task: TaskId
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WakeLater(Command):
    """Ask the machine again, by `wake`, when so many seconds have passed since the last attempt's end was recorded."""

    task: TaskId
    attempt: int  #: the next one
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel(Command):
    """Settle a dispatched task as cancelled, unless a worker claims it in the same moment."""

    task: TaskId
    attempt: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRun(Command):
    """Tell the workflow that a task of this dag run ended it, by failure or by its wish."""

    reason: str
    by: str
    status: Status


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishDag(Command):
    """All tasks are settled: tell the workflow how the dag run ended."""

    status: Status
    succeeded: int
    failed: int
    skipped: int
    cancelled: int
    reason: str = ""  #: of a failure: which task failed first, and why
