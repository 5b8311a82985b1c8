"""What a task runs ⇄ bytes. Only slots ever unpack it; all others see a digest."""

from nflow.wire.digest import digest
from nflow.wire.pickling import dump_code, forget_classes, load

__all__ = ["digest", "forget_classes", "pack_code", "unpack_code"]


def pack_code(code: object, *, what: str | None = None) -> bytes:
    """Functions, classes and what they refer to, as bytes that another process can run.

    Args:
        code: Anything; usually the class of a task and its state.
        what: How an error calls it: `Task 'reduce'`.

    Raises:
        NotShippable: Part of it cannot be sent; the message tells which, and what to do.
    """
    return dump_code(code, what or _called(code))


def unpack_code(data: bytes, *, what: str = "The code of this task") -> object:
    """What `pack_code` packed: fresh objects with globals of their own, however often it is called.

    Raises:
        MissingModule: It needs a module that is not installed here; the message names it.
        BrokenMessage: These bytes are no code, or it cannot be put together here.
    """
    return load(data, what)


def _called(code: object) -> str:
    name = getattr(code, "__qualname__", None)
    return f"'{name}'" if name else f"This {type(code).__name__}"
