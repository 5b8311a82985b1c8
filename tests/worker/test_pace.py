"""How far ahead a worker takes work."""

from nflow.worker.pace import AHEAD, MOST_AHEAD, Pace


def test_nothing_is_taken_ahead_before_anything_is_known():
    assert Pace(2).ahead == 0


def test_short_tasks_are_taken_ahead_but_not_without_end():
    pace = Pace(2)
    for _ in range(500):
        pace.took(0.0)

    assert pace.ahead == 2 * MOST_AHEAD


def test_one_long_task_ends_it_at_once():
    pace = Pace(2)
    for _ in range(500):
        pace.took(0.0001)

    pace.took(2 * AHEAD)

    assert pace.ahead == 0
