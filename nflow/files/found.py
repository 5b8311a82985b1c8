"""The workflow files that can be run by name, and what is in them: each is read in a process of its own.

So one that prints, sleeps, exits or crashes when it is read neither hangs nor breaks a listing of all.
"""

import ast
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from nflow.config import glance_environment
from nflow.models.workflow import look_up
from nflow.server.signs import Bell, Sign, Signs

#: Seconds that reading a file may take.
LIMIT = 10.0

#: Files that are read at a time: more than there are cores, for those that sleep.
AT_A_TIME = 8

_IMPORTS = re.compile(rb"^\s*(?:from|import)\s+nflow\b", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundParameter:
    """A parameter of a workflow."""

    name: str
    type: str
    default: Any
    required: bool
    help: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundDag:
    """A dag of a workflow."""

    name: str
    autostart: bool
    tasks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A workflow file, as far as it could be read."""

    name: str
    path: str
    purpose: str = ""
    parameters: tuple[FoundParameter, ...] = ()
    dags: tuple[FoundDag, ...] = ()
    problem: str | None = None  #: why it cannot be run


def candidates(folders: Iterable[Path] = ()) -> list[Path]:
    """The files that import nflow, where `nflow run NAME` looks; of two with one name that which it would take."""
    files: dict[str, Path] = {}
    for place in look_up(folders):
        for file in sorted(place.glob("*.py")):
            if file.is_file():
                files.setdefault(file.stem, file)
    return [file for _, file in sorted(files.items()) if _imports_nflow(file)]


def look_into(files: Iterable[Path], *, seconds: float = LIMIT) -> list[Found]:
    """What is in these files, several looked into at a time, each for so many seconds."""
    bell = Bell()
    with TemporaryDirectory(prefix="nflow-list-") as folder, ThreadPoolExecutor(AT_A_TIME) as pool:
        try:
            looks = [
                pool.submit(_look, file, Path(folder) / f"{number}.json", seconds, bell)
                for number, file in enumerate(files)
            ]
            return [look.result() for look in looks]
        except BaseException:  # Ctrl-C: nobody waits for the slow ones any more
            bell.ring()
            pool.shutdown(cancel_futures=True)
            raise
        finally:
            bell.close()


def imported(node: ast.AST) -> Iterable[str]:
    """The modules that a statement imports."""
    match node:
        case ast.Import(names=names):
            return [alias.name for alias in names]
        case ast.ImportFrom(module=str(module), level=0):
            return [module]
    return []


def _imports_nflow(file: Path) -> bool:
    try:
        text = file.read_bytes()
    except OSError:
        return True  # it may; reading it will tell what is wrong with it
    if b"nflow" not in text:
        return False
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return _IMPORTS.search(text) is not None
    return any(name.partition(".")[0] == "nflow" for node in ast.walk(tree) for name in imported(node))


def _look(file: Path, answer: Path, seconds: float, bell: Bell) -> Found:
    name, path = file.stem, str(file.absolute())
    command = [sys.executable, "-P", "-m", "nflow.files.glance", path, str(answer)]
    sign, code = _run(command, glance_environment(file), seconds, bell)
    with suppress(OSError, ValueError):
        told = json.loads(answer.read_text(encoding="utf-8"))
        return Found(
            name=name,
            path=path,
            purpose=told.get("purpose", ""),
            parameters=tuple(FoundParameter(**each) for each in told.get("parameters", ())),
            dags=tuple(FoundDag(**each) for each in told.get("dags", ())),
            problem=told.get("problem"),
        )
    return Found(name=name, path=path, problem=f"{file.name} {_end(sign, code, seconds)}")


def _run(command: list[str], environment: dict[str, str], seconds: float, bell: Bell) -> tuple[Sign, int]:
    """Run to its end, or for so long; what it has started ends with it."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment,
        start_new_session=True,
    )
    try:
        with Signs(pid=process.pid, bell=bell) as signs:
            sign = signs.wait(seconds)
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)  # before `wait`: until then nobody else can have this number
        code = process.wait()
    return sign, code


def _end(sign: Sign, code: int, seconds: float) -> str:
    if Sign.ENDED not in sign:
        return (
            f"still runs after {seconds:g} s. What a file does when it is read happens at each listing and each start: "
            "move it into a task."
        )
    how = f"is killed by {signal.Signals(-code).name}" if code < 0 else f"ends Python with os._exit({code})"
    return f"{how} while it is read. Move what does it into a task."
