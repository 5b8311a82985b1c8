"""How often a task is tried."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import inf, isinf

from nflow.core.retry import RetrySpec
from nflow.errors import WorkflowDefinitionError
from nflow.models.times import fault_of

#: Whoever writes more means for ever, and a deadline would serve better.
MOST_ATTEMPTS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Try a failed task again, after a pause. All times are seconds.

    Raises:
        WorkflowDefinitionError: a number is out of range, or an error is neither a class nor the name of one.
    """

    attempts: int = 3  #: the first one counts
    pause: float = 1.0  #: before the second attempt
    factor: float = 2.0  #: each further pause is so many times as long
    max_pause: float = 600.0
    jitter: float = 0.1  #: the part of a pause that is left to chance
    on: Iterable[type[BaseException] | str] = ()  #: only these errors, as classes or names; empty: all
    give_up_on: Iterable[type[BaseException] | str] = ()  #: never these

    def __post_init__(self) -> None:
        if problems := [*self._problems()]:
            raise WorkflowDefinitionError(f"Retry: {'; '.join(problems)}.")
        self.spec()

    def _problems(self) -> Iterator[str]:
        if type(self.attempts) is not int or not 1 <= self.attempts <= MOST_ATTEMPTS:
            yield f"attempts={self.attempts!r}: give a whole number from 1 to {MOST_ATTEMPTS}"
        for name in ("pause", "max_pause"):
            seconds = getattr(self, name)
            if fault_of(name, seconds) or isinf(seconds):
                yield f"{name}={seconds!r}: give seconds, 0 or more, a year at most"
        if not _is_number(self.factor) or not 1 <= self.factor < inf:
            yield f"factor={self.factor!r}: pauses do not get shorter; give 1 or more"
        if not _is_number(self.jitter) or not 0 <= self.jitter <= 1:
            yield f"jitter={self.jitter!r}: give a part between 0 and 1"

    def spec(self) -> RetrySpec:
        """The same, for drivers, which know errors by their names."""
        return RetrySpec(
            attempts=self.attempts,
            pause=self.pause,
            factor=self.factor,
            max_pause=self.max_pause,
            jitter=self.jitter,
            on=_names(self.on),
            give_up_on=_names(self.give_up_on),
        )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _names(errors: object) -> tuple[str, ...]:
    listed = [errors] if isinstance(errors, type | str) else list(errors) if isinstance(errors, Iterable) else [errors]
    return tuple(map(_name, listed))


def _name(error: object) -> str:
    if isinstance(error, str) and error:
        return error
    if isinstance(error, type) and issubclass(error, BaseException):
        return f"{error.__module__}.{error.__qualname__}"
    raise WorkflowDefinitionError(f"Retry: {error!r} is no class of errors. Give one, such as OSError, or its name.")
