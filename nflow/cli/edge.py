"""The edge of the program: errors become one or two lines on stderr and an exit code, never a traceback."""

import logging
import sys
import traceback
from collections.abc import Callable
from contextvars import ContextVar

import typer

from nflow.errors import NflowError

#: Whether tracebacks are wanted.
DEBUG: ContextVar[bool] = ContextVar("debug", default=False)

FAILED = 1
USAGE = 2
INTERRUPTED = 130


def guarded(command: Callable[[], object]) -> int:
    """Run a command; its exit code."""
    try:
        result = command()
    except typer.Abort:
        return INTERRUPTED
    except typer.Exit as end:
        return end.exit_code
    except typer.TyperException as error:  # what is wrong with the command line itself
        error.show()
        return USAGE
    except NflowError as error:
        say_error(str(error))
        return error.exit_code
    except BaseExceptionGroup as group:
        return _of_group(group)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output, `head` perhaps, has seen enough
        sys.stderr.close()
        return 0
    return result if isinstance(result, int) else 0


def say_error(text: str) -> None:
    """Tell on stderr what went wrong."""
    first, *more = text.splitlines() or [""]
    sys.stderr.write(f"nflow: {first}\n" + "".join(f"       {line}\n" for line in more))
    if DEBUG.get():
        sys.stderr.write(traceback.format_exc())


def log_to_stderr(level: int) -> None:
    """What nflow itself has to say while it works goes to stderr."""
    logging.basicConfig(
        level=logging.DEBUG if DEBUG.get() else level, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    if not DEBUG.get():
        logging.getLogger("nats").setLevel(logging.CRITICAL)  # it reports every reconnect with a traceback


def _of_group(group: BaseExceptionGroup[BaseException]) -> int:
    """Errors that came together: the first of nflow's own tells what a person needs to know."""
    ours, _ = group.split(NflowError)
    if ours is None:
        raise group
    error: BaseException = ours
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, NflowError)
    say_error(str(error))
    return error.exit_code
