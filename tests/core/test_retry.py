"""Whether a failed attempt is followed by another one, and when."""

import pytest

from nflow.core.events import RemoteError
from nflow.core.retry import RetrySpec, pause_after

BOOM = RemoteError(
    type="ConnectionError", message="gone", mro=("builtins.ConnectionError", "builtins.OSError", "builtins.Exception")
)


def pauses(retry, error=BOOM, seed=("main:1", "reduce")):
    return [pause_after(retry, attempt, error, seed) for attempt in range(1, 6)]


def test_without_a_policy_there_is_one_attempt():
    assert pauses(None) == [None] * 5
    assert pauses(RetrySpec(pause=1.0)) == [None] * 5


def test_pauses_grow_up_to_their_limit():
    retry = RetrySpec(attempts=5, pause=2.0, factor=3.0, max_pause=30.0)

    assert pauses(retry) == [2.0, 6.0, 18.0, 30.0, None]


def test_a_pause_that_grows_beyond_all_numbers_is_the_longest():
    assert pause_after(RetrySpec(attempts=10**6, pause=1.0, factor=10.0), 10**5, BOOM, ("a",)) == 3600.0


@pytest.mark.parametrize(
    ("on", "give_up_on", "tries"),
    [
        ((), (), True),
        (("builtins.OSError",), (), True),
        (("OSError",), (), True),
        (("ConnectionError", "ValueError"), (), True),
        (("ValueError",), (), False),
        ((), ("OSError",), False),
        (("OSError",), ("ConnectionError",), False),
        ((), ("ValueError",), True),
    ],
)
def test_errors_are_told_by_the_names_of_their_classes(on, give_up_on, tries):
    retry = RetrySpec(attempts=2, on=on, give_up_on=give_up_on)

    assert (pause_after(retry, 1, BOOM, ("a",)) is not None) == tries


def test_a_task_that_takes_its_workers_along_is_tried_again_only_where_that_is_asked_for():
    lost = RemoteError(type="WorkerLost", message="vanished 3 times")

    assert pause_after(RetrySpec(attempts=2), 1, lost, ("a",)) is None
    assert pause_after(RetrySpec(attempts=2, on=("WorkerLost",)), 1, lost, ("a",)) == 0.0


def test_chance_shortens_a_pause_by_its_part_and_is_the_same_each_time():
    retry = RetrySpec(attempts=5, pause=10.0, jitter=0.5)

    some, same, other = pauses(retry), pauses(retry), pauses(retry, seed=("main:2", "reduce"))

    assert some == same != other
    assert all(5.0 <= pause <= 10.0 for pause in some[:4])
    assert len(set(some)) == 5
