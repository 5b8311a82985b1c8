"""nflow as a user has it, for one measurement: a home of its own, `nflow worker` in its process, a client in this one."""

import asyncio
import os
import shutil
import signal
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Self

from nflow.client import Client
from nflow.config import Settings, load
from nflow.core.events import Status
from nflow.models.workflow import Workflow
from nflow.models.workflow import load as load_workflow
from nflow.session import open_engine

NFLOW = Path(sys.executable).with_name("nflow")

#: Until a worker has said that it works, and until a run must have ended.
START_WITHIN = 30.0
RUN_WITHIN = 600.0


class Station:
    """A worker with two slots on its own embedded server, gone without a trace when the `async with` is over."""

    def __init__(self, *, slots: int = 2) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="nflow-bench-"))
        self.client: Client
        self._slots = slots
        self._stack = AsyncExitStack()
        self._worker: Process

    @property
    def settings(self) -> Settings:
        """Those of its users."""
        return load({"home": self.folder / "home"})

    @property
    def worker_pid(self) -> int:
        """Of `nflow worker`."""
        return self._worker.pid

    async def __aenter__(self) -> Self:
        self._stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self._worker = await self.start_worker()
        self._stack.push_async_callback(end, self._worker)
        self.client = Client(await self._stack.enter_async_context(open_engine(self.settings)))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def start_worker(self) -> Process:
        """One more worker; returns once it takes work."""
        process = await asyncio.create_subprocess_exec(
            str(NFLOW), "worker", "--slots", str(self._slots), stderr=PIPE, env=environment(self.folder / "home")
        )
        assert process.stderr is not None
        async with asyncio.timeout(START_WITHIN):
            while line := await process.stderr.readline():
                if b" serves " in line:
                    break
            else:
                raise RuntimeError("nflow worker did not start")
        asyncio.ensure_future(_pass_on(process.stderr))
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
            raise RuntimeError(f"{workflow.name} has {finished.status}: {finished.reason}")


def environment(home: Path) -> dict[str, str]:
    """Of a process of a user whose home is this one, and who has configured nothing."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("NFLOW_")}
    return inherited | {"NFLOW_HOME": str(home)}


async def end(process: Process) -> None:
    """End a worker as a person does, and if it does not listen, as a kernel does."""
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
