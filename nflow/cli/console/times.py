"""Moments and durations as people read them."""

import re
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from nflow.errors import UsageError

_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
_AGO = re.compile(r"(?:\d+(?:\.\d+)?\s*[dhms]\s*)+", re.ASCII)
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([dhms])", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """The present, and the zone in which somebody wants to read times."""

    now: float
    utc: bool = False

    def when(self, at: float) -> str:
        """A moment, without the date if that is today's: `02:15:03`, in UTC `02:15:03Z`."""
        zoned = time.gmtime if self.utc else time.localtime
        is_today = zoned(at)[:3] == zoned(self.now)[:3]
        told = time.strftime("%H:%M:%S" if is_today else "%Y-%m-%d %H:%M:%S", zoned(at))
        return f"{told}Z" if self.utc else told


def when(at: float, now: float) -> str:
    """A moment in local time: without the date, if that is today's."""
    return Clock(now=now).when(at)


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
    raise UsageError(
        f"'{text}' is no time. Write how long ago, '10m' or '7d', or when: '02:15', '2026-03-31', '2026-03-31T02:15'."
    )
