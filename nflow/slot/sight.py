"""What a task sees of its run: the `store` and the `signal` of its callbacks. In the child process."""

import select
from collections.abc import Sequence

from nflow.core.dataset import Ref
from nflow.core.jobs import TaskJob
from nflow.models.dag import Dag
from nflow.models.datastore import DataStoreDocumentSection
from nflow.models.task_data import MultiTaskData
from nflow.slot.exchange import Packer, grown
from nflow.slot.pipe import Calls
from nflow.wire.messages import pack_input
from nflow.wire.tree import pack_ref, pack_tree, unpack_ref, unpack_tree

_DATA = DataStoreDocumentSection.Data


class PipeBlobs:
    """Large values, by way of the worker."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def get_blob(self, ref: Ref) -> bytes:
        """The bytes of a large value."""
        data: bytes = self._calls.call("get_blob", pack_ref(ref))
        return data

    def put_blob(self, data: bytes, type: str) -> Ref:  # noqa: A002 - the field's name
        """Store a large value for as long as the run keeps its data."""
        return unpack_ref(self._calls.call("put_blob", data, type))


class PipeStore:
    """The data that all tasks of a run share."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._blobs = PipeBlobs(calls)

    def get(self, key: str, default: object = None, *, section: str = _DATA) -> object:
        """The value at a dotted `key`, or `default` where there is none."""
        tree = self._calls.call("store_get", str(section), key)
        return default if tree is None else grown(unpack_tree(tree), self._blobs)

    def set(self, key: str, value: object, *, section: str = _DATA) -> bool:
        """Put `value` at a dotted `key`, making the path to it."""
        self._calls.call("store_set", str(section), key, pack_tree(Packer(self._blobs).tree(value)))
        return True

    def push(self, key: str, value: object, *, section: str = _DATA) -> bool:
        """Append `value` as one element to the list at `key`, which is made if need be."""
        self._calls.call("store_extend", str(section), key, pack_tree([Packer(self._blobs).value(value)]))
        return True

    def extend(self, key: str, values: Sequence[object], *, section: str = _DATA) -> bool:
        """Append each element of a list to the list at `key`; anything but a list changes nothing and gives False."""
        if not isinstance(values, list):
            return False
        self._calls.call("store_extend", str(section), key, pack_tree(Packer(self._blobs).tree(values)))
        return True


class PipeSignal:
    """A task's way to change its own run."""

    def __init__(self, calls: Calls, stop: int, job: TaskJob) -> None:
        self._calls = calls
        self._stop = stop
        self._job = job
        self._started = 0

    @property
    def is_stopped(self) -> bool:
        """Whether this dag run is to stop. A local look: ask as often as you like."""
        look = select.poll()
        look.register(self._stop, select.POLLIN)
        return bool(look.poll(0))

    def fileno(self) -> int:
        """A file that is readable once this dag run is to stop: for those who wait for several things at once."""
        return self._stop

    def start_dag(self, dag: Dag | str, *, data: MultiTaskData | None = None) -> str | None:
        """Start another run of a dag of this workflow, and return its running name; None where the run is stopping.

        The n-th call of a task is the same request in every attempt: a repeated attempt gets the dag it started before.
        """
        if data is not None and not isinstance(data, MultiTaskData):
            raise TypeError(f"start_dag(data=...) takes a MultiTaskData, such as the task's own data, not {data!r}.")
        self._started += 1
        name = dag if isinstance(dag, str) else dag.name
        key = f"{self._job.dag}/{self._job.task}/{self._started}"
        packed = None if data is None else pack_input(Packer(PipeBlobs(self._calls)).input(data))
        running: str | None = self._calls.call("start_dag", name, key, packed)
        return running

    def join_dags(self, names: Sequence[str] | None = None, *, timeout: float | None = None) -> bool:
        """Return when none of these dag runs is running; without names, when none but the caller's own is.

        Gives False if that did not come within `timeout` seconds.
        """
        joined: bool = self._calls.call("join_dags", None if names is None else _names(names), timeout)
        return joined

    def join_any(self, names: Sequence[str], *, timeout: float | None = None) -> list[str]:
        """Return those of these dag runs that are over, when at least one is; none of them after `timeout` seconds."""
        over: list[str] = self._calls.call("join_any", _names(names), timeout)
        return over

    def is_completed(self, name: str) -> bool:
        """Whether this dag run is over, however it ended."""
        return not self._calls.call("running", [name])

    def stop_dag(self, name: str | None = None) -> bool:
        """Stop one dag run, by default the caller's own."""
        self._calls.call("stop_dag", name or self._job.dag)
        return True

    def stop_workflow(self) -> bool:
        """Stop the whole run."""
        self._calls.call("stop_workflow")
        return True


def _names(names: Sequence[str | None]) -> list[str]:
    """Names of dag runs; `start_dag` gives None instead of one where the run is stopping."""
    return [names] if isinstance(names, str) else [name for name in names if name is not None]
