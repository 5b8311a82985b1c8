"""Runs for other software: `nflow.Client` for plain calls, `nflow.AsyncClient` for programs with an event loop.

Both do the same. What they return is plain, frozen and typed; what they raise is in `nflow.errors`.
"""

from nflow.client.asynchronous import AsyncClient
from nflow.client.blocking import Client
from nflow.client.following import LogLine
from nflow.client.result import Result, TaskFailure
from nflow.engine.runs import RunEntry
from nflow.files.found import Found as WorkflowFile
from nflow.view.words import Told as RunEvent
from nflow.worker.heartbeat import WorkerEntry

__all__ = [
    "AsyncClient",
    "Client",
    "LogLine",
    "Result",
    "RunEntry",
    "RunEvent",
    "TaskFailure",
    "WorkerEntry",
    "WorkflowFile",
]
