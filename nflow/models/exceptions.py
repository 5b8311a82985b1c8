"""The exceptions that a task may raise to end on purpose, and those it may want to catch."""

from typing import TYPE_CHECKING

from nflow.errors import (
    BlobLost,
    ConfigError,
    DagNameUnknown,
    DataInvalidAlias,
    DataInvalidIndex,
    DirectedAcyclicGraphInvalid,
    DirectedAcyclicGraphUndefined,
    NflowError,
    StoreTypeError,
    StoreUnavailable,
    TaskReturnActionInvalid,
    WorkflowArgumentError,
    WorkflowDefinitionError,
    WorkflowImportError,
)
from nflow.models.gone import missing

__all__ = [
    "AbortWorkflow",
    "ConfigFieldError",
    "ConfigLoadError",
    "ConfigNotDefinedError",
    "ConfigOverwriteError",
    "DagNameUnknown",
    "DataInvalidAlias",
    "DataInvalidIndex",
    "DataStoreDecodeUnknownType",
    "DataStoreGridfsIdInvalid",
    "DataStoreNotConnected",
    "DirectedAcyclicGraphInvalid",
    "DirectedAcyclicGraphUndefined",
    "LightflowException",
    "StopTask",
    "TaskReturnActionInvalid",
    "Terminated",
    "WorkflowArgumentError",
    "WorkflowDefinitionError",
    "WorkflowImportError",
]

# What workflow files written for Lightflow catch.
LightflowException = NflowError
ConfigLoadError = ConfigOverwriteError = ConfigNotDefinedError = ConfigFieldError = ConfigError
DataStoreNotConnected = StoreUnavailable
DataStoreGridfsIdInvalid = BlobLost
DataStoreDecodeUnknownType = StoreTypeError


class Terminated(BaseException):
    """Raised in the middle of a task that has to end now: SIGTERM has come, and SIGKILL follows.

    No error, so that `except Exception` lets it through: there is time for `finally` and `callback_finally`, no more.
    """


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


if not TYPE_CHECKING:  # type checkers know what is there

    def __getattr__(name: str) -> object:
        raise missing(__name__, name)
