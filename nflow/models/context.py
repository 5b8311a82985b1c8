"""What a task sees besides its data: where it runs, the run's store, and the run itself.

`Store` and `Signal` say what a callback may rely on; the worker brings the objects that do it.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Protocol

from nflow.models.dag import Dag
from nflow.models.data import MultiTaskData
from nflow.models.section import DataStoreDocumentSection


@dataclass(frozen=True, slots=True)
class TaskContext:
    """Which task of which run this is, and on which machine."""

    task_name: str
    dag_name: str  #: the running name, `main_dag:1`
    workflow_name: str
    workflow_id: str
    worker_hostname: str

    def to_dict(self) -> dict[str, str]:
        """The fields by name, ready for `str.format`."""
        return asdict(self)


class Store(Protocol):
    """The data that all tasks of a run share. A key is a path, with dots between its parts."""

    def get(self, key: str, default: object = None, *, section: str = DataStoreDocumentSection.Data) -> object:
        """The value at `key`, or `default` where there is none."""

    def set(self, key: str, value: object, *, section: str = DataStoreDocumentSection.Data) -> bool:
        """Put `value` at `key`, making the path to it."""

    def push(self, key: str, value: object, *, section: str = DataStoreDocumentSection.Data) -> bool:
        """Append `value` as one element to the list at `key`, which is made if need be."""

    def extend(self, key: str, values: Sequence[object], *, section: str = DataStoreDocumentSection.Data) -> bool:
        """Append each of `values` to the list at `key`, which is made if need be."""


class Signal(Protocol):
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
