"""How a `BashTask` runs: its parameters become a program, and what becomes of that goes to its callbacks."""

import math
import os
import signal as signal_module  # `signal` is an argument of every task
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import fields
from typing import IO, TYPE_CHECKING, TextIO, TypeAlias

from nflow.errors import ProgramFailed, ProgramNotStarted, ProgramTimedOut
from nflow.models.datastore import DataStoreDocument
from nflow.models.task_context import TaskContext
from nflow.models.task_data import MultiTaskData
from nflow.models.task_parameters import TaskParameters
from nflow.models.task_signal import TaskSignal
from nflow.models.times import fault_of
from nflow.programs.launch import Launch
from nflow.programs.program import Ended, Program
from nflow.programs.streams import Sink

if TYPE_CHECKING:  # it imports this module only when it runs
    from nflow.tasks.bash_task import BashTask, LineCallback

_Around: TypeAlias = tuple[MultiTaskData, DataStoreDocument, TaskSignal, TaskContext]


def run_program(
    task: "BashTask", data: MultiTaskData, store: DataStoreDocument, signal: TaskSignal, context: TaskContext
) -> None:
    """Run the program of a task to its end, and call the task's callbacks on the way.

    Raises:
        ProgramNotStarted: it cannot be started as the parameters say.
        ProgramTimedOut: it took too long, and was ended.
        ProgramFailed: it is to be checked, and its exit code was not 0.
    """
    params = task.params.eval(data, store, exclude=["command"])
    params.command = task.params.eval_single("command", data, store)
    around = (data, store, signal, context)
    with ExitStack() as files:
        out = _sink(files, sys.stdout, task.callback_stdout, around, is_kept=params.capture_stdout)
        err = _sink(
            files, sys.stderr, task.callback_stderr, around, is_kept=params.capture_stderr, is_read=params.check
        )
        ended, program = _follow(task, params, around, out, err)
        if ended is Ended.TIMED_OUT:
            raise ProgramTimedOut(
                f"The program of task {task.name!r} was ended because it took longer than {params.timeout:g} seconds. "
                "Give it a longer timeout=, or less to do."
            )
        if task.callback_end is not None:
            task.callback_end(program.returncode, _rewound(out.file), _rewound(err.file), *around)
    if params.check and program.returncode != 0 and ended is Ended.BY_ITSELF:
        raise ProgramFailed(_failure(task.name, program))


def _follow(task: "BashTask", params: TaskParameters, around: _Around, out: Sink, err: Sink) -> tuple[Ended, Program]:
    """Start the program and see it through to its end."""
    given, pause = _input(params.stdin, task.name), _seconds(params, "refresh_time", task.name)
    timeout = _seconds(params, "timeout", task.name)
    launch = Launch(**{field.name: params[field.name] for field in fields(Launch)})
    with Program.start(launch, out=out, err=err, given=given, of=f"Task {task.name!r}") as program:
        if task.callback_process is not None:
            task.callback_process(program.pid, *around)
        return program.follow(around[2], pause=math.inf if pause is None else pause, timeout=timeout), program


def _sink(
    files: ExitStack,
    ours: TextIO | None,
    callback: "LineCallback",
    around: _Around,
    *,
    is_kept: bool,
    is_read: bool = False,
) -> Sink:
    return Sink(
        ours=ours,
        file=files.enter_context(tempfile.TemporaryFile()) if is_kept else None,
        each_line=None if callback is None else lambda line: callback(line, *around),
        is_read=is_read,
    )


def _rewound(file: IO[bytes] | None) -> IO[bytes] | None:
    if file is not None:
        file.seek(0)
    return file


def _input(stdin: object, name: str) -> bytes | None:
    match stdin:
        case None | bytes():
            return stdin
        case str():
            return os.fsencode(stdin)
    raise ProgramNotStarted(f"The stdin of task {name!r} is a {type(stdin).__name__}. Give it text, or bytes.")


def _seconds(params: TaskParameters, key: str, name: str) -> float | None:
    """A time; None: without end."""
    value = params[key]
    if fault := fault_of(key, value):
        raise ProgramNotStarted(f"{key}={value!r} of task {name!r} {fault}")
    return None if value is None or math.isinf(value) else float(value)


def _failure(name: str, program: Program) -> str:
    code, words = program.returncode, program.last_words
    ended = f"was killed by {_signal_name(-code)}" if code < 0 else f"ended with exit code {code}"
    last = f", after it wrote to stderr: {words.splitlines()[-1]}" if words else "."
    more = f"\nThe end of its stderr:\n{words}" if "\n" in words else ""
    return f"The program of task {name!r} {ended}{last}\nMend it, or drop check=True if that is no failure.{more}"


def _signal_name(number: int) -> str:
    try:
        return signal_module.Signals(number).name
    except ValueError:
        return f"signal {number}"
