"""Durations and sizes in as few characters as can be read at a glance. Pure, but for the time zone."""

import time


def lasted(seconds: float) -> str:
    """`0.3s`, `12s`, `4:05`, `1:02:03`, `3d 4h`."""
    if seconds < 9.95:
        return f"{max(seconds, 0.0):.1f}s"
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours_left = divmod(hours, 24)
    if days:
        return f"{days}d {hours_left}h"
    if hours:
        return f"{hours}:{minutes:02}:{rest:02}"
    return f"{minutes}:{rest:02}" if minutes else f"{rest}s"


def clock(at: float) -> str:
    """The time of day, here."""
    return time.strftime("%H:%M:%S", time.localtime(at))


def size(size_bytes: float) -> str:
    """`512K`, `37M`, `1.2G`."""
    for unit in "BKMGT":
        if size_bytes < 999.5 or unit == "T":
            break
        size_bytes /= 1024
    return f"{size_bytes:.1f}{unit}" if size_bytes < 9.95 and unit in "GT" else f"{size_bytes:.0f}{unit}"
