"""How a worker tells the task in a slot to stop: a pipe that is readable from then on.

The slot can look at it at any time, and wait for it beside other things, as a task does that waits for a program.
"""

import os


class StopFlag:
    """The worker's side: raised for one task, and taken down before the next."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        self._is_up = self._is_closed = False

    def fileno(self) -> int:
        """The end that the slot looks at."""
        return self._read

    def up(self) -> None:
        """The task is to stop."""
        if not self._is_up and not self._is_closed:
            self._is_up = True
            os.write(self._write, b"!")

    def down(self) -> None:
        """The next task may run."""
        if self._is_up and not self._is_closed:
            self._is_up = False
            os.read(self._read, 1)  # there is one byte, and the slot only looks

    def close(self) -> None:
        """Let go of it; once is enough."""
        if not self._is_closed:
            self._is_closed = True
            os.close(self._read)
            os.close(self._write)
