"""A task's way to change its own run, as a callback may rely on it; the worker brings the object that does it."""

from collections.abc import Sequence
from typing import Protocol

from nflow.models.dag import Dag
from nflow.models.task_data import MultiTaskData


class TaskSignal(Protocol):
    """A task's way to change its own run."""

    @property
    def is_stopped(self) -> bool:
        """Whether this dag run is to stop. A long task should look from time to time, and end."""

    def fileno(self) -> int:
        """A file that is readable once this dag run is to stop: for those who wait for several things at once."""

    def start_dag(self, dag: Dag | str, *, data: MultiTaskData | None = None) -> str | None:
        """Start another run of a dag of this workflow and return its running name, None where the run is stopping."""

    def join_dags(self, names: Sequence[str] | None = None, *, timeout: float | None = None) -> bool:
        """Return when none of these dag runs is running; without names, when none but the caller's own is.

        Gives False if that did not come within `timeout` seconds.
        """

    def join_any(self, names: Sequence[str], *, timeout: float | None = None) -> list[str]:
        """Return those of these dag runs that are over, when at least one is; none of them after `timeout` seconds."""

    def is_completed(self, name: str) -> bool:
        """Whether this dag run is over, however it ended."""

    def stop_dag(self, name: str | None = None) -> bool:
        """Stop one dag run, by default the caller's own; of a dag's name as it is defined, all its runs."""

    def stop_workflow(self) -> bool:
        """Stop the whole run."""
