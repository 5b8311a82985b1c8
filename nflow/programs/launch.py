"""How a program is started, in a process group of its own, and in words why it could not be."""

import errno
import grp
import os
import pwd
import socket
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from nflow.errors import ProgramNotStarted

Text: TypeAlias = str | bytes | os.PathLike[str]
Command: TypeAlias = Text | Sequence[Text]
Stream: TypeAlias = int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """What to start, and as whom."""

    command: Command  #: a line for a shell, or a list of a program and its arguments, which needs no shell
    cwd: Text | None = None
    env: Mapping[Any, Any] | None = None  #: replaces the environment
    env_update: Mapping[Any, Any] | None = None  #: laid over the environment
    user: int | str | None = None
    group: int | str | None = None
    executable: Text | None = None  #: another shell than /bin/sh

    def start(
        self, *, stdin: Stream, stdout: Stream, stderr: Stream, inherited: Sequence[int], process_group: int, of: str
    ) -> subprocess.Popen[bytes]:
        """Start it.

        Raises:
            ProgramNotStarted: naming `of`, the task, and what to mend.
        """
        try:
            return subprocess.Popen(
                self._arguments(),
                shell=not self._is_list,
                bufsize=0,
                cwd=self.cwd,
                env=self._environment(),
                executable=self.executable,
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                pass_fds=inherited,
                process_group=process_group,
                **self._identity(),
            )
        except (OSError, ValueError, TypeError, LookupError, subprocess.SubprocessError) as error:
            raise ProgramNotStarted(f"{of} could not start its program: {self._reason(error)}") from error

    @property
    def _is_list(self) -> bool:
        return isinstance(self.command, list | tuple)

    def _arguments(self) -> Any:
        if self._is_list and self.command:
            return self.command
        if isinstance(self.command, str | bytes | os.PathLike) and self.command:
            return os.fspath(self.command)
        raise ValueError(
            f"command={self.command!r} is not a command. Give it a line for the shell, as text, or a list of a program "
            "and its arguments."
        )

    def _environment(self) -> dict[Any, Any] | None:
        if self.env is None and self.env_update is None:
            return None
        environment = {**(os.environ if self.env is None else self.env), **(self.env_update or {})}
        for key, value in environment.items():
            if not isinstance(value, str | bytes | os.PathLike):
                raise TypeError(f"the environment variable '{key}' is {value!r}, which is not text. Write str(...).")
        return environment

    def _identity(self) -> dict[str, Any]:
        """Whom to become: the user with its groups, or with the one group that was given and no other."""
        if self.user is None and self.group is None:
            return {}
        user, account = (None, None) if self.user is None else _user(self.user)
        if self.group is not None:
            group = _group(self.group)
            groups = [group]
        elif account is not None:
            group = account.pw_gid
            groups = os.getgrouplist(account.pw_name, group)
        else:
            raise LookupError(
                f"user {self.user} has no account on '{socket.gethostname()}' that tells its group. Give group= too."
            )
        if os.geteuid() != 0 and user in (None, os.geteuid()) and group == os.getegid():
            return {}  # nothing to change, for which one would need to be root
        return {"user": user, "group": group, "extra_groups": groups}

    def _reason(self, error: Exception) -> str:
        match error:
            case OSError():
                return self._system_reason(error)
            case LookupError():
                return str(error.args[0])  # its own text would be in quotes
        return str(error)

    def _system_reason(self, error: OSError) -> str:
        here = f"on '{socket.gethostname()}'"
        folder = os.fsdecode(self.cwd) if self.cwd is not None else "."
        program = self._program()
        reason = f"{error.strerror} ('{program}', in '{folder}')."
        match error.errno:
            case errno.EPERM if self.user is not None or self.group is not None:
                reason = "this worker may not become another user or group. Start it as root, or drop user= and group=."
            case errno.ENOENT | errno.ENOTDIR if not Path(folder).is_dir():
                reason = f"there is no folder '{folder}' {here}. Make it, or mend cwd=."
            case errno.EACCES if not os.access(folder, os.X_OK):
                reason = f"this worker may not enter the folder '{folder}' {here}. Change its mode, or mend cwd=."
            case errno.ENOENT:
                reason = f"there is no program '{program}' {here}. Install it there, or give its full path."
            case errno.EACCES:
                reason = f"'{program}' {here} may not be executed. Make it executable (chmod +x), or mend user=."
            case errno.ENOEXEC:
                reason = f"'{program}' is not a program. Begin it with a line such as '#!/bin/sh'."
            case errno.E2BIG:
                reason = "its command and environment are too long for the system. Give it what it needs by stdin=."
        return reason

    def _program(self) -> str:
        if self.executable is not None:
            return os.fsdecode(self.executable)
        return os.fsdecode(self.command[0]) if isinstance(self.command, list | tuple) else "/bin/sh"


def _user(user: int | str) -> tuple[int, pwd.struct_passwd | None]:
    number = _number(user)
    try:
        account = pwd.getpwnam(str(user)) if number is None else pwd.getpwuid(number)
    except (KeyError, OverflowError):
        if number is None or number < 0:
            raise LookupError(f"there is no user '{user}' on '{socket.gethostname()}'. Mend user=.") from None
        return number, None
    return account.pw_uid, account


def _group(group: int | str) -> int:
    number = _number(group)
    try:
        return grp.getgrnam(str(group)).gr_gid if number is None else number
    except KeyError:
        raise LookupError(f"there is no group '{group}' on '{socket.gethostname()}'. Mend group=.") from None


def _number(name: int | str) -> int | None:
    try:
        return int(name)
    except ValueError:
        return None
