"""What a person who follows something is told of a server that goes away: silence would look like a quiet task."""

from collections.abc import Iterator
from contextlib import contextmanager

from nflow.bus.port import Bus
from nflow.cli.edge import say_error


@contextmanager
def telling_absence(bus: Bus) -> Iterator[None]:
    """Tell on stderr when the server is away, and when it is back, as long as this lasts."""
    heard = (
        bus.on_disconnect(lambda: say_error("The server is away. Waiting for it; nothing will be missing here.")),
        bus.on_reconnect(lambda: say_error("The server is back.")),
    )
    try:
        yield
    finally:
        for each in heard:
            each.close()
