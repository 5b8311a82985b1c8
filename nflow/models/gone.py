"""What Lightflow had and nflow has not: an import of it says what to write instead.

Names of the machinery are gone on purpose. A module hands names that it does not know to `missing`.
"""

from importlib.util import find_spec

_CONTEXT = "In a task, `context` says where it runs; from outside `nflow status --json` does."
_PYTHON = "To start runs from Python, use `nflow.Client`: docs/coming-from-lightflow.md, 'From Python'."
_STORE = "A task has its `store` as an argument; from outside there is `nflow store`."
_SIGNAL = "A task has its `signal` as an argument; from outside there is `nflow stop`."
_STATUS = "From outside, `nflow status --json` and `nflow run --json` tell of runs."
_SETTINGS = "Settings are in nflow.toml; `nflow config` and `nflow doctor` show them."
_COMMANDS = "Use the command line: nflow worker, nflow workers."
_NEVER = "Nothing in nflow raises it: leave it away."
_UNNEEDED = "Nothing takes its place: leave the import away."

#: Modules, and names in them, with what to do instead.
INSTEAD = {
    "lightflow": "Its successor has another name: write `nflow` in place of `lightflow` in the import lines.",
    "nflow.Config": _SETTINGS,
    "nflow.default_config": _SETTINGS,
    "nflow.config": _SETTINGS,
    "nflow.models.Arguments": "It is called `Parameters` now.",
    "nflow.models.Client": _SIGNAL,
    "nflow.models.DagSignal": _SIGNAL,
    "nflow.models.DataStore": _STORE,
    "nflow.models.Server": _SIGNAL,
    "nflow.models.Workflow": _PYTHON,
    "nflow.models.arguments": "It is called `nflow.models.parameters` now, with `Parameters` in it.",
    "nflow.models.dag_signal": _SIGNAL,
    "nflow.models.datastore.DataStore": _STORE,
    "nflow.models.exceptions.DataStoreIDExists": _NEVER,
    "nflow.models.exceptions.DataStoreIDInvalid": _NEVER,
    "nflow.models.exceptions.EventTypeUnknown": _NEVER,
    "nflow.models.exceptions.JobEventTypeUnsupported": _NEVER,
    "nflow.models.exceptions.JobStatInvalid": _NEVER,
    "nflow.models.exceptions.RequestActionUnknown": _NEVER,
    "nflow.models.exceptions.RequestFailed": _NEVER,
    "nflow.models.exceptions.WorkerEventTypeUnsupported": _NEVER,
    "nflow.models.mongo_proxy": _UNNEEDED,
    "nflow.models.signal": _SIGNAL,
    "nflow.models.task.TaskState": _CONTEXT,
    "nflow.models.utils": _UNNEEDED,
    "nflow.queue.JobEventName": _STATUS,
    "nflow.queue.JobExecPath": _UNNEEDED,
    "nflow.queue.JobStatus": _STATUS,
    "nflow.queue.app": _UNNEEDED,
    "nflow.queue.const": "`JobType` and `DefaultJobQueueName` are in `nflow.queue`.",
    "nflow.queue.event": _STATUS,
    "nflow.queue.jobs": _UNNEEDED,
    "nflow.queue.models": _STATUS,
    "nflow.queue.pickle": _UNNEEDED,
    "nflow.queue.worker": _COMMANDS,
    "nflow.scripts": "The command line is the command `nflow`.",
    "nflow.tasks.ChunkingTask": "Start a dag for each chunk: signal.start_dag(...) in a PythonTask.",
    "nflow.tasks.chunking_task": "Start a dag for each chunk: signal.start_dag(...) in a PythonTask.",
    "nflow.version": "The version is `nflow.__version__`.",
    "nflow.workers": _COMMANDS,
    "nflow.workflows": _PYTHON,
}


class Gone(ImportError):
    """A name of Lightflow's that nflow has not; the message says what to use instead."""


def missing(module: str, name: str) -> Exception:
    """What to raise where `module` is asked for a name that it has not."""
    instead = INSTEAD.get(f"{module}.{name}")
    if instead is None or _is_there(f"{module}.{name}"):  # a module that is there, but lacks what it had
        return AttributeError(f"module {module!r} has no attribute {name!r}")
    return Gone(f"{module} has no {name!r} any more. {instead}", name=name)


def advice_on(module: str) -> str | None:
    """What to do about a module that is not there; None if it was never one of Lightflow's."""
    while module:
        if module in INSTEAD:
            return INSTEAD[module]
        module = module.rpartition(".")[0]
    return None


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # of something that is no package
        return False
