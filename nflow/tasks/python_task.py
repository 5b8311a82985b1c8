"""A task that calls a Python function."""

from typing import Any

from nflow.models.action import Action
from nflow.models.callbacks import check_callback
from nflow.models.datastore import DataStoreDocument
from nflow.models.retry import Retry
from nflow.models.task import CALLBACK_ARGUMENTS, BaseTask, Callback, FinallyCallback, InitCallback
from nflow.models.task_context import TaskContext
from nflow.models.task_data import MultiTaskData
from nflow.models.task_signal import TaskSignal


class PythonTask(BaseTask):
    """Calls a function with (data, store, signal, context). Without one it hands its data on.

    Args:
        name: What limits, aliases and people call the task.
        callback: The function. It returns None, or an `Action`.
        queue: As in `BaseTask`, and so are all the others.
        callback_init: Called before.
        callback_finally: Called after, however it ended.
        force_run: Run even where all predecessors were skipped.
        propagate_skip: When skipped, let the successors be skipped too.
        retry: How often it is tried.
        on_failure: What becomes of the others when it has failed for good.
        timeout: Seconds that an attempt may take.

    Raises:
        WorkflowDefinitionError: a callback cannot be called so.
    """

    def __init__(  # noqa: PLR0913 - all that every task takes, so that an editor can show it
        self,
        name: str,
        callback: Callback = None,
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
        super().__init__(
            name,
            queue=queue,
            callback_init=callback_init,
            callback_finally=callback_finally,
            force_run=force_run,
            propagate_skip=propagate_skip,
            retry=retry,
            on_failure=on_failure,
            timeout=timeout,
        )
        check_callback(callback, CALLBACK_ARGUMENTS, of=f"The callback of task {name!r}")
        self.callback = callback

    def run(
        self,
        data: MultiTaskData,
        store: DataStoreDocument,
        signal: TaskSignal,
        context: TaskContext,
        **kwargs: Any,  # noqa: ARG002 - as in every task
    ) -> Action | None:
        """Call the callback."""
        return None if self.callback is None else self.callback(data, store, signal, context)
