"""On what terms values travel: told to a slot with each task, for it reads no settings."""

from dataclasses import dataclass

from nflow.core.dataset import INLINE_SIZE_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a slot must know before it hands on a value."""

    inline_size: int = INLINE_SIZE_BYTES  #: bytes of values that one message may carry; what is beyond becomes a blob
    max_value_size: int = 2 * 1024**3  #: bytes; a larger value is refused
    folder: str = ""  #: on a shared file system, where blobs go; empty: they go to the server, by way of the worker
