"""What is recorded of an attempt, given how it ended and whether its worker has ended it. Nothing is written here."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from nflow.core.events import Provenance, RemoteError, TaskCancelled, TaskEvent, TaskFailed
from nflow.core.jobs import TaskJob
from nflow.errors import TaskTimedOut
from nflow.wire.messages import unpack_events
from nflow.worker.death import Death
from nflow.worker.ending import Verdict, Why
from nflow.worker.slot import Outcome, Slot


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """Judges one execution."""

    task: TaskJob
    execution: int
    kill_after: float  #: seconds between SIGTERM and SIGKILL
    provenance: Callable[[int], Provenance]  #: of what ran in the process of that number until now

    def judged(self, slot: Slot, result: Outcome | Death, verdict: Verdict | None) -> TaskEvent | bytes | None:
        """The event, or what the slot has packed of it; None where another worker is to begin the attempt again."""
        timed_out = verdict is not None and verdict.why is Why.TIMED_OUT
        if isinstance(result, Outcome) and not result.failed and not timed_out:
            return result.events  # it came to its end before it could be ended
        match verdict:
            case None:
                return self._failed(slot, result)
            case Verdict(why=Why.STOPPED, words=words, killed=killed):
                provenance, attempt = self.provenance(slot.pid), self.task.attempt
                reason = f"{words} and was {'killed' if killed else 'ended'}"
                return TaskCancelled(task=self.task.task, reason=reason, provenance=provenance, attempt=attempt)
            case Verdict(why=Why.TIMED_OUT):
                return self._timed_out(slot, result, verdict)
        return None

    def failure(self, error: RemoteError, slot: Slot | None = None, death: Death | None = None) -> TaskFailed:
        """That it has failed so."""
        provenance = self.provenance(0 if slot is None else slot.pid)
        return TaskFailed(
            task=self.task.task,
            attempt=self.task.attempt,
            execution=self.execution,
            error=error,
            provenance=provenance if death is None else replace(provenance, peak_memory_bytes=death.peak_memory_bytes),
            output=() if slot is None else slot.last_lines,
            exit_code=None if death is None else death.exit_code,
        )

    def _failed(self, slot: Slot, result: Outcome | Death) -> TaskFailed:
        if isinstance(result, Outcome):
            return replace(_failure_in(result), output=slot.last_lines)
        words = f"{result.words[0].upper()}{result.words[1:]}."
        return self.failure(RemoteError(type="SlotDied", message=words, hint=result.hint), slot, result)

    def _timed_out(self, slot: Slot, result: Outcome | Death, verdict: Verdict) -> TaskFailed:
        message = f"Task '{self.task.name}' {verdict.words} and was ended."
        if verdict.killed:
            message += f" {self.kill_after:g} s after SIGTERM it was still there: it was killed."
        told = result if isinstance(result, Outcome) and result.failed else None
        error = RemoteError(
            type=TaskTimedOut.__name__,
            message=message,
            traceback="" if told is None else _failure_in(told).error.traceback,
            mro=tuple(f"{kind.__module__}.{kind.__qualname__}" for kind in TaskTimedOut.__mro__[:-1]),
            hint="Give it a longer timeout=, or less to do.",
        )
        return self.failure(error, slot, result if isinstance(result, Death) else None)


def _failure_in(outcome: Outcome) -> TaskFailed:
    [failed] = unpack_events(outcome.events)
    assert isinstance(failed, TaskFailed)
    return failed
