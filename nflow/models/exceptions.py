"""The exceptions that a task may raise to end on purpose, and those it may want to catch."""

from nflow.errors import (
    DagNameUnknown,
    DataInvalidAlias,
    DataInvalidIndex,
    DirectedAcyclicGraphInvalid,
    DirectedAcyclicGraphUndefined,
    NflowError,
    TaskReturnActionInvalid,
    WorkflowArgumentError,
    WorkflowDefinitionError,
    WorkflowImportError,
)

__all__ = [
    "AbortWorkflow",
    "DagNameUnknown",
    "DataInvalidAlias",
    "DataInvalidIndex",
    "DirectedAcyclicGraphInvalid",
    "DirectedAcyclicGraphUndefined",
    "LightflowException",
    "StopTask",
    "TaskReturnActionInvalid",
    "WorkflowArgumentError",
    "WorkflowDefinitionError",
    "WorkflowImportError",
]

LightflowException = NflowError  # what workflow files written for Lightflow catch


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
