"""Which nflow this is: for everybody, so it imports nobody."""

__version__ = "0.1.0"
