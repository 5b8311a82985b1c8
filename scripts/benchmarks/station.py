"""nflow as a user has it: a home of its own, `nflow worker` in its process, a client in this one."""

import asyncio
import os
import shutil
import signal
import sys
import tempfile
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Self

from benchmarks.floor import Floor, floor
from nflow.config import Settings, load
from nflow.core.events import Status
from nflow.models.workflow import Workflow
from nflow.models.workflow import load as load_workflow
from nflow.runs import Runs
from nflow.server import attach
from nflow.session import open_engine

NFLOW = Path(sys.executable).with_name("nflow")

#: Until a worker must have said that it works, and until a run must have ended.
START_WITHIN = 30.0
RUN_WITHIN = 300.0


class BenchError(Exception):
    """What was to be measured did not happen."""


class Station:
    """A worker with two slots on its own embedded server, gone without a trace when the `async with` is over."""

    def __init__(self, variables: Mapping[str, str] | None = None) -> None:
        """Make one that is not open yet; `variables` are added to the environment of its workers."""
        self._variables = dict(variables or {})
        self.folder = Path(tempfile.mkdtemp(prefix="nflow-bench-"))
        self.client: Runs
        self.floor: Floor
        self.workers: list[Process] = []
        self._stack = AsyncExitStack()
        self._said: list[asyncio.Task[None]] = []

    @property
    def settings(self) -> Settings:
        """Those of its user."""
        return load({"home": self.folder / "home"})

    async def __aenter__(self) -> Self:
        try:
            await self._open()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def start_worker(self) -> Process:
        """One more worker; returns once it takes work."""
        process = await asyncio.create_subprocess_exec(
            *(str(NFLOW), "worker", "--slots", "2"),
            stdin=DEVNULL,
            stdout=DEVNULL,
            stderr=PIPE,
            env=environment(self.folder / "home") | self._variables,
        )
        self._stack.push_async_callback(end, process)
        self.workers.append(process)
        assert process.stderr is not None
        async with asyncio.timeout(START_WITHIN):
            while b" serves " not in (line := await process.stderr.readline()):
                if not line:
                    raise BenchError("nflow worker did not start")
        self._said.append(asyncio.ensure_future(_pass_on(process.stderr)))
        return process

    def workflow(self, name: str, text: str) -> Workflow:
        """The workflow of this text, from a file, as users have theirs."""
        path = self.folder / f"{name}.py"
        path.write_text(text, encoding="utf-8")
        return load_workflow(path)

    async def run(self, workflow: Workflow, arguments: Mapping[str, object] | None = None) -> None:
        """Submit a run and return when it has succeeded."""
        async with asyncio.timeout(RUN_WITHIN):
            finished = await self.client.wait(await self.client.submit(workflow, arguments))
        if finished.status is not Status.SUCCEEDED:
            raise BenchError(f"{workflow.name} has {finished.status}: {finished.reason}")

    async def _open(self) -> None:
        self._stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
        await self.start_worker()
        self.client = Runs(await self._stack.enter_async_context(open_engine(self.settings)))
        attachment = await asyncio.to_thread(attach, self.settings)
        self._stack.callback(attachment.detach)
        self.floor = await self._stack.enter_async_context(floor(attachment.url, attachment.token))


def environment(home: Path) -> dict[str, str]:
    """Of a process of a user whose home is this one, and who has configured nothing."""
    # whoever installs nflow has it compiled once and for all
    dropped = ("NFLOW_", "PYTHONDONTWRITEBYTECODE")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return inherited | {"NFLOW_HOME": str(home)}


async def end(process: Process) -> None:
    """End a worker as a person does, and if it does not listen, as the kernel does."""
    if process.returncode is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(START_WITHIN):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


async def _pass_on(stream: asyncio.StreamReader) -> None:
    while line := await stream.readline():
        if b" WARNING " in line or b" ERROR " in line:
            sys.stderr.buffer.write(line)
