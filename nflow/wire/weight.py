"""What makes something heavy to send: which part of it, by which way it is reached."""

from nflow.errors import NotShippable
from nflow.wire.culprit import DEEPEST, parts, way_told
from nflow.wire.pickling import dump


def heaviest(value: object) -> tuple[str, int]:
    """The part that makes up most of `value`, by the way that leads to it, and its size in bytes once it is packed.

    The way is empty where no single part outweighs the others.
    """
    way: list[str] = []
    seen = {id(value)}
    weight = _weight(value)
    while len(way) < DEEPEST:
        candidates = [(step, part) for step, part in parts(value) if id(part) not in seen]
        seen.update(id(part) for _, part in candidates)
        step, part, found = max(
            ((step, part, _weight(part)) for step, part in candidates), key=lambda each: each[2], default=("", None, 0)
        )
        if 2 * found < weight:
            break
        way.append(step)
        value, weight = part, found
    return way_told(way), weight


def _weight(part: object) -> int:
    try:
        return len(dump(part, "It"))
    except NotShippable:  # not by itself, as it is part of something that says how it travels
        return 0
