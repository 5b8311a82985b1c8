"""How a run has ended, or how far it is: what `wait` and `result` return."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from nflow.core.ids import RunId
from nflow.engine.runs import RunEntry
from nflow.errors import RunFailed
from nflow.view.run import Failure, RunView


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFailure:
    """A task that failed for good: where, and why."""

    dag: str
    task: str
    attempt: int
    execution: int
    worker: str
    host: str
    pid: int
    seconds: float
    peak_memory_bytes: int
    exit_code: int | None
    type: str  #: the class of the error
    message: str
    hint: str
    traceback: str
    output: tuple[str, ...]  #: the last lines that it wrote

    @classmethod
    def of(cls, failure: Failure) -> "TaskFailure":
        """As a view of the run has it."""
        event = failure.event
        error, who = event.error, event.provenance
        return cls(
            dag=failure.dag,
            task=event.task,
            attempt=event.attempt,
            execution=event.execution,
            worker=who.worker,
            host=who.host,
            pid=who.pid,
            seconds=round(max(who.end - who.start, 0.0), 6),
            peak_memory_bytes=who.peak_memory_bytes,
            exit_code=event.exit_code,
            type=error.type,
            message=error.message,
            hint=error.hint,
            traceback=error.traceback,
            output=event.output,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A run, as it was when somebody asked."""

    run: RunId
    workflow: str
    status: str  #: waiting running stopping succeeded failed stopped
    reason: str = ""
    seconds: float | None = None  #: that it took, since it was started or last retried; None while it goes on
    tasks: Mapping[str, int] = field(default_factory=dict)  #: how many of them have succeeded, failed, …
    failures: tuple[TaskFailure, ...] = ()  #: the first ones

    @property
    def succeeded(self) -> bool:
        """Whether it has ended well."""
        return self.status == "succeeded"

    def require_success(self) -> "Result":
        """This result.

        Raises:
            RunFailed: the run failed, was stopped, or goes on.
        """
        if self.succeeded:
            return self
        why = f": {self.reason}" if self.reason else ""
        raise RunFailed(f"Run {self.run} ({self.workflow}) is {self.status}{why}. More: nflow status {self.run}")


def result_of(entry: RunEntry, view: RunView, *, opening: int = 0) -> Result:
    """What a view of a run has, and its entry where it goes on; an end before its retry `opening` is none."""
    finished = view.finished if view.finished and view.finished.opening >= opening else None
    return Result(
        run=entry.run,
        workflow=entry.workflow,
        status=finished.status.value if finished else entry.state if entry.is_active else "running",
        reason=finished.reason if finished else entry.reason if entry.is_active else "",
        seconds=round(view.seconds, 6) if finished else None,
        tasks=dict(view.counts),
        failures=tuple(map(TaskFailure.of, view.failures)),
    )
