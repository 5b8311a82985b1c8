"""Commands that begin a run, or begin it again: `run`, `start`, `retry`; and working here until it has ended."""
