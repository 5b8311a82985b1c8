"""What a person is told of an exception: their own lines, and those of the libraries that they use."""

from nflow.errors import DataKeyUnknown
from nflow.models import TaskData
from nflow.slot.failure import remote_error


def raised_by(callback):
    try:
        callback()
    except BaseException as error:  # noqa: BLE001 - it is looked at
        return remote_error(error)


def test_the_lines_of_nflow_are_left_out():
    told = raised_by(lambda: TaskData({"value": 1})["valeu"])

    assert told.type == "DataKeyUnknown"
    assert told.message == "No 'valeu' in the data. Did you mean 'value'?"
    assert "test_failure.py" in told.traceback
    assert "dataset.py" not in told.traceback
    assert "builtins.KeyError" in told.mro


def test_what_led_to_it_is_told_too():
    def work():
        try:
            _ = 1 / 0
        except ZeroDivisionError as error:
            raise ValueError("no beam") from error

    told = raised_by(work)

    assert told.traceback.index("ZeroDivisionError") < told.traceback.index("ValueError: no beam")
    assert "_ = 1 / 0" in told.traceback


def test_an_error_of_nflow_without_a_line_of_the_users_is_its_words():
    told = remote_error(DataKeyUnknown("No 'a' in the data."))

    assert told.traceback == "nflow.errors.DataKeyUnknown: No 'a' in the data.\n"


def test_groups_and_long_messages_are_told_in_short():
    told = raised_by(lambda: (_ for _ in ()).throw(ExceptionGroup("two", [ValueError("x" * 10_000), KeyError("k")])))

    assert "KeyError: 'k'" in told.traceback
    assert len(raised_by(lambda: exec("raise ValueError('x' * 10_000)")).message) < 5_000


def test_a_message_that_cannot_be_told_is_said_to_be_one():
    class Odd(Exception):
        def __str__(self):
            raise RuntimeError

    assert remote_error(Odd()).message == "(its message cannot be told: RuntimeError)"


def test_a_long_message_leaves_the_lines_of_the_code_in_place():
    def raises():
        raise ValueError("x" * 100_000)

    try:
        raises()
    except ValueError as error:
        told = remote_error(error)

    assert "in raises" in told.traceback
    assert len(told.traceback) < 20_000
