"""Whether a callback can be called as nflow will call it: found out where it is given, not when it runs."""

import inspect
from types import FunctionType

from nflow.errors import WorkflowDefinitionError
from nflow.models.place import told

_NEVER_RUNS = inspect.CO_COROUTINE | inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR


def check_callback(callback: object, arguments: tuple[str, ...], *, of: str) -> None:
    """Refuse a callback that does not take `arguments` by position.

    Raises:
        WorkflowDefinitionError: naming `of`, the thing the callback belongs to.
    """
    if callback is None or _is_plain(callback, len(arguments)):
        return
    if not callable(callback):
        raise WorkflowDefinitionError(f"{of} is {callback!r}, which cannot be called. Give it the function itself.")
    if _is_lazy(callback):
        raise WorkflowDefinitionError(f"{of} is async or yields: calling it would run nothing. Use a plain function.")
    if not _takes(callback, len(arguments)):
        wanted = f"{of} must take {len(arguments)} arguments: ({', '.join(arguments)})"
        raise WorkflowDefinitionError(f"{wanted}{_taken(callback)}.")


def _is_plain(callback: object, count: int) -> bool:
    """The common case, at a hundredth of the price of `inspect.signature`: graphs may have 100 000 tasks."""
    if not isinstance(callback, FunctionType):
        return False
    code = callback.__code__
    return code.co_argcount == count and not code.co_kwonlyargcount and not code.co_flags & _NEVER_RUNS


def _is_lazy(callback: object) -> bool:
    candidates = (callback, getattr(callback, "__call__", None))  # noqa: B004 - its method is looked at, not whether it is callable
    kinds = (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)
    return any(kind(candidate) for candidate in candidates for kind in kinds)


def _takes(callback: object, count: int) -> bool:
    assert callable(callback)
    try:
        # Not what a decorator has wrapped: the wrapper is what will be called.
        signature = inspect.signature(callback, follow_wrapped=False)
    except ValueError:
        return True  # written in C and silent about its arguments
    try:
        signature.bind(*range(count))
    except TypeError:
        return False
    return True


def _taken(callback: object) -> str:
    """What the callback takes instead, and where it is written, as far as that is known."""
    code = getattr(getattr(callback, "__func__", callback), "__code__", None)
    if code is None:
        return ""
    assert callable(callback)
    taken = str(inspect.signature(callback, follow_wrapped=False))
    return f"; {getattr(callback, '__qualname__', 'it')}{taken} is in {told(code.co_filename, code.co_firstlineno)}"
