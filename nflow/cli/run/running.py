"""A run in the foreground: begin it, work here where there is no site's server, follow to the end."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from nflow.cli.console.streams import say
from nflow.cli.edge import FAILED, INTERRUPTED
from nflow.cli.follow.following import Stage, follow
from nflow.cli.follow.screen import screen
from nflow.cli.follow.summary import as_json, summary
from nflow.cli.run.headstart import HeadStart
from nflow.cli.run.interrupts import Interrupts
from nflow.cli.run.leftover import going_on, left_over, still_to_end
from nflow.cli.run.undertaking import Begun, Undertaking
from nflow.cli.worker.working import duties_of
from nflow.config import Settings
from nflow.core.events import Status
from nflow.core.ids import RunId
from nflow.engine.engine import Engine
from nflow.errors import NflowError
from nflow.runs import Runs
from nflow.session import open_engine
from nflow.view.run import RunView
from nflow.worker.worker import Worker

#: What ends within so many seconds is not worth a word.
PROMPT = 0.2


class Running:
    """One `nflow run` or `nflow retry`."""

    _stage: Stage

    def __init__(self, settings: Settings, undertaking: Undertaking, *, works: bool, as_json: bool) -> None:
        self._settings = settings
        self._undertaking = undertaking
        self._works = works
        self._as_json = as_json
        self._interrupts = Interrupts()
        self._stopping: asyncio.Task[None] | None = None
        self._is_asked_to_stop = False
        self._code: int | None = None

    async def run(self, head_start: HeadStart) -> int:
        """Run it; the exit code."""
        try:
            with self._interrupts.caught():
                async with open_engine(self._settings, attaching=head_start.attachment, works=self._works) as engine:
                    await self._undertaking.look(Runs(engine), works=self._works)
                    await self._show(engine, head_start)
        except asyncio.CancelledError:
            if not self._interrupts.count:
                raise
        return INTERRUPTED if self._code is None else self._code

    async def _show(self, engine: Engine, head_start: HeadStart) -> None:
        self._stage = Stage(screen(self._undertaking.name, quiet=self._as_json))
        try:
            await self._run(engine, head_start)
        finally:
            self._stage.close()

    async def _run(self, engine: Engine, head_start: HeadStart) -> None:
        client = Runs(engine)
        before = await left_over(client) if self._works else []
        if before:
            self._stage.note(going_on(before))
        async with self._working(engine, head_start):
            begun = await self._undertaking.begin(client)
            view = self._undertaking.view()
            await self._follow(client, begun, view)
            self._code = self._code_of(view)
            await self._tell(begun.run, view)
        if before and (after := [entry for entry in await left_over(client) if entry.run != begun.run]):
            self._stage.note(still_to_end(after))

    async def _follow(self, client: Runs, begun: Begun, view: RunView) -> None:
        run = begun.run
        try:
            with self._interrupts.first(lambda: self._stop(client, run)):
                needs = None if self._works else self._undertaking.needs
                await follow(
                    client,
                    run,
                    view,
                    self._stage,
                    with_lines=True,
                    needs=needs,
                    opening=begun.opening,
                    after=begun.after,
                )
        except asyncio.CancelledError:
            self._stage.note(f"Left {self._undertaking.name} ({run}) as it is. {self._how_to_go_on(run)}")
            if self._as_json:
                await self._tell(run, view)
            raise
        finally:
            if self._stopping is not None:
                self._stopping.cancel()  # it has nobody to tell any more

    def _how_to_go_on(self, run: RunId) -> str:
        if self._works:
            return "To go on: nflow worker"
        if self._is_asked_to_stop:
            return f"It was asked to stop. To see how far it is: nflow status {run}"
        return f"To stop it: nflow stop {run}"

    def _stop(self, client: Runs, run: RunId) -> None:
        self._stage.note(f"Stopping {self._undertaking.name}; press Ctrl-C again to leave it as it is.")
        self._stopping = asyncio.ensure_future(self._ask_to_stop(client, run))

    async def _ask_to_stop(self, client: Runs, run: RunId) -> None:
        try:
            await client.stop(run, grace=self._settings.worker.grace, by="Ctrl-C")
            self._is_asked_to_stop = True
            if not self._works and (entry := await client.engine.index.get(run)) and not await client.is_driven(entry):
                self._stage.note(
                    f"No worker drives {self._undertaking.name} now. "
                    "The stop is kept for the one that takes it; another Ctrl-C leaves it at that."
                )
        except NflowError as error:
            self._stage.note(f"It could not be stopped: {error}")

    def _code_of(self, view: RunView) -> int:
        assert view.finished is not None
        if self._interrupts.count:
            return INTERRUPTED
        return 0 if view.finished.status is Status.SUCCEEDED else FAILED

    async def _tell(self, run: RunId, view: RunView) -> None:
        if self._as_json:
            say(json.dumps(as_json(self._undertaking.name, run, view), indent=2))
        else:
            await self._stage.summary(summary(self._undertaking.name, run, view))
            if view.finished is not None and view.finished.status is not Status.SUCCEEDED:
                self._stage.note(f"When its cause is mended, it can go on from there: nflow retry {run}")

    # --- working here ---

    @asynccontextmanager
    async def _working(self, engine: Engine, head_start: HeadStart) -> AsyncIterator[None]:
        if not self._works:
            yield
            return
        duties = duties_of(self._settings, self._undertaking.needs.queues)
        worker = Worker(engine, duties, head_start.take_slots())
        try:
            await worker.start()
            yield
            await self._let_others_end(worker)
        finally:
            await worker.leave()
            await worker.close()

    async def _let_others_end(self, worker: Worker) -> None:
        """Tasks of other runs may end here, for a while; they would have to begin again elsewhere."""
        draining = asyncio.ensure_future(worker.drain())
        _, still = await asyncio.wait([draining], timeout=PROMPT)
        if still:
            grace = self._settings.worker.grace
            self._stage.note(f"Tasks of other runs may end here within {grace:g} s; Ctrl-C hands them back at once.")
            await asyncio.wait([draining], timeout=grace)
            worker.stop()
        await draining
