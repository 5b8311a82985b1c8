"""A real PostgreSQL for tests: on a temporary directory, reached by a socket in it, run by a user who is not root."""

import os
import pwd
import shutil
import subprocess
import tempfile
import threading
from itertools import count
from pathlib import Path

import psycopg
import pytest

READY_WITHIN = 60.0
_NUMBERS = count()


def programs() -> Path:
    """Where `initdb` and `postgres` are; tests are skipped where they are not."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: path.parts[-3])
    found = shutil.which("initdb") or next(map(str, reversed(installed)), None)
    if found is None:
        pytest.skip("no PostgreSQL is installed: apt-get install postgresql")
    return Path(found).resolve().parent


class Postgres:
    """One server, and any number of databases on it."""

    def __init__(self) -> None:
        self._programs = programs()
        self.folder = Path(tempfile.mkdtemp(prefix="nflow-pg-"))  # short: a socket's path has at most 107 bytes
        self._user: str | None = None
        if os.geteuid() == 0:
            self._user = "nobody"
            os.chown(self.folder, pwd.getpwnam("nobody").pw_uid, -1)
        self._process: subprocess.Popen[str] | None = None
        self._ready = threading.Event()
        self.log: list[str] = []

    def start(self) -> "Postgres":
        """Return when it serves."""
        data = self.folder / "data"
        made = self._run("initdb", "-D", str(data), "-U", "nflow", "-A", "trust", "-E", "UTF8", "--locale=C", "-N")
        self.log += made.communicate(timeout=READY_WITHIN)[0].splitlines()
        assert made.returncode == 0, "\n".join(self.log)
        options = ("-c", "listen_addresses=", "-c", "fsync=off", "-k", str(self.folder))
        self._process = self._run("postgres", "-D", str(data), *options)
        threading.Thread(target=self._read, daemon=True).start()
        assert self._ready.wait(READY_WITHIN), "\n".join(self.log)
        return self

    def database(self) -> str:
        """The address of a new, empty database."""
        name = f"nflow{next(_NUMBERS)}"
        with psycopg.connect(f"host={self.folder} user=nflow dbname=postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type] # its name is our own
        return f"postgresql://nflow@/{name}?host={self.folder}"

    def stop(self) -> None:
        """End it, and remove all it has."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(READY_WITHIN)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [str(self._programs / program), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.folder,
            user=self._user,
            extra_groups=None if self._user is None else [],
        )

    def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self.log.append(line.rstrip())
                if "ready to accept connections" in line:
                    self._ready.set()
