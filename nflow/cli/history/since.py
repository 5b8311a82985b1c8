"""Moments as people give them: so long ago, or a date."""

from datetime import datetime

from nflow.errors import ConfigError, UsageError


def moment(text: str, now: float) -> float:
    """Seconds since the epoch of `7d` or `12h` ago, or of a local date or time such as `2026-03-31 18:00`.

    Raises:
        UsageError: it is neither.
    """
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return now - seconds(text, "--since", " or a date such as '2026-03-31'")


def seconds(text: str, flag: str, other: str = "") -> float:
    """A duration that was given with a flag. Raises UsageError."""
    from nflow.config import seconds_of  # noqa: PLC0415 - pydantic takes a tenth of a second

    try:
        return seconds_of(text)
    except ConfigError:
        raise UsageError(f"{flag}: '{text}' is no duration such as '7d', '12h' or '30m'{other}.") from None
