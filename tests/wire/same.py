"""Whether a value came back as it was: equal, and of the same types all the way down."""

import numpy as np


def same(one, other):
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        one, other = list(one.items()), list(other.items())
    match one:
        case np.ndarray() | np.generic():
            return (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())
        case float() | complex():
            return repr(one) == repr(other)  # tells -0.0 from 0.0, and nan from nothing
        case list() | tuple():
            return len(one) == len(other) and all(map(same, one, other))
        case set() | frozenset():
            return len(one) == len(other) and all(any(same(each, every) for every in other) for each in one)
        case _:
            return one == other
