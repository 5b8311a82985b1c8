"""Whether a failed attempt is followed by another one, and when. Pure: chance is a hash of what is tried."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

from nflow.core.events import RemoteError

#: An attempt whose workers vanished again and again: trying it once more would take more of them along.
WORKER_LOST = "WorkerLost"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrySpec:
    """How often a task is tried, and how long is waited in between. Times are seconds."""

    attempts: int = 1
    pause: float = 0.0  #: after the first attempt
    factor: float = 1.0  #: by which each further pause is longer
    max_pause: float = 3600.0
    jitter: float = (
        0.0  #: the part of a pause that is left to chance, so that a thousand tasks do not come back at once
    )
    on: tuple[str, ...] = ()  #: names of classes of errors; empty: whatever it is
    give_up_on: tuple[str, ...] = ()


def pause_after(retry: RetrySpec | None, attempt: int, error: RemoteError, seed: Sequence[str]) -> float | None:
    """Seconds until the next attempt; None if there is none.

    Args:
        retry: The policy; None is one attempt.
        attempt: The one that failed, from 1.
        error: How it failed.
        seed: Whose attempt it is: the same task always waits the same time.
    """
    if retry is None or attempt >= retry.attempts or not _counts(retry, error):
        return None
    try:
        pause = min(retry.pause * retry.factor ** (attempt - 1), retry.max_pause)
    except OverflowError:
        pause = retry.max_pause
    return pause * (1 - retry.jitter * _chance(*seed, str(attempt)))


def _counts(retry: RetrySpec, error: RemoteError) -> bool:
    if _is_any(error, retry.give_up_on):
        return False
    return _is_any(error, retry.on) if retry.on else error.type != WORKER_LOST


def _is_any(error: RemoteError, names: Sequence[str]) -> bool:
    """Whether it is of one of these classes, or of one derived from them; a name without a module is any of it."""
    known = {error.type, *error.mro, *(name.rpartition(".")[2] for name in error.mro)}
    return not known.isdisjoint(names)


def _chance(*seed: str) -> float:
    """A number from 0 to 1, the same each time."""
    digest = blake2b("\0".join(seed).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
