"""The bus on NATS JetStream: the only place that knows nats-py."""

from nflow.bus.nats.bus import NatsBus, connect
from nflow.bus.nats.connection import Login
from nflow.bus.nats.listening import Limits

__all__ = ["Limits", "Login", "NatsBus", "connect"]
