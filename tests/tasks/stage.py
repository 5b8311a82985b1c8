"""What a task needs to be run by a test: a signal that can be set, and a way to see whether processes are gone."""

import os
import select
from pathlib import Path
from typing import Any, Self

from nflow.models import BaseTask, MultiTaskData, TaskContext


class Sign:
    """A signal that can be set, and tells so by itself, as a slot's does."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        self.is_stopped = False

    def fileno(self) -> int:
        return self._read

    def set(self) -> None:
        self.is_stopped = True
        os.write(self._write, b"x")

    def close(self) -> None:
        os.close(self._read)
        os.close(self._write)


class MuteSign:
    """A signal as users write it for their tests: one must ask it."""

    is_stopped = False

    def set(self) -> None:
        self.is_stopped = True


class Stage:
    def __init__(self, *, data: MultiTaskData, context: TaskContext) -> None:
        self.data = data
        self.store = {"count": 2}
        self.sign: Sign | MuteSign = Sign()
        self.context = context
        self.lines: list[str] = []
        self.errors: list[str] = []
        self.ends: list[tuple[Any, ...]] = []

    def __enter__(self) -> Self:
        self._own = self.sign
        return self

    def __exit__(self, *_: object) -> None:
        assert isinstance(self._own, Sign)
        self._own.close()

    def run(self, task: BaseTask) -> Any:
        return task.run(self.data, self.store, self.sign, self.context)

    # Callbacks, which note what they are called with.

    def out(self, line, data, store, signal, context) -> None:
        self.lines.append(line)

    def err(self, line, data, store, signal, context) -> None:
        self.errors.append(line)

    def end(self, returncode, stdout_file, stderr_file, data, store, signal, context) -> None:
        self.ends.append((returncode, stdout_file and stdout_file.read(), stderr_file and stderr_file.read()))

    def stop_at_a_line(self, line, data, store, signal, context) -> None:
        self.lines.append(line)
        if not signal.is_stopped:
            signal.set()


class Witness:
    """A named pipe that processes hold open: `exec 9>{path}` in a script, and all its descendants do too."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "witness"
        os.mkfifo(self.path)
        self._fd = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)

    def all_are_gone(self, *, within: float = 10.0) -> bool:
        """Whether nobody holds it any more; waits for it."""
        poll = select.poll()
        poll.register(self._fd, select.POLLHUP)
        return bool(poll.poll(within * 1000))

    def close(self) -> None:
        os.close(self._fd)
