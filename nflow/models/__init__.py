"""What users write: dags of tasks, their parameters, and the data that pass between them.

Pure: nothing here knows how a workflow is stored, sent or driven.
"""

from nflow.models.action import Action
from nflow.models.context import TaskContext
from nflow.models.dag import Dag
from nflow.models.data import MultiTaskData, TaskData
from nflow.models.endings import AbortWorkflow, StopTask, TaskStatus
from nflow.models.parameters import Option, Parameters
from nflow.models.section import DataStoreDocumentSection
from nflow.models.task import BaseTask

__all__ = [
    "AbortWorkflow",
    "Action",
    "BaseTask",
    "Dag",
    "DataStoreDocumentSection",
    "MultiTaskData",
    "Option",
    "Parameters",
    "StopTask",
    "TaskContext",
    "TaskData",
    "TaskStatus",
]
