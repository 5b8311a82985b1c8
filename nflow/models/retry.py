"""How often a task is tried."""

from collections.abc import Iterable
from dataclasses import dataclass

from nflow.core.retry import RetrySpec
from nflow.errors import WorkflowDefinitionError


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
        problems = [
            text
            for is_bad, text in (
                (self.attempts < 1, f"attempts={self.attempts}: there is at least one"),
                (self.pause < 0, f"pause={self.pause}: a pause is 0 seconds or longer"),
                (self.factor < 1, f"factor={self.factor}: pauses do not get shorter; give 1 or more"),
                (self.max_pause < 0, f"max_pause={self.max_pause}: a pause is 0 seconds or longer"),
                (not 0 <= self.jitter <= 1, f"jitter={self.jitter}: give a part between 0 and 1"),
            )
            if is_bad
        ]
        if problems:
            raise WorkflowDefinitionError(f"Retry: {'; '.join(problems)}.")
        self.spec()

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


def _names(errors: object) -> tuple[str, ...]:
    listed = [errors] if isinstance(errors, type | str) else list(errors) if isinstance(errors, Iterable) else [errors]
    return tuple(map(_name, listed))


def _name(error: object) -> str:
    if isinstance(error, str) and error:
        return error
    if isinstance(error, type) and issubclass(error, BaseException):
        return f"{error.__module__}.{error.__qualname__}"
    raise WorkflowDefinitionError(f"Retry: {error!r} is no class of errors. Give one, such as OSError, or its name.")
