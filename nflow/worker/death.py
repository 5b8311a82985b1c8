"""How the process of a task ended, and what a person can do about it. Pure."""

import signal
from dataclasses import dataclass

#: What a program that crashed in its own memory is ended by.
_CRASHES = frozenset({"SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE", "SIGABRT", "SIGSYS"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """The end of a process."""

    exit_code: int  #: -N: signal N ended it
    peak_memory_bytes: int = 0
    out_of_memory: bool = False  #: the kernel says that it killed for want of memory

    @property
    def words(self) -> str:
        """What happened."""
        if self.exit_code >= 0:
            return f"the process of the task ended itself with exit code {self.exit_code}"
        memory = f" after it had used {_size(self.peak_memory_bytes)}" if self.peak_memory_bytes else ""
        by = " by the kernel for want of memory" if self._is_oom else f" by {signal_name(-self.exit_code)}"
        return f"the process of the task was killed{by}{memory}"

    @property
    def hint(self) -> str:
        """What can be done about it; empty where that is not known."""
        if self.exit_code >= 0:
            return "Its code called os._exit, or a library did. Let it return, or raise an exception."
        if self._is_oom:
            return "Give it less at once, or a machine with more memory, or let fewer tasks run beside it (--slots)."
        match signal_name(-self.exit_code):
            case "SIGKILL":
                return "Somebody killed it, or the kernel for want of memory: `dmesg` on that machine tells."
            case name if name in _CRASHES:
                return "It crashed in compiled code, of an extension module. Where, the end of its output may tell."
        return ""

    @property
    def _is_oom(self) -> bool:
        return self.out_of_memory and self.exit_code == -signal.SIGKILL


def signal_name(number: int) -> str:
    """What people call a signal; Python has no names for most of the real-time ones."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"
