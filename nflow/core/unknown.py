"""What a machine of `core/` says of an event that it cannot place: loudly, with the story of what it knew."""

import reprlib

from nflow.core.events import Event
from nflow.errors import NflowError


class UnknownEvent(NflowError):
    """An event has no place in this log: its type or its task is not known here."""

    def __init__(self, event: Event, story: str) -> None:
        super().__init__(
            f"{reprlib.repr(event)} has no place in the log of {story}. "
            "If a newer nflow wrote it, upgrade this worker; if not, the log belongs to another run or spec."
        )
        self.event = event
