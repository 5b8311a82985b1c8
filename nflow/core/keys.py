"""What a key of the store may look like: the same for tasks, which write to it, and for the names of parameters."""

#: Each part of a key is one of an address, which must not be too long.
MOST_PARTS = 20
LONGEST_KEY = 4096


def fault_of(key: str) -> str | None:
    """What is wrong with a dotted key, as the end of a sentence that begins with it; None if nothing is."""
    parts = key.split(".")
    if not all(parts):
        return "has an empty part. Write it like 'sample.name'."
    if len(parts) > MOST_PARTS or len(key) > LONGEST_KEY:
        return (
            f"is too long: it has {len(parts)} parts and {len(key)} characters, of which it may have {MOST_PARTS} and "
            f"{LONGEST_KEY}. Store a dict under a shorter key."
        )
    return None
