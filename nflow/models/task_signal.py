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

    def start_dag(self, dag: Dag | str, *, data: MultiTaskData | None = None) -> str | None:
        """Start another run of a dag of this workflow and return its running name, None where the run is stopping."""

    def join_dags(self, names: Sequence[str] | None = None) -> bool:
        """Return when none of these dag runs is running; without names, when none but the caller's own is."""

    def stop_dag(self, name: str | None = None) -> bool:
        """Stop one dag run, by default the caller's own."""

    def stop_workflow(self) -> bool:
        """Stop the whole run."""
