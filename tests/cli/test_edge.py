"""Errors become a line or two on stderr, and an exit code."""

import pytest
import typer

from nflow.cli.edge import DEBUG, guarded
from nflow.errors import ConfigError, NotShippable, ServerRefused, StorageFull


def raising(error: BaseException):
    def command() -> None:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (ConfigError("no such setting"), 2, "nflow: no such setting\n"),
        (ConfigError("first\nsecond"), 2, "nflow: first\n       second\n"),
        (ServerRefused("not with this token"), 3, "nflow: not with this token\n"),
        (StorageFull("the disk is full"), 3, "nflow: the disk is full\n"),
        (PermissionError(13, "Permission denied", "/there"), 2, "nflow: Permission denied: /there\n"),
        (OSError(28, "No space left on device"), 2, "nflow: No space left on device\n"),
        (KeyboardInterrupt(), 130, ""),
        (typer.Abort(), 130, ""),
        (typer.Exit(5), 5, ""),
        (ExceptionGroup("both", [KeyError("x"), NotShippable("a generator")]), 2, "nflow: a generator\n"),
        (ExceptionGroup("deep", [ExceptionGroup("er", [ServerRefused("no")])]), 3, "nflow: no\n"),
    ],
)
def test_an_error_is_told_in_a_line_or_two(capsys, error, code, words):
    assert guarded(raising(error)) == code

    assert capsys.readouterr().err == words


def test_a_mistake_of_nflow_itself_asks_for_a_report(capsys):
    assert guarded(raising(ZeroDivisionError("division by zero"))) == 1

    told = capsys.readouterr().err
    assert told.startswith("nflow: ZeroDivisionError: division by zero.")
    assert "nflow --debug" in told
    assert "Traceback" not in told


def test_debug_shows_the_traceback(capsys):
    token = DEBUG.set(True)
    try:
        guarded(raising(ConfigError("no such setting")))
    finally:
        DEBUG.reset(token)

    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(("result", "code"), [(None, 0), (0, 0), (1, 1), ("text", 0)])
def test_what_a_command_returns_is_its_exit_code(result, code):
    assert guarded(lambda: result) == code
