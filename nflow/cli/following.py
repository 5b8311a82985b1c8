"""A run from its submission to its end, as `nflow run` and `nflow start --wait` show it."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager

from nflow.bus.port import Record
from nflow.cli.edge import FAILED, INTERRUPTED
from nflow.cli.screen import Screen
from nflow.cli.view import RunView
from nflow.client import Client, Following
from nflow.config import Settings, slot_environment
from nflow.core.events import Event, Status
from nflow.core.ids import RunId
from nflow.engine.engine import Engine
from nflow.engine.log import Follower
from nflow.models.workflow import Workflow
from nflow.session import is_embedded, open_engine
from nflow.wire.lines import unpack_lines
from nflow.worker.duties import Duties
from nflow.worker.worker import Worker

#: Seconds that tasks have to end by themselves after Ctrl-C.
GRACE = 10.0


class RunCommand:
    """`nflow run`."""

    def __init__(
        self,
        settings: Settings,
        workflow: Workflow,
        arguments: Mapping[str, object],
        *,
        queue: str,
        work: bool | None,
        as_json: bool,
    ) -> None:
        self._settings = settings
        self._workflow = workflow
        self._arguments = arguments
        self._queue = queue
        self._works = is_embedded(settings) if work is None else work
        self._as_json = as_json
        self._screen = Screen(quiet=as_json)
        self._interrupts = 0
        self._stopping: asyncio.Task[None] | None = None

    async def run(self) -> int:
        """Submit, work, follow; the exit code."""
        async with open_engine(self._settings) as engine, self._working(engine):
            client = Client(engine)
            if self._works:
                await self._announce_left_over(client)
            run = await client.submit(self._workflow, self._arguments, queue=self._queue)
            view = RunView({name: len(dag.graph().tasks) for name, dag in self._workflow.dags.items()})
            return await self._follow(client, run, view)

    async def _follow(self, client: Client, run: RunId, view: RunView) -> int:
        over = asyncio.Event()

        def on_event(event: Event, record: Record) -> None:
            view.take(event, record)
            if view.finished:
                over.set()

        with self._interruptible(client, run), self._screen.showing(self._workflow.name, view):
            async with (
                Following(client.engine, client.engine.subjects.run_events(run), on_event),
                self._lines(client.engine, run),
            ):
                await over.wait()
        return self._end(run, view)

    def _end(self, run: RunId, view: RunView) -> int:
        assert view.finished is not None
        if self._as_json:
            sys.stdout.write(json.dumps(_as_json(self._workflow.name, run, view), indent=2) + "\n")
        else:
            self._screen.summary(self._workflow.name, run, view)
        if self._interrupts:
            return INTERRUPTED
        return 0 if view.finished.status is Status.SUCCEEDED else FAILED

    @asynccontextmanager
    async def _lines(self, engine: Engine, run: RunId) -> AsyncIterator[None]:
        def on_record(record: Record) -> None:
            for line in unpack_lines(record.payload)[1]:
                self._screen.line(line)

        follower = Follower(engine.bus, engine.subjects.lines_of(run), on_record)
        try:
            await follower.start()
            yield
            await follower.complete()
        finally:
            follower.close()

    @asynccontextmanager
    async def _working(self, engine: Engine) -> AsyncIterator[None]:
        if not self._works:
            yield
            return
        worker = Worker(
            engine,
            Duties(
                queues=tuple(dict.fromkeys((*self._settings.worker.queues, self._queue))),
                slots=self._settings.worker.slots,
                tasks_per_slot=self._settings.worker.tasks_per_slot,
                environment=slot_environment(),
            ),
        )
        try:
            await worker.start()
            yield
        finally:
            await worker.leave()
            await worker.close()

    async def _announce_left_over(self, client: Client) -> None:
        entries = [entry for entry in await client.runs() if entry.is_active]
        if entries:
            names = ", ".join(f"{entry.workflow} ({entry.run})" for entry in entries[:5])
            more = f" and {len(entries) - 5} more" if len(entries) > 5 else ""
            self._screen.note(f"{len(entries)} run(s) left from before go on here meanwhile: {names}{more}.")

    @contextmanager
    def _interruptible(self, client: Client, run: RunId) -> Iterator[None]:
        """Ctrl-C stops the run; a second one leaves it as it is, to go on when there is a worker again."""
        loop, main = asyncio.get_running_loop(), asyncio.current_task()
        assert main is not None

        def interrupt() -> None:
            self._interrupts += 1
            if self._interrupts > 1:
                main.cancel()
                return
            self._screen.note(f"Stopping {self._workflow.name}; press Ctrl-C again to leave it as it is.")
            self._stopping = loop.create_task(client.stop(run, grace=GRACE, by="Ctrl-C"))

        loop.add_signal_handler(signal.SIGINT, interrupt)
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGINT)


def _as_json(name: str, run: RunId, view: RunView) -> dict[str, object]:
    assert view.finished is not None
    return {
        "run": run,
        "workflow": name,
        "status": view.finished.status.value,
        "reason": view.finished.reason,
        "seconds": round((view.ended or 0.0) - (view.started or view.ended or 0.0), 6),
        "tasks": dict(view.counts),
        "failures": [
            {
                "dag": failure.dag,
                "task": failure.task,
                "host": failure.host,
                "type": failure.error.type,
                "message": failure.error.message,
                "traceback": failure.error.traceback,
            }
            for failure in view.failures
        ],
    }
