"""The rules of a run, pure and deterministic: no I/O, no clock, no random, the standard library alone."""
