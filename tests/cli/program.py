"""The program `nflow`, as a person starts it: in a folder of their own, in a pipe or on a terminal."""

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

NFLOW = Path(sys.executable).with_name("nflow")

#: Nothing that a test waits for takes so long, even on a busy machine.
PATIENCE = 30.0

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass(frozen=True, slots=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str


class Running:
    """A command that goes on, and what it has said so far."""

    def __init__(self, process: "subprocess.Popen[bytes]", *outputs: BinaryIO) -> None:
        self._process = process
        self._said = [b""] * len(outputs)
        self._news = threading.Condition()
        self._readers = [
            threading.Thread(target=self._read, args=(number, output), daemon=True)
            for number, output in enumerate(outputs)
        ]
        for reader in self._readers:
            reader.start()

    @property
    def said(self) -> str:
        """On all its outputs."""
        return b"".join(self._said).decode()

    def until_says(self, text: str) -> "Running":
        """Return when it has said that."""
        with self._news:
            assert self._news.wait_for(lambda: text in self.said or self._ended(), PATIENCE), self.said
        assert text in self.said, f"it ended without saying {text!r}: {self.said}"
        return self

    def press_ctrl_c(self) -> "Running":
        """Do as the terminal does then."""
        self._process.send_signal(signal.SIGINT)
        return self

    def send(self, kind: signal.Signals) -> "Running":
        self._process.send_signal(kind)
        return self

    def done(self) -> Done:
        """How it ended, once it has."""
        code = self._process.wait(PATIENCE)
        for reader in self._readers:
            reader.join(PATIENCE)
        out, err = (text.decode() for text in (*self._said, b"")[:2])
        return Done(code, out, err)

    def close(self) -> None:
        """End it if it goes on."""
        if self._process.poll() is None:
            self._process.kill()
            self.done()

    def _ended(self) -> bool:
        return not any(reader.is_alive() for reader in self._readers if reader is not threading.current_thread())

    def _read(self, number: int, output: BinaryIO) -> None:
        with output:
            while True:
                try:
                    data = os.read(output.fileno(), 1 << 16)
                except OSError:  # what a terminal says when nobody writes to it any more
                    data = b""
                with self._news:
                    self._said[number] += data
                    self._news.notify_all()
                if not data:
                    return


class Program:
    """`nflow` in one folder, with data of its own."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder = folder
        self.home = home
        self._running: list[Running] = []

    def __call__(self, *arguments: str, **variables: str) -> Done:
        """Run a command to its end."""
        return self.start(*arguments, **variables).done()

    def with_closed_output(self, *arguments: str) -> int:
        """Run a command that has no outputs at all; its exit code."""
        shell = ["sh", "-c", 'exec "$0" "$@" >&- 2>&-', NFLOW, *arguments]
        return subprocess.call(shell, cwd=self.folder, env=self._environment({}), timeout=PATIENCE)

    def answered(self, answer: str, *arguments: str) -> Done:
        """Run a command to its end, whose questions a person at a terminal answers."""
        ours, theirs = pty.openpty()
        os.write(ours, f"{answer}\n".encode())
        process = self._popen(arguments, {}, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        os.close(theirs)
        assert process.stdout
        assert process.stderr
        done = self._keep(Running(process, process.stdout, process.stderr)).done()
        os.close(ours)
        return done

    def start(self, *arguments: str, **variables: str) -> Running:
        """Run a command in pipes."""
        process = self._popen(arguments, variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdout
        assert process.stderr
        return self._keep(Running(process, process.stdout, process.stderr))

    def pipe(self, *arguments: str) -> "subprocess.Popen[bytes]":
        """Run a command whose output the test reads as it likes."""
        return self._popen(arguments, {}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def on_terminal(self, *arguments: str, columns: int = 80, **variables: str) -> Running:
        """Run a command on a terminal."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        process = self._popen(arguments, variables, stdout=theirs, stderr=theirs)
        os.close(theirs)
        return self._keep(Running(process, os.fdopen(ours, "rb", buffering=0)))

    def close(self) -> None:
        """End all that goes on."""
        for running in self._running:
            running.close()

    def _keep(self, running: Running) -> Running:
        self._running.append(running)
        return running

    def _popen(
        self,
        arguments: tuple[str, ...],
        variables: dict[str, str],
        *,
        stdout: int,
        stderr: int,
        stdin: int = subprocess.DEVNULL,
    ) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [NFLOW, *arguments],
            cwd=self.folder,
            env=self._environment(variables),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
        )

    def _environment(self, variables: dict[str, str]) -> dict[str, str]:
        hidden = ("NFLOW_", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "TTY_", "PYTHONUNBUFFERED")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
        return environment | {"NFLOW_HOME": str(self.home), "TERM": "xterm-256color", **variables}


def peak_memory_bytes(pid: int) -> int:
    """The most memory that a process has held. Not its rusage: that counts its parent, of whom it was forked."""
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


def without_escapes(text: str) -> str:
    """What a terminal was sent, without colours and movements."""
    return _ESCAPES.sub("", text)
