"""What a workflow may import from beside it."""


class Reading:
    """A value whose class is known where this file is, and nowhere else."""
