"""The state directory of the embedded server: what lies in it, and that nobody else reads it."""

import errno
import json
import os
import re
import secrets
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from nflow.errors import ServerError, UsageError
from nflow.server.lock import Lock


@dataclass(frozen=True, slots=True)
class Folder:
    """One directory for each host, so that a home shared over NFS never has two hosts on the same data."""

    path: Path

    @classmethod
    def of_this_host(cls, home: Path) -> "Folder":
        """The folder of this host below `home`, made if need be and closed to other users.

        Raises:
            UsageError: It cannot be made or written, or belongs to somebody else.
            ServerError: The disk is full.
        """
        folder = cls.expected(home)
        with folder.writing():
            folder.data.mkdir(mode=0o700, parents=True, exist_ok=True)
            if folder.path.stat().st_uid != os.geteuid():
                raise UsageError(f"{folder.path} belongs to another user. Set NFLOW_HOME to a folder of your own.")
            folder.path.chmod(0o700)
        return folder

    @classmethod
    def expected(cls, home: Path) -> "Folder":
        """Where the folder of this host is below `home`, or would be: nothing is made."""
        host = re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname()).strip(".") or "localhost"
        return cls(home / host)

    @property
    def data(self) -> Path:
        """Where JetStream stores."""
        return self.path / "data"

    @property
    def server_lock(self) -> Path:
        """Held by the server's own process for as long as it lives."""
        return self.path / "server.lock"

    @property
    def users_lock(self) -> Path:
        """Shared by everybody who is attached."""
        return self.path / "users.lock"

    @property
    def start_lock(self) -> Path:
        """Held while somebody decides about starting or stopping."""
        return self.path / "start.lock"

    @property
    def config(self) -> Path:
        """The server's configuration, with the token in it."""
        return self.path / "server.conf"

    @property
    def log(self) -> Path:
        """What the server says since its last start; before that: `server.log.1`."""
        return self.path / "server.log"

    @property
    def pid_file(self) -> Path:
        """Written by the server itself, so that it is right even if whoever started it was killed."""
        return self.path / "server.pid"

    @property
    def state(self) -> Path:
        """Where the server listens; written before it starts."""
        return self.path / "server.json"

    @property
    def token_file(self) -> Path:
        """What a client shows to be let in."""
        return self.path / "token"

    @property
    def server_name(self) -> str:
        """What the server calls itself: how it is told from a stranger on the same port."""
        return f"nflow-{self.path.name}-{blake2b(os.fsencode(self.path), digest_size=4).hexdigest()}"

    def pid(self) -> int | None:
        """The process of the server that started last, dead or alive."""
        try:
            return int(self.pid_file.read_text())
        except (FileNotFoundError, ValueError):
            return None

    def port(self) -> int | None:
        """Where the server listens, or listened; None when that is not known or not readable."""
        with suppress(FileNotFoundError, ValueError, KeyError, TypeError):
            return int(json.loads(self.state.read_text())["port"])
        return None

    def remember(self, port: int) -> None:
        """Write down where the server is about to listen."""
        files = {"pid_file": str(self.pid_file), "token_file": str(self.token_file), "log": str(self.log)}
        self.write(self.state, json.dumps({"url": url_of(port), "port": port, **files}, indent=2))

    def token(self) -> str:
        """The token, made once: clients that are attached keep theirs when the server is started again."""
        with suppress(FileNotFoundError):
            if token := self.token_file.read_text().strip():
                return token
        token = secrets.token_urlsafe(32)
        self.write(self.token_file, token)
        return token

    def last_words(self) -> str:
        """What the server's log says last of why it ended."""
        with suppress(FileNotFoundError):
            lines = self.log.read_text(errors="replace").strip().splitlines()
            serious = [line for line in lines if "[FTL]" in line or "[ERR]" in line or line.startswith("nats-server:")]
            return re.sub(r"^\[\d+\] \S+ \S+ \[\w+\] ", "", (serious or lines or [""])[-1])
        return ""

    def room_bytes(self) -> int:
        """How much the server may store: what it has already, and three quarters of what is free.

        Left to itself it counts the free part alone, so that a disk that is half full of its own data, after a restart,
        would refuse new work.
        """
        stored = sum(file.stat().st_blocks * 512 for file in self.data.rglob("*") if file.is_file())
        return stored + shutil.disk_usage(self.data).free * 3 // 4

    def write(self, file: Path, text: str) -> None:
        """Replace a file as a whole, readable by this user alone."""
        with self.writing():
            fresh = file.with_suffix(".new")
            fresh.unlink(missing_ok=True)
            fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(fd, "w", encoding="utf-8") as stream:
                stream.write(text)
            fresh.replace(file)

    def lock(self, path: Path) -> Lock:
        """Open one of the lock files, and hold nothing yet."""
        with self.writing():
            return Lock(path)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Tell a person what to do when this directory cannot be written."""
        try:
            yield
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise ServerError(
                    f"No room left in {self.path}. Make room, or set NFLOW_HOME to another disk."
                ) from error
            raise UsageError(
                f"Cannot keep nflow's data in {self.path}: {error.strerror}. Set NFLOW_HOME to a folder of your own."
            ) from error


def url_of(port: int) -> str:
    """The address of a server of this host."""
    return f"nats://127.0.0.1:{port}"
