"""What users write: dags of tasks, their parameters, and the data that pass between them.

Pure: nothing here knows how a workflow is stored, sent or driven.
"""

from typing import TYPE_CHECKING

from nflow.models.action import Action
from nflow.models.dag import Dag
from nflow.models.datastore import DataStoreDocument, DataStoreDocumentSection
from nflow.models.exceptions import AbortWorkflow, StopTask
from nflow.models.gone import missing
from nflow.models.parameters import Option, Parameters
from nflow.models.policy import Policy
from nflow.models.retry import Retry
from nflow.models.task import BaseTask, TaskStatus
from nflow.models.task_context import TaskContext
from nflow.models.task_data import MultiTaskData, TaskData
from nflow.models.task_parameters import TaskParameters
from nflow.models.task_signal import TaskSignal

__all__ = [
    "AbortWorkflow",
    "Action",
    "BaseTask",
    "Dag",
    "DataStoreDocument",
    "DataStoreDocumentSection",
    "MultiTaskData",
    "Option",
    "Parameters",
    "Policy",
    "Retry",
    "StopTask",
    "TaskContext",
    "TaskData",
    "TaskParameters",
    "TaskSignal",
    "TaskStatus",
]


if not TYPE_CHECKING:  # type checkers know what is there

    def __getattr__(name: str) -> object:
        raise missing(__name__, name)
