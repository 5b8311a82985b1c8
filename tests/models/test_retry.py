"""What users say of trying again, and what drivers are told of it."""

import pytest

from nflow.errors import WorkflowDefinitionError
from nflow.models import Retry


class DarkFrame(OSError):
    pass


def test_errors_are_named_for_the_drivers():
    spec = Retry(attempts=5, on=(DarkFrame, "TimeoutError"), give_up_on=[ValueError]).spec()

    assert spec.attempts == 5
    assert spec.on == (f"{__name__}.DarkFrame", "TimeoutError")
    assert spec.give_up_on == ("builtins.ValueError",)
    assert Retry(on=OSError).spec().on == ("builtins.OSError",)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"attempts": 0}, "attempts=0"),
        ({"pause": -1}, "pause=-1"),
        ({"factor": 0.5}, "factor=0.5"),
        ({"jitter": 2}, "jitter=2"),
        ({"max_pause": -1, "attempts": 0}, "attempts=0: give a whole number from 1 to 10000; max_pause=-1"),
        ({"attempts": 2.5}, r"attempts=2\.5"),
        ({"attempts": "3"}, "attempts='3'"),
        ({"attempts": True}, "attempts=True"),
        ({"attempts": 10**30}, "attempts=1000"),
        ({"pause": float("nan")}, "pause=nan"),
        ({"pause": "2"}, "pause='2'"),
        ({"pause": float("inf")}, "pause=inf"),
        ({"factor": float("nan")}, "factor=nan"),
        ({"factor": float("inf")}, "factor=inf"),
        ({"jitter": float("nan")}, "jitter=nan"),
        ({"max_pause": 1e308}, "max_pause=1e"),
        ({"on": (5,)}, "5 is no class of errors"),
        ({"on": int}, "is no class of errors"),
    ],
)
def test_a_policy_out_of_range_is_refused(wrong, words):
    with pytest.raises(WorkflowDefinitionError, match=words):
        Retry(**wrong)
