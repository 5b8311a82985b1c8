"""The root of all tasks: a name, a queue, how skipping treats it, and the callbacks around its code."""

from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from nflow.errors import NotShippable, WorkflowDefinitionError
from nflow.models.callbacks import check_callback
from nflow.models.gone import missing
from nflow.models.place import Placed, told
from nflow.models.policy import policy_of
from nflow.models.retry import Retry
from nflow.models.task_data import MultiTaskData

if TYPE_CHECKING:  # these know tasks themselves
    from nflow.models.action import Action
    from nflow.models.datastore import DataStoreDocument
    from nflow.models.task_context import TaskContext
    from nflow.models.task_signal import TaskSignal

Callback: TypeAlias = "Callable[[MultiTaskData, DataStoreDocument, TaskSignal, TaskContext], Action | None] | None"
InitCallback: TypeAlias = "Callable[[MultiTaskData, DataStoreDocument, TaskSignal, TaskContext], object] | None"
FinallyCallback: TypeAlias = (
    "Callable[[TaskStatus, MultiTaskData, DataStoreDocument, TaskSignal, TaskContext], object] | None"
)

CALLBACK_ARGUMENTS = ("data", "store", "signal", "context")

_IDENTITY = frozenset(("name", "queue", "has_to_run", "propagate_skip"))
_STAYS = _IDENTITY | {"_nflow_place", "_nflow_policy"}
_NEEDED = ("name", "queue", "has_to_run", "propagate_skip", "callback_init", "callback_finally")


class TaskStatus(IntEnum):
    """How a task ended; the greater value is the worse ending."""

    Success = 1
    Stopped = 2
    Aborted = 3
    Error = 4


class BaseTask(Placed):
    """A piece of work in a dag. Subclass it and override `run`, or use a ready-made one such as `PythonTask`.

    Args:
        name: What limits, aliases and people call the task.
        queue: The task queue it waits in; a worker that serves this queue will run it.
        callback_init: Called before the task with (data, store, signal, context).
        callback_finally: Called after the task, however it ended, with (status, data, store, signal, context).
        force_run: Run even where all predecessors were skipped or have limited this task away.
        propagate_skip: When this task is skipped, let its successors be skipped too.
        retry: How often it is tried; by default as its dag says.
        on_failure: What becomes of the others when it has failed for good: "stop_workflow", "stop_dag" or
            "skip_successors"; by default as its dag says.
        timeout: Seconds that an attempt may take; then it is ended, and has failed. By default as its dag says.

    Raises:
        WorkflowDefinitionError: the name is empty, a callback cannot be called so, or something else is none.
    """

    def __init__(  # noqa: PLR0913 - a task has many sides
        self,
        name: str,
        *,
        queue: str = "task",
        callback_init: InitCallback = None,
        callback_finally: FinallyCallback = None,
        force_run: bool = False,
        propagate_skip: bool = True,
        retry: Retry | None = None,
        on_failure: str | None = None,
        timeout: float | None = None,
    ) -> None:
        if not isinstance(name, str) or not name:
            raise WorkflowDefinitionError(f"A task needs a name, some text; this {type(self).__name__} got {name!r}.")
        check_queue(queue, f"task {name!r}", usual="task")
        check_callback(callback_init, CALLBACK_ARGUMENTS, of=f"callback_init of task {name!r}")
        check_callback(callback_finally, ("status", *CALLBACK_ARGUMENTS), of=f"callback_finally of task {name!r}")
        self.name = name
        self.queue = queue
        self.has_to_run = force_run
        self.propagate_skip = propagate_skip
        self._nflow_policy = policy_of(f"task {name!r}", retry=retry, on_failure=on_failure, timeout=timeout)
        self.callback_init = callback_init
        self.callback_finally = callback_finally

    def run(
        self,
        data: MultiTaskData,  # noqa: ARG002 - for those who override it
        store: "DataStoreDocument",  # noqa: ARG002
        signal: "TaskSignal",  # noqa: ARG002
        context: "TaskContext",  # noqa: ARG002
        **kwargs: Any,  # noqa: ARG002
    ) -> "Action | None":
        """Do the work. Return None to hand on `data` to all successors, or an `Action` to choose."""
        return None

    def shipped(self) -> tuple[type[Self], dict[str, object]]:
        """What another process needs to run this task: its class and its state.

        The name, the queue and the flags are not part of it. They travel in the plan, so that the thousands of tasks
        that share a callback share one piece of code too.

        Raises:
            NotShippable: `__getstate__` of its class returns no dict.
        """
        state = self.__getstate__()
        if isinstance(state, tuple):  # of a class with __slots__: what is in its __dict__, and what is in the slots
            state = (state[0] or {}) | state[1]
        if not isinstance(state, dict):
            raise NotShippable(
                f"Task {self.name!r} cannot be sent to another process: "
                f"{type(self).__name__}.__getstate__() returns {state!r}. Let it return a dict."
            )
        return type(self), {key: value for key, value in state.items() if key not in _STAYS}

    @classmethod
    def restored(
        cls,
        state: Mapping[str, object],
        *,
        name: str,
        queue: str = "task",
        force_run: bool = False,
        propagate_skip: bool = True,
    ) -> Self:
        """The task whose `shipped()` gave this class and this state, under this name."""
        identity = {"name": name, "queue": queue, "has_to_run": force_run, "propagate_skip": propagate_skip}
        task = cls.__new__(cls)
        if hasattr(task, "__setstate__"):
            task.__setstate__({**state, **identity})
        else:
            for key, value in {**state, **identity}.items():
                object.__setattr__(task, key, value)  # a subclass may forbid the usual way
        return task

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {getattr(self, 'name', '?')!r}>"


def check_queue(queue: object, of: str, *, usual: str) -> None:
    """Refuse a queue that has no name. Raises WorkflowDefinitionError, naming `of`, whose queue it is."""
    if not isinstance(queue, str) or not queue.strip():
        raise WorkflowDefinitionError(
            f"The queue of {of} is {queue!r}. Give it a name, some text, or leave it out for {usual!r}."
        )


def check_task(task: BaseTask, kinds: set[type[BaseTask]]) -> None:
    """Refuse a task whose class cannot do without what it leaves out. Classes that are found good join `kinds`.

    Raises:
        WorkflowDefinitionError: its `__init__` never calls the one of BaseTask, or its `run` takes other arguments.
    """
    missing = [each for each in _NEEDED if not hasattr(task, each)]
    if missing:
        raise WorkflowDefinitionError(_unmade(type(task), missing[0]))
    if type(task) not in kinds:
        check_callback(task.run, CALLBACK_ARGUMENTS, of=f"run() of class {type(task).__name__!r}")
        kinds.add(type(task))


def _unmade(kind: type[BaseTask], missing: str) -> str:
    code = getattr(kind.__init__, "__code__", None)
    where = f" ({told(code.co_filename, code.co_firstlineno)})" if code is not None else ""
    return (
        f"This {kind.__name__} has no {missing!r}: {kind.__name__}.__init__(){where} does not call "
        "super().__init__(name). Let it do so in its first line."
    )


if not TYPE_CHECKING:  # type checkers know what is there

    def __getattr__(name: str) -> object:
        raise missing(__name__, name)
