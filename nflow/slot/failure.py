"""An exception of users' code, in words: what was raised, where in their files, by what."""

import resource
from collections.abc import Iterator
from itertools import dropwhile, takewhile
from traceback import FrameSummary, StackSummary, TracebackException

from nflow.core.events import RemoteError
from nflow.errors import NflowError
from nflow.models.place import is_foreign

#: A traceback is cut to so many characters.
_LONGEST_TRACEBACK = 16_000

#: The message of an error, and the reason of an ending, are cut after so many: they travel in one record.
_LONGEST_MESSAGE = 4_000


def remote_error(error: BaseException) -> RemoteError:
    """An exception in words, without the frames of nflow itself."""
    told = _told(error)
    try:
        message = str(error)
    except Exception as worse:  # noqa: BLE001 - it is the user's class
        message = f"(its message cannot be told: {type(worse).__name__})"
    return RemoteError(
        type=type(error).__name__,
        message=cut(message),
        traceback=_cut_in_the_middle("".join(told.format() if told.stack else told.format_exception_only())),
        mro=tuple(f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__[:-1]),
        hint=_hint(error),
    )


def _hint(error: BaseException) -> str:
    match error:
        case SystemExit():
            return "Its code called sys.exit, or a library did. Let it return, or raise an exception."
        case MemoryError():
            limit, _ = resource.getrlimit(resource.RLIMIT_DATA)
            if limit != resource.RLIM_INFINITY:
                return f"A slot of this worker may use {limit / 1024**2:.0f} MiB: worker.slot_memory."
            return "The machine had no more memory to give."
    return ""


def _cut_in_the_middle(text: str) -> str:
    """Where it was raised stands at the beginning of a traceback, and what was raised at its end."""
    if len(text) <= _LONGEST_TRACEBACK:
        return text
    head = _LONGEST_TRACEBACK // 4
    return f"{text[:head]}\n... (cut: it has {len(text)} characters)\n{text[head - _LONGEST_TRACEBACK :]}"


def cut(text: str) -> str:
    """A message that fits into a record."""
    return text if len(text) <= _LONGEST_MESSAGE else f"{text[:_LONGEST_MESSAGE]}…"


def _told(error: BaseException) -> TracebackException:
    told = TracebackException.from_exception(error)
    if isinstance(error, NflowError):
        # Its words say it all: neither what it came of within nflow is of interest, nor what nflow had called.
        told.__cause__, told.__context__ = (_unless_ours(each) for each in (told.__cause__, told.__context__))
        told.stack = StackSummary.from_list([*takewhile(_is_foreign, dropwhile(_is_ours, [*told.stack]))])
    for each in _chain(told):
        each.stack = StackSummary.from_list([*filter(_is_foreign, each.stack)] or each.stack)
    return told


def _unless_ours(cause: TracebackException | None) -> TracebackException | None:
    return None if cause is None or (cause.stack and _is_ours(cause.stack[0])) else cause


def _is_foreign(frame: FrameSummary) -> bool:
    return is_foreign(frame.filename)


def _is_ours(frame: FrameSummary) -> bool:
    return not is_foreign(frame.filename)


def _chain(told: TracebackException) -> Iterator[TracebackException]:
    """It, and all that led to it."""
    waiting: list[TracebackException | None] = [told]
    while waiting:
        each = waiting.pop()
        if each is not None:
            yield each
            waiting += [each.__cause__, each.__context__, *(each.exceptions or ())]
