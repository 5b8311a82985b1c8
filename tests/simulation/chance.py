"""Chance that comes from a seed: a number for each call, so that a plan with one fault less is much the same."""

_MASK = (1 << 64) - 1


def mixed(*numbers: int) -> int:
    """64 bits that look like chance, the same for the same numbers (SplitMix64)."""
    state = 0
    for number in numbers:
        state = (state + number + 0x9E3779B97F4A7C15) & _MASK
        state = ((state ^ state >> 30) * 0xBF58476D1CE4E5B9) & _MASK
        state = ((state ^ state >> 27) * 0x94D049BB133111EB) & _MASK
        state ^= state >> 31
    return state


def part(bits: int, place: int) -> float:
    """A number from 0 to 1 out of 16 of these bits: `place` is 0 to 3."""
    return (bits >> 16 * place & 0xFFFF) / 65536
