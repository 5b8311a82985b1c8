"""Running one task, whatever its code does: the callbacks around it, and the one ending that comes of it."""

from dataclasses import dataclass
from typing import TypeAlias

from nflow.errors import TaskReturnActionInvalid
from nflow.models.action import Action
from nflow.models.datastore import DataStoreDocument
from nflow.models.exceptions import AbortWorkflow, StopTask, Terminated
from nflow.models.task import BaseTask, TaskStatus
from nflow.models.task_context import TaskContext
from nflow.models.task_data import MultiTaskData, TaskData
from nflow.models.task_signal import TaskSignal


@dataclass(frozen=True, slots=True, kw_only=True)
class Succeeded:
    """The task ended well, with these data."""

    data: TaskData
    limit: tuple[str, ...] | None = None  #: names of the successors that may run; None: all of them
    stopped: str | None = None  #: the message of a `StopTask`, where one ended it


@dataclass(frozen=True, slots=True, kw_only=True)
class Aborted:
    """The task wants the whole run to stop."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The task ended badly. This is what its code raised, or what is wrong with what it returned."""

    exception: BaseException


Ending: TypeAlias = Succeeded | Aborted | Failed
Surroundings: TypeAlias = tuple[MultiTaskData, DataStoreDocument, TaskSignal, TaskContext]


def run_task(
    task: BaseTask, data: MultiTaskData, store: DataStoreDocument, signal: TaskSignal, context: TaskContext
) -> Ending:
    """Run a task to its ending; nothing that user code raises gets past this.

    `callback_init`, `run` and `callback_finally` are called in this order, the last exactly once, with the status of
    what came before. A failing `callback_finally` makes the task fail. The data of a task that ended well are
    flattened into one dataset.
    """
    around = (_at_least_one(data, task), store, signal, context)
    status, action, error = _body(task, around)
    status, error = _closing(task, around, status, error)
    if status is TaskStatus.Error:
        assert error is not None
        return Failed(exception=error)
    if status is TaskStatus.Aborted:
        return Aborted(reason=str(error))
    try:
        return _success(task, around[0], action, error)
    except BaseException as late:  # noqa: BLE001 - merging fetches values, which may be lost or need a missing module
        return Failed(exception=late)


def _body(task: BaseTask, around: Surroundings) -> tuple[TaskStatus, Action | None, BaseException | None]:
    try:
        if task.callback_init is not None:
            task.callback_init(*around)
        action = task.run(*around)
        if action is not None and not isinstance(action, Action):
            raise _not_an_action(task, action)
    except BaseException as error:  # noqa: BLE001 - user code ends here; its sys.exit() is a failure of the task
        return _status_of(error), None, error
    return TaskStatus.Success, action, None


def _closing(
    task: BaseTask, around: Surroundings, status: TaskStatus, error: BaseException | None
) -> tuple[TaskStatus, BaseException | None]:
    """Call `callback_finally`. It may make the ending worse, never better."""
    if task.callback_finally is None:
        return status, error
    try:
        task.callback_finally(_told(status, error, around), *around)
    except BaseException as late:  # noqa: BLE001 - user code ends here
        if _status_of(late).value > status.value:
            late.__context__ = late.__context__ or error
            return _status_of(late), late
        if error is not None:
            error.add_note(f"callback_finally of task {task.name!r} then raised {late!r}")
    return status, error


def _told(status: TaskStatus, error: BaseException | None, around: Surroundings) -> TaskStatus:
    """The status as the task's own callback hears it: one that is ended by a stop was stopped, and has not failed."""
    _, _, signal, _ = around
    return TaskStatus.Stopped if isinstance(error, Terminated) and signal.is_stopped else status


def _status_of(error: BaseException) -> TaskStatus:
    match error:
        case StopTask():
            return TaskStatus.Stopped
        case AbortWorkflow():
            return TaskStatus.Aborted
    return TaskStatus.Error


def _success(task: BaseTask, data: MultiTaskData, action: Action | None, stop: BaseException | None) -> Succeeded:
    limit: tuple[str, ...] | None = None
    if isinstance(stop, StopTask):
        limit = () if stop.skip_successors else None
    elif action is not None:
        action.check()  # its attributes may have been changed since it was made
        data, limit = _at_least_one(action.data, task), action.limit_names()
    data.flatten()
    data.add_task_history(task.name)
    return Succeeded(data=data.default_dataset, limit=limit, stopped=None if stop is None else str(stop))


def _at_least_one(data: MultiTaskData, task: BaseTask) -> MultiTaskData:
    """Without any predecessor that ran there is no dataset; the task still gets one to write to, under its own name."""
    return data if data.datasets else MultiTaskData(dataset=TaskData(), aliases=[task.name])


def _not_an_action(task: BaseTask, result: object) -> TaskReturnActionInvalid:
    advice = "return Action(data)" if isinstance(result, MultiTaskData | TaskData) else "return None, or Action(data)"
    return TaskReturnActionInvalid(
        f"Task {task.name!r} returned a {type(result).__name__}, which is not an Action. Instead, {advice}."
    )
