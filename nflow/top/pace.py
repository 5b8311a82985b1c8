"""How many tasks end in a second, over the last minutes. Pure."""

#: Seconds that are remembered.
MEMORY = 240


class Pace:
    """Counts what ends, second by second, by the server's clock."""

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}

    def take(self, at: float) -> None:
        """A task ended."""
        second = int(at)
        self._counts[second] = self._counts.get(second, 0) + 1

    def last(self, seconds: int, now: float) -> list[int]:
        """So many seconds up to now, the oldest first; the one that goes on is left out."""
        end = int(now)
        self._counts = {second: count for second, count in self._counts.items() if second >= end - MEMORY}
        return [self._counts.get(second, 0) for second in range(end - seconds, end)]

    def rate(self, now: float, over: int = 10) -> float:
        """Tasks a second, as the mean of the last ten."""
        return sum(self.last(over, now)) / over
