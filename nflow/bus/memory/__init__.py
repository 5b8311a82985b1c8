"""The bus in memory: the twin of the NATS side, for tests that need neither a server nor real time."""

from nflow.bus.memory.bus import MemoryBus
from nflow.bus.memory.server import MemoryServer

__all__ = ["MemoryBus", "MemoryServer"]
