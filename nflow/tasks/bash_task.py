"""A task that runs a program."""

import os
from collections.abc import Callable, Mapping
from typing import IO, TYPE_CHECKING, Any, TypeAlias, TypeVar

from nflow.errors import WorkflowDefinitionError
from nflow.models.action import Action
from nflow.models.callbacks import check_callback
from nflow.models.datastore import DataStoreDocument
from nflow.models.retry import Retry
from nflow.models.task import CALLBACK_ARGUMENTS, BaseTask, FinallyCallback, InitCallback
from nflow.models.task_context import TaskContext
from nflow.models.task_data import MultiTaskData
from nflow.models.task_parameters import TaskParameters
from nflow.models.task_signal import TaskSignal
from nflow.models.times import fault_of

if TYPE_CHECKING:  # see `run`
    from nflow.programs.launch import Command, Text

T = TypeVar("T")
Given: TypeAlias = T | Callable[[MultiTaskData, DataStoreDocument], T]

ProcessCallback: TypeAlias = Callable[[int, MultiTaskData, DataStoreDocument, TaskSignal, TaskContext], object] | None
LineCallback: TypeAlias = Callable[[str, MultiTaskData, DataStoreDocument, TaskSignal, TaskContext], object] | None
EndCallback: TypeAlias = (
    Callable[
        [int, IO[bytes] | None, IO[bytes] | None, MultiTaskData, DataStoreDocument, TaskSignal, TaskContext], object
    ]
    | None
)


class BashTask(BaseTask):
    """Runs a command line in a shell, or a program without one.

    All arguments from `command` to `env_update` but the callbacks are values, or functions of (data, store) that give
    the value when the task runs; `command` is asked for last. A program that ends with an exit code other than 0 does
    not make the task fail, unless `check` is set. When the run is stopped, or a callback raises something, the program
    ends with everything that it has started.

    Args:
        name: What limits, aliases and people call the task.
        command: A line for `/bin/sh`, or a list of a program and its arguments, which needs no shell.
        cwd: The folder it runs in.
        env: Replaces the environment.
        user: The user to run it as, by number or name, with that user's groups. Only root may.
        group: The group to run it as, by number or name, and no other.
        stdin: What it is given to read, text or bytes.
        refresh_time: Seconds between two looks at a `signal` that cannot tell by itself that the run is stopped;
            infinite: none.
        capture_stdout: Keep what it writes, for `callback_end`.
        capture_stderr: The same for its errors.
        callback_process: Called once it runs with (pid, data, store, signal, context).
        callback_end: Called when it has ended, with (returncode, stdout_file, stderr_file, data, store, signal,
            context). The files are binary, and None unless captured. A returncode of -15 means: ended by signal 15.
        callback_stdout: Called for each line that it writes with (line, data, store, signal, context).
        callback_stderr: The same for its errors.
        timeout: Seconds after which it is ended and the task fails. None, or infinite: it may take its time.
        check: Let the task fail when the exit code is not 0.
        executable: Another shell, such as "/bin/bash".
        env_update: Laid over the environment.
        queue: As in `BaseTask`, and so are all the others.
        callback_init: Called before.
        callback_finally: Called after, however it ended.
        force_run: Run even where all predecessors were skipped.
        propagate_skip: When skipped, let the successors be skipped too.
        retry: How often it is tried.
        on_failure: What becomes of the others when it has failed for good.

    Raises:
        WorkflowDefinitionError: there is no command, a time is none, or a callback cannot be called so.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - a program has many sides; those by position are Lightflow's
        self,
        name: str,
        command: "Given[Command]",
        cwd: "Given[Text | None]" = None,
        env: Given[Mapping[str, str] | None] = None,
        user: Given[int | str | None] = None,
        group: Given[int | str | None] = None,
        stdin: Given[str | bytes | None] = None,
        refresh_time: Given[float] = 0.1,
        capture_stdout: Given[bool] = False,
        capture_stderr: Given[bool] = False,
        callback_process: ProcessCallback = None,
        callback_end: EndCallback = None,
        callback_stdout: LineCallback = None,
        callback_stderr: LineCallback = None,
        *,
        timeout: Given[float | None] = None,
        check: Given[bool] = False,
        executable: "Given[Text | None]" = None,
        env_update: Given[Mapping[str, str] | None] = None,
        queue: str = "task",
        callback_init: InitCallback = None,
        callback_finally: FinallyCallback = None,
        force_run: bool = False,
        propagate_skip: bool = True,
        retry: Retry | None = None,
        on_failure: str | None = None,
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
        )
        if not command or not (callable(command) or isinstance(command, str | bytes | os.PathLike | list | tuple)):
            raise WorkflowDefinitionError(
                f"The command of task {name!r} is {command!r}. Give it a line for the shell, a list of a program and "
                "its arguments, or a function of (data, store) that returns one of these."
            )
        line, end = ("line", *CALLBACK_ARGUMENTS), ("returncode", "stdout_file", "stderr_file", *CALLBACK_ARGUMENTS)
        check_callback(callback_process, ("pid", *CALLBACK_ARGUMENTS), of=f"callback_process of task {name!r}")
        check_callback(callback_end, end, of=f"callback_end of task {name!r}")
        check_callback(callback_stdout, line, of=f"callback_stdout of task {name!r}")
        check_callback(callback_stderr, line, of=f"callback_stderr of task {name!r}")
        self.params = TaskParameters(
            command=command,
            cwd=cwd,
            env=env,
            user=user,
            group=group,
            stdin=stdin,
            refresh_time=refresh_time,
            capture_stdout=capture_stdout,
            capture_stderr=capture_stderr,
            timeout=timeout,
            check=check,
            executable=executable,
            env_update=env_update,
        )
        for key, value in self.params.items():
            if callable(value):
                check_callback(value, ("data", "store"), of=f"{key} of task {name!r}")
            elif key in {"timeout", "refresh_time"} and (fault := fault_of(key, value)):
                raise WorkflowDefinitionError(f"{key}={value!r} of task {name!r} {fault}")
        self.callback_process = callback_process
        self.callback_end = callback_end
        self.callback_stdout = callback_stdout
        self.callback_stderr = callback_stderr

    def run(
        self,
        data: MultiTaskData,
        store: DataStoreDocument,
        signal: TaskSignal,
        context: TaskContext,
        **kwargs: Any,  # noqa: ARG002 - as in every task
    ) -> Action:
        """Run the program to its end."""
        from nflow.tasks.running import run_program  # noqa: PLC0415 - takes 15 ms, of tasks that run no program too

        run_program(self, data, store, signal, context)
        return Action(data)
