"""A run from its submission to its end, shown while it moves."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import ParamSpec

from nflow.bus.port import Record
from nflow.cli.follow.lines import ShownLines
from nflow.cli.follow.screen import Screen
from nflow.cli.follow.summary import Part
from nflow.cli.queues.lookout import Lookout
from nflow.core.events import Event
from nflow.core.ids import RunId
from nflow.engine.serving import Needs
from nflow.runs import Following, Runs
from nflow.view.run import RunView

P = ParamSpec("P")

#: Frames a second.
FRAMES = 8


class Stage:
    """A screen that is slow to write to, seen from the event loop: calls come one after the other, in a thread.

    A terminal that a person has paused, or a pipe into `less`, must not hold up the worker and the drivers of this
    process.
    """

    def __init__(self, screen: Screen) -> None:
        self.screen = screen
        self._thread = ThreadPoolExecutor(1, "nflow-screen")

    def show(self, what: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> "asyncio.Future[None]":
        """Call a method of the screen after what was shown before."""

        def call() -> None:
            what(*args, **kwargs)

        return asyncio.get_running_loop().run_in_executor(self._thread, call)

    def note(self, text: str) -> None:
        """Show a remark of nflow's own, without waiting for it."""
        self.show(self.screen.note, text)

    async def summary(self, parts: Iterable[Part]) -> None:
        """Show how the run ended."""
        await self.show(self.screen.summary, list(parts))

    def close(self) -> None:
        """Show nothing more than what is on its way."""
        self._thread.shutdown(wait=False)


async def follow(
    client: Runs,
    run: RunId,
    view: RunView,
    stage: Stage,
    *,
    with_lines: bool,
    needs: Needs | None = None,
    opening: int = 0,
    after: int = 0,
) -> None:
    """Show a run until it has ended. The view knows the rest.

    Args:
        client: Follows it.
        run: Which.
        view: Takes in what it does.
        stage: Shows it.
        with_lines: Show what its tasks write, too.
        needs: Queues that others are to serve; that nobody does is told. None: this process serves them.
        opening: The retry that is followed; what was before it is taken in without a word.
        after: The last line that was written before.
    """
    engine, screen = client.engine, stage.screen
    over = asyncio.Event()
    lookout = None if needs is None else Lookout(engine, run, needs, stage.note)

    def on_event(event: Event, record: Record) -> None:
        view.take(event, record)
        if view.opening >= opening:
            for text in view.news:
                stage.note(text)
        view.news.clear()
        if lookout is not None:
            lookout.on_event()
        if view.finished and view.finished.opening >= opening:
            over.set()

    async with AsyncExitStack() as around:
        around.enter_context(screen.showing())
        if screen.moves:
            await around.enter_async_context(_moving(client, view, stage))
        if lookout is not None:
            await around.enter_async_context(lookout)
        following = await around.enter_async_context(Following(engine, engine.subjects.run_events(run), on_event))
        if with_lines:
            lines = ShownLines(engine, run, lambda lines: stage.show(screen.lines, lines), after=after)
            await around.enter_async_context(lines)
        await following.until(over.wait())


@asynccontextmanager
async def _moving(client: Runs, view: RunView, stage: Stage) -> AsyncIterator[None]:
    async def draw() -> None:
        while True:
            frame = view.frame()
            if not client.engine.bus.connected_for():
                frame = replace(frame, remark="no server, waiting for it")
            await stage.show(stage.screen.draw, frame)
            await asyncio.sleep(1 / FRAMES)  # a clock, not a wait

    drawing = asyncio.ensure_future(draw())
    try:
        yield
    finally:
        drawing.cancel()
        await asyncio.wait([drawing])
