"""Which times tasks take."""

from math import inf, isnan

#: Seconds, about a year: whoever writes more has made a mistake, or means no end.
_LONGEST = 366 * 86400.0

#: Times that are limits: nothing can keep one of no time at all, and None is the lack of one.
_LIMITS = ("timeout", "deadline")


def fault_of(key: str, seconds: object) -> str | None:
    """What is wrong with a time, as the end of a sentence that begins with it; None: nothing."""
    if seconds is None and key in _LIMITS:
        return None
    if not isinstance(seconds, int | float) or isinstance(seconds, bool) or isnan(seconds):
        return f"is no time. Give it seconds, such as {key}=2.5."
    if seconds < 0 or (seconds == 0 and key in _LIMITS):
        return f"is no time that anything could take. Give it seconds, such as {key}=2.5."
    if _LONGEST < seconds < inf:
        return f"is longer than a year. Give it fewer seconds, or {key}=math.inf for no end."
    return None
