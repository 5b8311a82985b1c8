"""The name of bytes: what code, specs and blobs are called by, and checked against."""

from collections.abc import Iterable
from hashlib import blake2b


def digest(data: bytes | bytearray | memoryview) -> str:
    """BLAKE2b-128 of `data`, in hex."""
    return blake2b(data, digest_size=16).hexdigest()


def digest_of_parts(parts: Iterable[bytes | bytearray | memoryview]) -> str:
    """The same, of the concatenation of `parts`, which is never made."""
    running = blake2b(digest_size=16)
    for part in parts:
        running.update(part)
    return running.hexdigest()
