"""The edge of the program: errors become one or two lines on stderr and an exit code, never a traceback."""

import logging
import sys
import traceback
from collections.abc import Callable
from contextvars import ContextVar
from typing import TextIO

import typer

from nflow.cli.console.streams import abandon
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
        sys.stdout.flush()
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        abandon(sys.stdout)
        return 0
    except Exception as error:  # noqa: BLE001 - the outermost edge
        return _of(error)
    return result if isinstance(result, int) else 0


def say_error(text: str) -> None:
    """Tell on stderr what went wrong."""
    first, *more = text.splitlines() or [""]
    sys.stderr.write(f"nflow: {first}\n" + "".join(f"       {line}\n" for line in more))
    if DEBUG.get():
        sys.stderr.write(traceback.format_exc())


def log_to_stderr(level: int) -> None:
    """What nflow itself has to say while it works goes to stderr."""
    handler = _ToStderr()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.DEBUG if DEBUG.get() else level, handlers=[handler])
    if not DEBUG.get():
        logging.getLogger("nats").setLevel(logging.CRITICAL)  # it reports every reconnect with a traceback


class _ToStderr(logging.StreamHandler[TextIO]):
    """Writes to what stderr is at the moment: while a run is shown on a terminal, that is above the lines that move."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


def _of_usage(error: typer.TyperException) -> int:
    words, context = error.format_message(), getattr(error, "ctx", None)
    show = getattr(error, "show", None)
    if show is not None and (not words or "\n" in words):  # a command that needs another one shows its whole help
        show()
    else:
        say_error(f"{words}\nFor how to use it: {context.command_path} --help" if context else words)
    return USAGE


def _of(error: Exception) -> int:
    """Of errors that came together, the first of nflow's own tells what a person needs to know."""
    known = error
    while isinstance(known, ExceptionGroup):
        ours, others = known.split(NflowError)
        known = (ours or others or known).exceptions[0]
    match known:
        case typer.Exit():
            return known.exit_code
        case typer.TyperException():  # what is wrong with the command line itself
            return _of_usage(known)
        case NflowError():
            say_error(str(known))
            return known.exit_code
        case OSError(strerror=str(reason)):
            say_error(f"{reason}: {known.filename}" if known.filename else reason)
            return USAGE
        case _:
            say_error(
                f"{type(known).__name__}: {known}. That is a mistake in nflow; "
                "please report it with what `nflow --debug ...` shows."
            )
            return FAILED
