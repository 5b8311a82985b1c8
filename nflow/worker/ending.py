"""Ending what runs in a slot when its time is over: SIGTERM to the process group, and a while later SIGKILL."""

import asyncio
import enum
import signal
from dataclasses import dataclass, replace

from nflow.worker.slot import Slot


class Why(enum.Enum):
    """What a task is ended for."""

    STOPPED = enum.auto()  #: its dag is to stop, and it went on
    TIMED_OUT = enum.auto()
    RECALLED = enum.auto()  #: its worker goes; another one begins it again


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """That a task was ended, and why."""

    why: Why
    words: str
    killed: bool = False  #: SIGTERM was not enough


class Ending:
    """The clocks over one task in a slot. The first that strikes is why it ended."""

    def __init__(self, slot: Slot, kill_after: float) -> None:
        self.verdict: Verdict | None = None  #: None: nobody has touched it
        self._slot = slot
        self._kill_after = kill_after
        self._clocks: list[asyncio.TimerHandle] = []

    def after(self, seconds: float, why: Why, words: str) -> None:
        """End the task when so many seconds have passed, unless it is over by then."""
        verdict = Verdict(why=why, words=words)
        self._call_later(seconds, signal.SIGTERM, verdict)
        self._call_later(seconds + self._kill_after, signal.SIGKILL, verdict)

    def close(self) -> None:
        """The task is over."""
        for clock in self._clocks:
            clock.cancel()

    def _call_later(self, seconds: float, signum: signal.Signals, verdict: Verdict) -> None:
        self._clocks.append(asyncio.get_running_loop().call_later(seconds, self._signal, signum, verdict))

    def _signal(self, signum: signal.Signals, verdict: Verdict) -> None:
        self.verdict = self.verdict or verdict
        if signum is signal.SIGKILL:
            self.verdict = replace(self.verdict, killed=True)
        self._slot.signal_group(signum)
