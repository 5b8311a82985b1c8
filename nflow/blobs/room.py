"""Memory for a value that is about to arrive."""

import mmap
from contextlib import suppress

#: Smaller ones are ordinary memory of Python.
_LARGE_BYTES = 1024 * 1024


def room_for(size_bytes: int) -> memoryview:
    """Writable memory. Large ones are pages that nobody has touched: a bytearray would be filled with zeros first."""
    if size_bytes < _LARGE_BYTES or not hasattr(mmap, "MAP_PRIVATE"):
        return memoryview(bytearray(size_bytes))
    pages = mmap.mmap(-1, size_bytes, flags=mmap.MAP_PRIVATE)  # private, as all memory is for processes that tasks fork
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with suppress(OSError):  # a kernel without them
            pages.madvise(mmap.MADV_HUGEPAGE)
    return memoryview(pages)
