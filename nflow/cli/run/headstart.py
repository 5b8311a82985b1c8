"""A head start: what takes its time starts before the parts of nflow that will use it are even imported."""

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from types import TracebackType

from nflow.config import Settings, slot_environment
from nflow.errors import NflowError
from nflow.server import Attachment, attach
from nflow.worker.process import Spawned, spawn

#: Slots that are worth starting ahead; on a machine with many cores, starting all would hold up the rest.
SLOTS = 4


class HeadStart:
    """The first slots, where this process is to work, and the embedded server, where one is used.

    What nobody has taken when the `with` is left was started for nothing, and ends.
    """

    def __init__(self, settings: Settings, *, works: bool) -> None:
        self._settings = settings
        environment = slot_environment()
        count = min(settings.worker.slots, SLOTS) if works else 0
        self._spawned = [spawn(environment, settings.worker.slot_memory) for _ in range(count)]
        self.attachment: Future[Attachment] | None = None  #: None where a server is configured

    def attach(self) -> None:
        """Start the embedded server, or attach to it: once it is sure that there is something to run."""
        if self._settings.server.url is None:
            starting = ThreadPoolExecutor(1, "nflow-attach")
            self.attachment = starting.submit(attach, self._settings)
            starting.shutdown(wait=False)

    def take_slots(self) -> list[Spawned]:
        """The slots, which belong to the caller from now on."""
        taken, self._spawned = self._spawned, []
        return taken

    def __enter__(self) -> "HeadStart":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        for spawned in self._spawned:
            spawned.discard()
        if self.attachment is not None:
            with suppress(NflowError):  # it was told where somebody waited for it
                self.attachment.result().detach()
