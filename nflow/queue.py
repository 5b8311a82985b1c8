"""The queues that work waits in where nobody says otherwise."""

from enum import StrEnum
from typing import TYPE_CHECKING


class JobType(StrEnum):
    """The kinds of jobs. Each is also the name of the queue in which jobs of its kind wait by default."""

    Workflow = "workflow"
    Dag = "dag"
    Task = "task"


DefaultJobQueueName = JobType


if not TYPE_CHECKING:  # type checkers know what is there

    def __getattr__(name: str) -> object:
        from nflow.models.gone import missing  # noqa: PLC0415 - only where something is missing

        raise missing(__name__, name)
