"""Durable workflows of Python tasks, for experiment stations and the clusters behind them.

The names below are what a workflow file needs, and the clients for other software. Each is loaded at its
first use, so that `import nflow` costs nothing.
"""

import importlib

from nflow._version import __version__

TYPE_CHECKING = False  # as in `typing`, whose import would cost more than all else here
if TYPE_CHECKING:
    from nflow.client import AsyncClient, Client
    from nflow.errors import NflowError
    from nflow.models import (
        AbortWorkflow,
        Action,
        BaseTask,
        Dag,
        MultiTaskData,
        Option,
        Parameters,
        Policy,
        Retry,
        StopTask,
        TaskData,
        TaskStatus,
    )
    from nflow.tasks import BashTask, PythonTask

__all__ = [
    "AbortWorkflow",
    "Action",
    "AsyncClient",
    "BaseTask",
    "BashTask",
    "Client",
    "Dag",
    "MultiTaskData",
    "NflowError",
    "Option",
    "Parameters",
    "Policy",
    "PythonTask",
    "Retry",
    "StopTask",
    "TaskData",
    "TaskStatus",
    "__version__",
]

_ELSEWHERE = {
    "AsyncClient": "nflow.client",
    "Client": "nflow.client",
    "NflowError": "nflow.errors",
    "BashTask": "nflow.tasks",
    "PythonTask": "nflow.tasks",
}


# For those who write `import nflow` and then `nflow.models.Dag`.
_MODULES = ("client", "errors", "logger", "models", "queue", "tasks", "testing")


def __getattr__(name: str) -> object:
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name not in __all__:
        raise importlib.import_module("nflow.models.gone").missing(__name__, name)
    value = getattr(importlib.import_module(_ELSEWHERE.get(name, "nflow.models")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULES})
