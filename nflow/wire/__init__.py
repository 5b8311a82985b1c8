"""Plain values, code, events and names ⇄ bytes and subjects; the one home of msgpack and cloudpickle."""
