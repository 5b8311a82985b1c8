"""Moments and durations as people read them."""

from datetime import UTC, datetime

import pytest

from nflow.cli.console.times import Clock, duration, moment
from nflow.errors import UsageError


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0, "0.00 s"),
        (0.126, "0.13 s"),
        (9.99, "9.99 s"),
        (12.34, "12.3 s"),
        (59.94, "59.9 s"),
        (59.96, "1:00 min"),
        (245, "4:05 min"),
        (3599.7, "1:00:00 h"),
        (90061, "25:01:01 h"),
    ],
)
def test_durations_are_told_as_a_person_would(seconds: float, words: str):
    assert duration(seconds) == words


NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(("text", "ago"), [("10m", 600.0), ("1h 30m", 5400.0), ("2d", 172_800.0), ("0.5s", 0.5)])
def test_a_moment_may_be_so_long_ago(text: str, ago: float):
    assert moment(text, NOW) == NOW - ago


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-03-01T11:00:00+00:00", NOW - 3600),
        ("2026-03-01T11:00Z", NOW - 3600),
        ("2026-02-28", datetime(2026, 2, 28).astimezone().timestamp()),
        ("2026-02-28 01:02:03", datetime(2026, 2, 28, 1, 2, 3).astimezone().timestamp()),
    ],
)
def test_a_moment_may_be_a_date_and_a_time(text: str, at: float):
    assert moment(text, NOW) == at


def test_a_time_without_a_date_is_todays():
    today = datetime.fromtimestamp(NOW).astimezone()

    assert moment("02:15", NOW) == today.replace(hour=2, minute=15).timestamp()


@pytest.mark.parametrize("text", ["noon", "", "10", "10 parsecs", "2026-13-01"])
def test_what_is_no_moment_is_refused(text: str):
    with pytest.raises(UsageError, match="is no time"):
        moment(text, NOW)


@pytest.mark.parametrize(("at", "told"), [(NOW, "12:00:00Z"), (NOW - 86_400, "2026-02-28 12:00:00Z")])
def test_a_clock_in_utc_says_so(at: float, told: str):
    assert Clock(now=NOW, utc=True).when(at) == told
