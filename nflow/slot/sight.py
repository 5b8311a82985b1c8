"""What a task sees of its run: the `store` and the `signal` of its callbacks. In the child process."""

import select
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from nflow.blobs import files
from nflow.blobs.port import lost
from nflow.core.dataset import FILE, Ref
from nflow.core.jobs import TaskJob
from nflow.errors import BlobFolderUnusable, BlobLost
from nflow.models.dag import Dag
from nflow.models.datastore import DataStoreDocumentSection
from nflow.models.task_data import MultiTaskData
from nflow.slot.bulk import Receiving, send_value
from nflow.slot.exchange import Packer, grown
from nflow.slot.pipe import Calls
from nflow.wire.messages import pack_input
from nflow.wire.tree import pack_ref, pack_tree, unpack_ref, unpack_tree
from nflow.wire.values import Encoded

_DATA = DataStoreDocumentSection.Data

_LONGEST_STEP_BITS = 63


class PipeBlobs:
    """Large values, by way of the worker, or in a folder that all machines share."""

    def __init__(self, calls: Calls) -> None:
        self.terms = calls.terms
        self._calls = calls

    def get_blob(self, ref: Ref, what: str = "A value") -> memoryview:
        """The bytes of a large value, in memory that can be written to."""
        if ref.scheme == FILE:
            return self._from_folder(ref, what)
        for may_be_cached in (True, False):  # a copy that turns out to be damaged is fetched once more
            with Receiving(ref.size_bytes) as receiving:
                try:
                    self._calls.call("get_blob", pack_ref(ref), may_be_cached, passing=receiving.take)
                except BlobLost:
                    raise lost(ref, what) from None
                if receiving.is_what(ref.digest):
                    return receiving.value
        raise lost(ref, what, "damaged")

    def put_blob(self, value: Encoded, digest: str | None = None) -> Ref:
        """Store a large value for as long as the run keeps its data."""
        if self.terms.folder:
            folder = Path(self.terms.folder)
            return files.write(folder, self._calls.run, value.parts, type_=value.type, digest=digest)
        size_bytes = value.size_bytes
        passing = partial(send_value, parts=value.parts, size_bytes=size_bytes, digest=digest)
        return unpack_ref(self._calls.call("put_blob", value.type, size_bytes, passing=passing))

    def _from_folder(self, ref: Ref, what: str) -> memoryview:
        if not self.terms.folder:
            raise BlobFolderUnusable(
                f"{what} is in a shared folder, and this worker knows none: set blobs.url here as on the other workers."
            )
        return files.read(Path(self.terms.folder), ref, what)


class PipeStore:
    """The data that all tasks of a run share; see `DataStoreDocument`."""

    def __init__(self, calls: Calls, job: TaskJob) -> None:
        self._calls = calls
        self._blobs = PipeBlobs(calls)
        self._writer = f"{job.dag}/{job.task}"
        self._changes = 0

    def get(self, key: str, default: object = None, *, section: str = _DATA) -> Any:
        """The value at a dotted `key`, or `default` where there is none."""
        for is_last in (False, False, True):
            tree = self._calls.call("store_get", str(section), key)
            try:
                return default if tree is None else grown(unpack_tree(tree), self._blobs)
            except BlobLost:  # somebody has put another value there meanwhile, and the old one is gone
                if is_last:
                    raise
        raise AssertionError

    def set(self, key: str, value: object, *, section: str = _DATA) -> bool:
        """Put `value` at a dotted `key`, making the path to it."""
        self._calls.call("store_set", str(section), [[key, self._packed(key, value)]])
        return True

    def update(self, values: Mapping[str, object], *, section: str = _DATA) -> bool:
        """Put each value at its key, one after the other."""
        self._calls.call("store_set", str(section), [[key, self._packed(key, value)] for key, value in values.items()])
        return True

    def delete(self, key: str, *, section: str = _DATA) -> bool:
        """Remove what is at a dotted `key`; whether there was anything."""
        return bool(self._calls.call("store_delete", str(section), key))

    def keys(self, prefix: str = "", *, section: str = _DATA) -> list[str]:
        """The dotted keys of all values, or of those below `prefix`, sorted."""
        return list(self._calls.call("store_keys", str(section), prefix))

    def push(self, key: str, value: object, *, section: str = _DATA, once: bool | str = False) -> bool:
        """Append `value` as one element to the list at `key`, which is made if need be."""
        element = pack_tree([Packer(self._blobs).value(value, _at(key))])
        self._calls.call("store_extend", str(section), key, element, self._identity(once))
        return True

    def extend(self, key: str, values: Sequence[object], *, section: str = _DATA, once: bool | str = False) -> bool:
        """Append each element of a list to the list at `key`; anything but a list changes nothing and gives False."""
        if not isinstance(values, list):
            return False
        self._calls.call("store_extend", str(section), key, self._packed(key, values), self._identity(once))
        return True

    def increment(self, key: str, by: float = 1, *, section: str = _DATA, once: bool | str = False) -> bool:
        """Add to the number at `key`, which begins with 0."""
        if isinstance(by, bool) or not isinstance(by, int | float):
            raise TypeError(f"increment({key!r}) takes a number to add, not {by!r}.")
        if isinstance(by, int) and by.bit_length() > _LONGEST_STEP_BITS:
            raise OverflowError(f"increment({key!r}) adds numbers of 64 bits, not {by}. Use get and set, or floats.")
        self._calls.call("store_increment", str(section), key, by, self._identity(once))
        return True

    def compare_and_set(self, key: str, expected: object, value: object, *, section: str = _DATA) -> bool:
        """Put `value` at `key` if `expected` is there, None standing for nothing; whether it was."""
        packed = None if expected is None else self._packed(key, expected)
        return bool(self._calls.call("store_compare", str(section), key, packed, self._packed(key, value)))

    def _packed(self, key: str, value: object) -> bytes:
        return pack_tree(Packer(self._blobs).tree(value, _at(key)))

    def _identity(self, once: bool | str) -> list[object] | None:
        """Who makes this change, and its number: the same in every attempt. A name of the user's is a writer itself."""
        if once is False:
            return None
        if isinstance(once, str):
            return [f"key {once}", 1]
        self._changes += 1
        return [self._writer, self._changes]


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
        name = _name(dag)
        key = f"{self._job.dag}/{self._job.task}/{self._started}"
        if self._job.renewed:  # what it started before, with other data perhaps, is over for good
            key = f"{key}@{self._job.renewed}"
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
        return not self._calls.call("running", [_name(name)])

    def stop_dag(self, name: str | None = None) -> bool:
        """Stop one dag run, by default the caller's own."""
        self._calls.call("stop_dag", self._job.dag if name is None else _name(name))
        return True

    def stop_workflow(self) -> bool:
        """Stop the whole run."""
        self._calls.call("stop_workflow")
        return True


def _names(names: Sequence[str | None]) -> list[str]:
    """Names of dag runs; `start_dag` gives None instead of one where the run is stopping."""
    listed = [names] if isinstance(names, str | Dag) else names
    return [_name(name) for name in listed if name is not None]


def _name(dag: object) -> str:
    match dag:
        case Dag():
            return dag.name
        case str():
            return dag
    raise TypeError(f"Give the name of a dag, as text such as 'sub_dag' or 'sub_dag:1', not {dag!r}.")


def _at(key: object) -> str:
    return f"The value for {str(key)[:100]!r} of the store"
