"""Real servers in folders of their own; none outlives its test."""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from nflow.config import Settings, load
from nflow.server.folder import Folder
from nflow.server.lock import Lock
from nflow.server.signs import Signs

CHECKOUT = Path(__file__).parents[2]
USER = Path(__file__).with_name("user.py")


@pytest.fixture
def settings(tmp_path) -> Settings:
    return load({"home": tmp_path / "home"})


@pytest.fixture
def folder(settings):
    """The state directory; a server that still runs in it after the test is killed."""
    folder = Folder.of_this_host(settings.home)
    yield folder
    if runs(folder) and (pid := folder.pid()):
        kill(pid)


@pytest.fixture
def user(settings, folder):
    """Starts processes that use the server, and kills those which are left."""
    users: list[User] = []

    def start(*, attached: bool = True) -> User:
        users.append(User(settings.home))
        if attached:
            users[-1].do("attach")
        return users[-1]

    yield start
    for each in users:
        each.kill()


class User:
    """A process that does what it is told, one command after the other, and answers each."""

    def __init__(self, home: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, USER, home],
            cwd=CHECKOUT,
            env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def tell(self, command: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(f"{command}\n")
        self.process.stdin.flush()

    def answer(self) -> dict[str, object]:
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line, "the process ended without an answer"
        return json.loads(line)

    def do(self, command: str) -> dict[str, object]:
        self.tell(command)
        return self.answer()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe
            with suppress(BrokenPipeError):
                pipe.close()


def runs(folder: Folder) -> bool:
    """Whether a server holds the folder, by the only sign that cannot lie."""
    with Lock(folder.server_lock) as lock:
        return not lock.try_exclusive()


def servers(folder: Folder) -> list[int]:
    """Every process of this machine that serves the folder."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdigit() and os.fsencode(folder.config) in (entry / "cmdline").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    return found


def kill(pid: int) -> None:
    """Kill without a warning, and return when the process is gone."""
    with Signs(pid=pid) as signs:
        os.kill(pid, signal.SIGKILL)
        assert signs.wait(10)
