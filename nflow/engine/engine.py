"""What every driver of one worker shares: the bus and its names, blobs, specs, the store, and who holds what."""

from dataclasses import dataclass, field
from pathlib import Path

from nflow.blobs.cache import BlobCache
from nflow.blobs.files import FileBlobs
from nflow.blobs.terms import Terms
from nflow.bus.port import Bus
from nflow.core.dataset import INLINE, INLINE_SIZE_BYTES, Ref, TaskInput
from nflow.core.ids import RunId, WorkerId
from nflow.core.spec import WorkflowSpec
from nflow.engine.blobs import Blobs
from nflow.engine.holdings import Holdings
from nflow.engine.reconcile import Reconciler
from nflow.engine.runs import RunIndex
from nflow.engine.specs import Cache, spec_cache
from nflow.store.port import Store
from nflow.wire.messages import pack_input, unpack_input
from nflow.wire.subjects import Subjects


@dataclass(slots=True)
class Engine:
    """The shared parts, made once for a worker or a client."""

    bus: Bus
    worker: WorkerId
    store: Store
    reconciler: Reconciler = field(default_factory=Reconciler)
    terms: Terms = field(default_factory=Terms)  #: on which values travel
    cache_size: int = 0  #: bytes of values that may be kept near the slots
    subjects: Subjects = field(init=False)
    blobs: Blobs = field(init=False)
    cache: BlobCache = field(init=False)
    specs: Cache[WorkflowSpec] = field(init=False)
    holdings: Holdings = field(init=False)
    index: RunIndex = field(init=False)

    def __post_init__(self) -> None:
        self.subjects = Subjects(self.bus.namespace)
        files = FileBlobs(Path(self.terms.folder)) if self.terms.folder else None
        self.blobs = Blobs(self.bus, self.subjects, files)
        self.store.on_void = self.blobs.remove
        self.cache = BlobCache(self.blobs.server.get, self.cache_size)
        self.specs = spec_cache(self.blobs)
        self.holdings = Holdings(self.bus, self.worker, self.subjects)
        self.index = RunIndex(self.bus, self.subjects)

    async def pack_up(self, run: RunId, task_input: TaskInput | None) -> tuple[TaskInput | None, Ref | None]:
        """`task_input` as a message may carry it: itself, or a reference where it is large."""
        if task_input is None or is_light(task_input, self.terms.inline_size):
            return task_input, None
        return None, await self.blobs.put(run, pack_input(task_input), "input")

    async def unpack(self, task_input: TaskInput | None, blob: Ref | None) -> TaskInput | None:
        """The reverse of `pack_up`."""
        return task_input if blob is None else unpack_input(await self.blobs.get(blob))

    def close(self) -> None:
        """Hold nothing more."""
        self.reconciler.close()
        self.holdings.close()


def is_light(given: TaskInput, room: int = INLINE_SIZE_BYTES) -> bool:
    """Whether a message may carry this itself. Names count too: a join of 100 000 tasks has as many aliases."""
    room -= sum(map(len, given.aliases)) + len(given.datasets)
    for dataset in given.datasets:
        room -= sum(map(len, dataset.history)) + sum(map(_weight, dataset.values, dataset.values.values()))
        if room < 0:
            return False
    return room >= 0


def _weight(key: str, ref: Ref) -> int:
    return len(key) + (ref.size_bytes if ref.scheme == INLINE else len(ref.where))
