"""Ages as people give them: `90d`."""

from nflow.errors import ConfigError, UsageError


def seconds(text: str, flag: str) -> float:
    """A duration that was given with a flag. Raises UsageError."""
    from nflow.config import seconds_of  # noqa: PLC0415 - pydantic takes a tenth of a second

    try:
        return seconds_of(text)
    except ConfigError:
        raise UsageError(f"{flag}: '{text}' is no duration such as '7d', '12h' or '30m'.") from None
