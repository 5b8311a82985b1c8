"""Where workflow files written for Lightflow find a logger; `logging.getLogger` gives the same."""

from logging import Logger, getLogger


def get_logger(name: str) -> Logger:
    """The logger of that name. What a task logs goes to the log of its run."""
    return getLogger(name)
