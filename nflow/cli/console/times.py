"""Moments and durations as people read them."""

import time


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
