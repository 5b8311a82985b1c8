"""Moments and durations as people read them."""

import re
import time
from contextlib import suppress
from datetime import datetime

from nflow.errors import UsageError

_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
_AGO = re.compile(r"(?:\d+(?:\.\d+)?\s*[dhms]\s*)+", re.ASCII)
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([dhms])", re.ASCII)


def when(at: float, now: float) -> str:
    """A moment in local time: without the date, if that is today's."""
    moment, today = time.localtime(at), time.localtime(now)
    is_today = moment[:3] == today[:3]
    return time.strftime("%H:%M:%S" if is_today else "%Y-%m-%d %H:%M:%S", moment)


def duration(seconds: float, *, digits: int = 2) -> str:
    """Seconds as a person reads them: `0.12 s`, `12.3 s`, `4:05 min`, `1:02:03 h`; small ones with so many digits."""
    if seconds < 59.95:
        return f"{seconds:.{digits if seconds < 10 else 1}f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02} h" if hours else f"{minutes}:{rest:02} min"


def moment(text: str, now: float) -> float:
    """The moment that a person means: `10m` and `1h 30m` ago, `02:15` of today, `2026-03-01T02:15+01:00`.

    Args:
        text: What was typed. Without a zone it is local time.
        now: Seconds since the epoch, as is the result.

    Raises:
        UsageError: it is none of these.
    """
    given = text.strip().lower()
    if _AGO.fullmatch(given):
        return now - sum(float(amount) * _UNITS[unit] for amount, unit in _AMOUNT.findall(given))
    today = datetime.fromtimestamp(now).astimezone().date().isoformat()
    with suppress(ValueError):
        return datetime.fromisoformat(f"{today}T{given}" if ":" in given[:3] else text.strip()).timestamp()
    raise UsageError(f"'{text}' is no time. Write how long ago, '10m' or '2h', or when: '02:15', '2026-03-01T02:15'.")
