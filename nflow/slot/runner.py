"""Running a task that the worker has sent: from its job and its code to its outcome, packed."""

import os
import resource
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from nflow.blobs.terms import Terms
from nflow.core.events import Provenance, TaskAborted, TaskEvent, TaskFailed, TaskSucceeded
from nflow.core.ids import WorkerId
from nflow.core.jobs import TaskJob
from nflow.errors import MissingModule
from nflow.models.execution import Aborted, Ending, Failed, Succeeded, run_task
from nflow.models.task import BaseTask
from nflow.models.task_context import TaskContext
from nflow.slot.exchange import BlobAccess, Packer, opened
from nflow.slot.failure import cut, remote_error
from nflow.slot.pipe import Calls, Pipe
from nflow.slot.sight import PipeBlobs, PipeSignal, PipeStore
from nflow.wire.code import forget_classes, unpack_code
from nflow.wire.messages import pack_events, unpack_input, unpack_job

#: Memory beyond what earlier tasks of this process have used, after which its peak is counted anew.
_PEAK_STEP_BYTES = 16 * 1024 * 1024


class TaskRunner:
    """Runs one task after another for its worker; keeps the code it was given, as bytes."""

    def __init__(
        self,
        pipe: Pipe,
        stop: int,
        settle_in: Callable[[TaskJob, int], None],
        signal: Callable[[Calls, int, TaskJob], PipeSignal] = PipeSignal,
        around: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """Make a runner.

        Args:
            pipe: Leads to the worker.
            stop: A file that is readable while the task is to stop.
            settle_in: Called before each task with its job and execution: what this process must become for it.
            signal: Makes the `signal` of a task.
            around: Entered while users' code runs.
        """
        self._pipe = pipe
        self._stop = stop
        self._code: dict[str, bytes] = {}
        self._began = 0.0  # the present task, by a clock that is never set
        self._settle_in = settle_in
        self._signal = signal
        self._around = around
        self._memory = _Memory()

    def execute(
        self,
        payload: bytes,
        input_bytes: bytes | None,
        code: bytes | None,
        execution: int,
        worker: str,
        host: str,
        terms: Mapping[str, Any],
    ) -> tuple[str, bytes]:
        """Run one task: whether it is `done` or has `failed`, and its outcome as packed events.

        `terms` are the fields of `Terms`.
        """
        job = unpack_job(payload)
        assert isinstance(job, TaskJob)
        if code is not None:
            self._code[job.code] = code
        start, self._began = time.time(), time.monotonic()
        self._memory.begin()
        self._settle_in(job, execution)
        forget_classes()
        calls = Calls(self._pipe, job.run, Terms(**terms))
        ending = self._run(job, input_bytes, host, calls)
        provenance = self._provenance(worker, host, start)
        try:
            event = self._outcome(job, ending, execution, provenance, PipeBlobs(calls))
        except Exception as error:  # noqa: BLE001 - values are packed by code of their own, which is the user's
            event = self._outcome(job, Failed(exception=error), execution, provenance, PipeBlobs(calls))
        calls.close()
        return "failed" if isinstance(event, TaskFailed) else "done", pack_events([event])

    def _run(self, job: TaskJob, input_bytes: bytes | None, host: str, calls: Calls) -> Ending:
        try:
            task = self._task(job)
            given = job.input if input_bytes is None else unpack_input(input_bytes)
            data = opened(given, PipeBlobs(calls))
        except Exception as error:  # noqa: BLE001 - user code is imported here, and may raise whatever it likes
            return Failed(exception=error)
        context = TaskContext(job.name, job.dag, job.workflow, job.run, host)
        with self._around():
            return run_task(task, data, PipeStore(calls, job), self._signal(calls, self._stop, job), context)

    def _task(self, job: TaskJob) -> BaseTask:
        shipped: Any = unpack_code(self._code[job.code], what=f"Task '{job.name}'")
        kind, state = shipped
        task: BaseTask = kind.restored(state, name=job.name, queue=job.queue)
        return task

    def _outcome(
        self, job: TaskJob, ending: Ending, execution: int, provenance: Provenance, blobs: BlobAccess
    ) -> TaskEvent:
        match ending:
            case Succeeded():
                output = Packer(blobs).dataset(ending.data)
                return TaskSucceeded(
                    task=job.task,
                    attempt=job.attempt,
                    execution=execution,
                    provenance=replace(provenance, peak_memory_bytes=self._memory.peak()),  # packing counts too
                    output=output,
                    limit=ending.limit,
                    stopped=None if ending.stopped is None else cut(ending.stopped),
                )
            case Aborted():
                return TaskAborted(
                    task=job.task,
                    attempt=job.attempt,
                    execution=execution,
                    reason=cut(ending.reason),
                    provenance=provenance,
                )
            case Failed():
                return TaskFailed(
                    task=job.task,
                    attempt=job.attempt,
                    execution=execution,
                    error=remote_error(_placed(ending.exception, provenance)),
                    provenance=provenance,
                )

    def _provenance(self, worker: str, host: str, start: float) -> Provenance:
        return Provenance(
            worker=WorkerId(worker),
            host=host,
            pid=os.getpid(),
            start=start,
            end=start + time.monotonic() - self._began,  # the clock of the host may be set meanwhile
            peak_memory_bytes=self._memory.peak(),
        )


class _Memory:
    """The peak of resident memory of one task, though the process lives longer."""

    def __init__(self) -> None:
        self._before = _peak_bytes()

    def begin(self) -> None:
        """A task begins. Starting the count anew costs a page walk, so it is done only after a task that used much."""
        now = _peak_bytes()
        if now > self._before + _PEAK_STEP_BYTES:
            with suppress(OSError):
                Path("/proc/self/clear_refs").write_text("5")
            self._before = _peak_bytes()

    def peak(self) -> int:
        """The peak since then, in bytes."""
        return _peak_bytes()


def _peak_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _placed(error: BaseException, provenance: Provenance) -> BaseException:
    """What somebody who is to install a module must know: where."""
    if not isinstance(error, MissingModule):
        return error
    where = f"(worker {provenance.worker} on {provenance.host}, {sys.executable})"
    return MissingModule(f"{error} {where}").with_traceback(error.__traceback__)
