"""What came of a workflow that was played: outcomes, data, output, store."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Literal, TypeAlias

from nflow.core.events import RemoteError

TaskState: TypeAlias = Literal["succeeded", "failed", "aborted", "skipped", "cancelled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayedTask:
    """How one task ended."""

    dag: str  #: the running name of its dag, `main_dag:1`
    name: str
    state: TaskState
    data: Mapping[str, object] = field(default_factory=dict)  #: what it handed on
    attempts: int = 0  #: how often it was tried; 0 for one that did not run
    output: str = ""  #: what it printed, in all attempts
    error: RemoteError | None = None  #: why it failed: `type`, `message`, `traceback`
    reason: str = ""  #: the words of its StopTask or AbortWorkflow, or why it was cancelled


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """A run that has ended.

    `played["reduce"]` is the task of that name; where several dag runs have one, `played["sub_dag:2/reduce"]`.
    """

    workflow: str
    status: Literal["succeeded", "failed", "stopped"]
    reason: str  #: why it failed or was stopped
    tasks: Sequence[PlayedTask]  #: in the order in which they ended
    store: Mapping[str, object]  #: what the run had in its store at the end

    @property
    def order(self) -> list[str]:
        """The names of the tasks that ran, in the order in which they ended."""
        return [task.name for task in self.tasks if task.state not in ("skipped", "cancelled")]

    @property
    def output(self) -> str:
        """What all tasks printed, one after the other."""
        return "".join(task.output for task in self.tasks)

    def of(self, name: str) -> list[PlayedTask]:
        """All tasks of that name, for instance those of the runs of a dag that was started many times."""
        return [task for task in self.tasks if task.name == name]

    def check(self) -> "Played":
        """This, if the run succeeded.

        Raises:
            AssertionError: it did not; the message tells the run's story.
        """
        assert self.status == "succeeded", str(self)
        return self

    def __getitem__(self, name: str) -> PlayedTask:
        found = [task for task in self.tasks if name in (task.name, f"{task.dag}/{task.name}")]
        if len(found) == 1:
            return found[0]
        full = [f"{task.dag}/{task.name}" for task in found or self.tasks]
        if found:
            raise KeyError(f"{len(found)} tasks are called {name!r}: {_some(full)}. Name the dag run too, or use of().")
        close = get_close_matches(name, [task.name for task in self.tasks], n=1)
        advice = f"Did you mean {close[0]!r}?" if close else f"There are: {_some(full)}."
        raise KeyError(f"No task {name!r} ended in this run. {advice}")

    def __str__(self) -> str:
        lines = [f"{self.workflow} {self.status}{f': {self.reason}' if self.reason else ''}"]
        for task in self.tasks:
            lines.append(f"  {task.dag}/{task.name} {task.state}{f': {task.reason}' if task.reason else ''}")
            told = task.output + (task.error.traceback or task.error.message if task.error else "")
            lines += [f"    {line}" for line in told.splitlines()]
        return "\n".join(lines)


def _some(names: Iterable[str], most: int = 10) -> str:
    listed = list(names)
    return ", ".join(listed[:most]) + (" ..." if len(listed) > most else "") if listed else "none"
