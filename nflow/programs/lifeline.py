"""A pipe by which a process group dies with its owner, even one that is killed without a chance to tell anybody.

On Linux the kernel itself kills the group when the owner's end closes, in the middle of C code too. Elsewhere there is
no such thing: `HAS_LIFELINES` tells.
"""

import fcntl
import os
import signal
import sys
from contextlib import suppress

HAS_LIFELINES = sys.platform == "linux"

_F_SETSIG = 10  # Linux; the fcntl module has no name for it


def bind(fd: int, group: int) -> None:
    """Let the process group die when the other end of this pipe closes; some process must hold `fd` until then."""
    fcntl.fcntl(fd, fcntl.F_SETOWN, -group)
    fcntl.fcntl(fd, _F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_ASYNC)


def unbind(fd: int) -> None:
    """Let it live on."""
    fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) & ~os.O_ASYNC)


class Lifeline:
    """Both ends of such a pipe, and the process group that dies by it, before anybody is in it.

    A program that is started into `group` and inherits `theirs` cannot outlive this process, not even if this process
    is killed in the moment of the start. For that the group must exist before the program does: a process that has
    ended, and is not buried yet, holds its number.
    """

    def __init__(self) -> None:
        #: 0, where there are no lifelines: the program then leads a group of its own.
        self.group = os.posix_spawn("/bin/sh", ["sh", "-c", ":"], {}, setpgroup=0) if HAS_LIFELINES else 0
        self.theirs, self._ours = os.pipe()
        if HAS_LIFELINES:
            bind(self.theirs, self.group)

    def close(self) -> None:
        """Let go of the group; whoever is left in it lives on."""
        if HAS_LIFELINES:
            unbind(self.theirs)
            with suppress(ChildProcessError):  # users' code may have waited for all its children
                os.waitpid(self.group, 0)
        os.close(self._ours)
        os.close(self.theirs)
