"""The queues that work waits in where nobody says otherwise."""

from enum import StrEnum


class JobType(StrEnum):
    """The kinds of jobs. Each is also the name of the queue in which jobs of its kind wait by default."""

    Workflow = "workflow"
    Dag = "dag"
    Task = "task"


DefaultJobQueueName = JobType
