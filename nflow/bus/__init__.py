"""The message bus: its port, its NATS side, and an in-memory twin with a virtual clock."""
