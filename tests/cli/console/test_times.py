"""Moments and durations as people read them."""

import pytest

from nflow.cli.console.times import duration


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
