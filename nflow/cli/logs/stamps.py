"""Moments at the beginning of a line, to the millisecond."""

import time


def stamp(at: float, today: str, *, utc: bool) -> str:
    """`02:15:03.123`, with the date in front unless that is `today`, as `date_of` has it."""
    second, thousandth = divmod(round(at * 1000), 1000)
    moment = _moment(second, utc=utc)
    date = time.strftime("%Y-%m-%d", moment)
    clock = f"{time.strftime('%H:%M:%S', moment)}.{thousandth:03}{'Z' if utc else ''}"
    return clock if date == today else f"{date} {clock}"


def date_of(at: float, *, utc: bool) -> str:
    """The date of a moment."""
    return time.strftime("%Y-%m-%d", _moment(int(at), utc=utc))


def _moment(second: int, *, utc: bool) -> time.struct_time:
    return time.gmtime(second) if utc else time.localtime(second)
