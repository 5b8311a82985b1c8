"""What a worker needs of a slot: a place where one task runs at a time, and can be ended."""

import logging
import signal
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, Protocol

from nflow.errors import NflowError
from nflow.wire.frames import pack_frame
from nflow.worker.channel import ChannelClosed
from nflow.worker.death import Death

_log = logging.getLogger(__name__)

Call = Callable[[str, Sequence[Any]], Awaitable[Any]]
"""Makes a call of the task on its run: the name of the call and its arguments."""


#: Calls that a large value goes with; they get the slot's `Channel` as one more argument.
BULKY = frozenset({"get_blob", "put_blob"})


class Outcome(NamedTuple):
    """How a task did, in its slot's own words."""

    events: bytes  #: packed
    failed: bool


class SlotDied(Exception):
    """The slot ended in the middle of a task."""

    def __init__(self, death: Death) -> None:
        super().__init__(death.words)
        self.death = death


class Slot(Protocol):
    """A place where one task runs at a time."""

    tasks_done: int
    known_code: set[str]  #: digests of code that it has at hand

    @property
    def pid(self) -> int:
        """The number of the process that runs the user's code."""

    @property
    def alive(self) -> bool:
        """Whether it can run a task."""

    @property
    def ended(self) -> bool:
        """Whether all of it is gone."""

    @property
    def memory_bytes(self) -> int:
        """The memory that it holds at present; 0 where that cannot be known."""

    @property
    def last_lines(self) -> tuple[str, ...]:
        """The end of what the last task wrote."""

    async def run(self, request: Sequence[Any], *, subject: str, attempt: int, call: Call) -> Outcome:
        """Run one task and return its outcome.

        Args:
            request: What `TaskRunner.execute` takes.
            subject: Where the task's lines go.
            attempt: Which attempt the lines belong to.
            call: Makes the calls that the task makes of the run.

        Raises:
            SlotDied: it ended before it said how the task did.
        """

    def flag_stop(self) -> None:
        """Let `signal.is_stopped` be true from now on."""

    def signal_group(self, signum: signal.Signals) -> None:
        """Send a signal to the user's code and to everything it has started."""

    def kill(self) -> None:
        """End it, and everything it has started. It runs no task any more."""

    async def end(self) -> object:
        """Return once it has ended and let go of everything."""


async def answer(call: Call, number: int, name: str, arguments: Sequence[Any]) -> bytes:
    """Make a call of a task; the reply to it, packed: its value, or the error that it met."""
    try:
        return pack_frame("reply", number, None, await call(name, arguments))
    except NflowError as error:
        return pack_frame("reply", number, type(error).__name__, str(error))
    except ChannelClosed:  # nobody is left who could hear of it
        return b""
    except Exception as error:  # noqa: BLE001 - whatever it is, the task must not wait for ever
        _log.exception("what a task asked for failed: %s", name)
        return pack_frame("reply", number, NflowError.__name__, f"'{name}' failed: {type(error).__name__}: {error}")
