"""What `nflow doctor` finds, one line for each thing that it looks at."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Literal, TypeVar

T = TypeVar("T")

#: Seconds that one look may take: a network file system whose server is away answers nobody.
PATIENCE = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    check: str
    state: Literal["ok", "warning", "problem"] = "ok"
    told: str
    advice: str = ""  #: what to do


def ok(check: str, told: str) -> Finding:
    """All is well."""
    return Finding(check=check, told=told)


def warning(check: str, told: str, advice: str) -> Finding:
    """It works, but not as well as it could, or not for long."""
    return Finding(check=check, state="warning", told=told, advice=advice)


def problem(check: str, told: str, advice: str = "") -> Finding:
    """It keeps nflow from working."""
    return Finding(check=check, state="problem", told=told, advice=advice)


def within(seconds: float, look: Callable[[], T]) -> T:
    """What `look` returns or raises. It runs in a thread that is left alone when it hangs, and ends with the process.

    Raises:
        TimeoutError: it takes longer than so many seconds.
    """
    answer: Future[T] = Future()

    def run() -> None:
        try:
            answer.set_result(look())
        except Exception as error:  # noqa: BLE001 - raised where the answer is waited for
            answer.set_exception(error)

    threading.Thread(target=run, name="nflow-doctor", daemon=True).start()
    return answer.result(seconds)


def limited(check: str, look: Callable[[], list[Finding]], *, seconds: float = PATIENCE) -> list[Finding]:
    """What `look` finds; that it hangs, if it does, or what went wrong with it."""
    try:
        return within(seconds, look)
    except TimeoutError:
        return [problem(check, f"no answer within {seconds:g} s", "Is it on a network file system that is away?")]
    except Exception as error:  # noqa: BLE001 - a doctor goes on with the next thing
        return [problem(check, f"{type(error).__name__}: {error}")]
