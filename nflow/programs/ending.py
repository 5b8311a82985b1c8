"""How a program is ended before it ends by itself: it is asked to, and after a while it is killed."""

import selectors
import signal
import time
from collections.abc import Callable

from nflow.programs.family import HAS_PIDFD, Family, group_is_empty, send_to_group
from nflow.programs.lifeline import Lifeline

#: A program that is to end has so many seconds to do so by itself, before it is killed.
GRACE = 3.0

#: For so long the lines that such a program has written are still handed out.
LAST_LINES = 3.0

#: So long it may take the system to remove a process that was killed. One that hangs in a broken disk is left behind.
_LAST_RITES = 2.0


class Ending:
    """Ends all processes of a program: asks them to, and kills those that have not done so after a while."""

    def __init__(
        self, pid: int, group: int, lifeline: Lifeline, selector: selectors.BaseSelector, has_died: Callable[[], bool]
    ) -> None:
        self._group = group
        self._has_died = has_died
        self._family = Family(pid, group, mark=lifeline.theirs) if HAS_PIDFD else None
        self._is_killed = False
        self.is_over = False
        self.due = time.monotonic() + GRACE
        if self._family is not None:
            selector.register(self._family, selectors.EVENT_READ, self.go_on)
        self._send(signal.SIGTERM)

    def go_on(self) -> None:
        """See whether it is over, or what to do about it."""
        if self.is_over:
            return
        if self._is_gone():
            self.is_over = True
        elif time.monotonic() >= self.due:
            self.is_over = self._is_killed  # in vain: nothing more can be done
            self._is_killed = True
            self.due += _LAST_RITES
            self._send(signal.SIGKILL)

    def close(self) -> None:
        """Let go of what it takes to watch them."""
        if self._family is not None:
            self._family.close()

    def _is_gone(self) -> bool:
        if self._family is not None:
            return self._family.is_gone()
        return self._has_died() and group_is_empty(self._group)

    def _send(self, signum: signal.Signals) -> None:
        if self._family is not None:
            self._family.send(signum)
        else:
            send_to_group(self._group, signum)
