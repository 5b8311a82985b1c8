"""The parts of a run's data store."""

from enum import StrEnum


class DataStoreDocumentSection(StrEnum):
    """Where in the store a key lives: among the users' data, or in what nflow notes about the run."""

    Data = "data"
    Meta = "meta"
