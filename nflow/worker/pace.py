"""How far ahead a worker takes work. Long tasks: not at all, so that none waits here while a slot elsewhere is idle.

Short ones are claimed ahead, so that no slot waits for the round trip to the server.
"""

#: Work that is worth having at hand, in seconds of slot time.
AHEAD = 0.02

#: Never more tasks than this ahead, for each slot.
MOST_AHEAD = 64

#: Weight of the newest duration in the running mean.
_WEIGHT = 0.1


class Pace:
    """The running mean of how long tasks take here."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._mean = AHEAD

    def took(self, seconds: float) -> None:
        """A task is over. A long one counts at once: what was fast may have become slow."""
        self._mean = seconds if seconds > AHEAD else self._mean + _WEIGHT * (seconds - self._mean)

    @property
    def ahead(self) -> int:
        """How many tasks to have at hand beyond those that run."""
        if self._mean >= AHEAD:
            return 0
        return self._slots * min(MOST_AHEAD, int(AHEAD / max(self._mean, 1e-6)))
