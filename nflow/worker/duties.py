"""What a worker has been told to do."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from nflow.engine.upkeep.sweep import Retention
from nflow.worker.capture import MOST_BYTES

#: Queues whose jobs need no slots, by custom: a worker that serves only these starts none before they are needed.
_DRIVERS_ONLY = frozenset({"workflow", "dag"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Duties:
    """Which queues to serve, and how much at once."""

    queues: tuple[str, ...] = ("workflow", "dag", "task")
    slots: int = 2
    tasks_per_slot: int = 1000  #: a slot is replaced by a fresh one after so many
    slot_memory: int | None = None  #: bytes that a slot may use; None: as many as there are
    recycle_memory: int = 1024**3  #: a slot that keeps more bytes than this after a task is replaced
    most_output: int = MOST_BYTES  #: bytes that are kept of what one attempt writes
    kill_after: float = 5.0  #: seconds between SIGTERM and SIGKILL
    listed: bool = True  #: tell others of itself from time to time
    retention: Retention | None = None  #: how long to keep what is over; None: others see to it
    reminds: bool = True  #: look for jobs that the server has forgotten; on a bus that forgets none, that is needless
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)  #: of the slots; holds no secrets

    @property
    def expects_tasks(self) -> bool:
        """Whether slots are likely to be needed."""
        return not _DRIVERS_ONLY.issuperset(self.queues)
