"""How a task ends: the exceptions by which it ends on purpose, and the word its `callback_finally` gets."""

from enum import Enum

from nflow.errors import NflowError


class TaskStatus(Enum):
    """How a task ended; the greater value is the worse ending."""

    Success = 1
    Stopped = 2
    Aborted = 3
    Error = 4


class TaskEnding(NflowError):
    """A task ends here, and means to."""

    def __init__(self, message: str = "") -> None:
        # Past NflowError, which gives a wordless error the words of its class: an ending may be wordless.
        super(NflowError, self).__init__(message)
        self.message = message


class StopTask(TaskEnding):
    """Raise it to end the task early and well; by default its successors are then skipped."""

    def __init__(self, message: str = "", *, skip_successors: bool = True) -> None:
        super().__init__(message)
        self.skip_successors = skip_successors


class AbortWorkflow(TaskEnding):
    """Raise it to end the task and to stop the whole run."""
