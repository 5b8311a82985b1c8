"""A run from its submission to its end, shown while it moves."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import ParamSpec

from nflow.bus.port import Record
from nflow.cli.lines import Lines
from nflow.cli.screen import Screen
from nflow.cli.summary import Part
from nflow.cli.view import RunView
from nflow.client import Client, Following
from nflow.core.events import Event
from nflow.core.ids import RunId
from nflow.core.spec import WorkflowSpec
from nflow.models.plan import ids_of, retry_of
from nflow.models.workflow import Workflow

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


def view_of(workflow: Workflow) -> RunView:
    """A view of a run of this workflow that has not begun."""
    graphs = {name: dag.graph() for name, dag in workflow.startable.items()}
    retries = {
        (name, id_): retry
        for name, graph in graphs.items()
        for id_, task in zip(ids_of(graph.tasks), graph.tasks, strict=True)
        if (retry := retry_of(task, workflow.dags[name])) is not None
    }
    return RunView({name: len(graph.tasks) for name, graph in graphs.items()}, retries)


def view_of_spec(spec: WorkflowSpec) -> RunView:
    """The same, of a workflow whose file is not at hand."""
    retries = {(str(dag.name), task.id): task.retry for dag in spec.dags.values() for task in dag.tasks if task.retry}
    return RunView({name: len(dag.tasks) for name, dag in spec.dags.items()}, retries)


async def follow(
    client: Client,
    run: RunId,
    view: RunView,
    stage: Stage,
    *,
    with_lines: bool,
    opening: int = 0,
    after: int = 0,
) -> None:
    """Show a run until it has ended: what it does and, `with_lines`, what its tasks write. The view knows the rest.

    Args:
        client: Connected.
        run: Which.
        view: What is known of it.
        stage: Where it is shown.
        with_lines: Show what its tasks write too.
        opening: The retry that is followed; what was before it is taken in without a word.
        after: The last line that was written before.
    """
    engine, screen = client.engine, stage.screen
    over = asyncio.Event()

    def on_event(event: Event, record: Record) -> None:
        view.take(event, record)
        if view.opening >= opening:
            for text in view.news:
                stage.note(text)
        view.news.clear()
        if view.finished and view.finished.opening >= opening:
            over.set()

    async with AsyncExitStack() as around:
        around.enter_context(screen.showing())
        if screen.moves:
            await around.enter_async_context(_moving(client, view, stage))
        await around.enter_async_context(Following(engine, engine.subjects.run_events(run), on_event))
        if with_lines:
            lines = Lines(engine, run, lambda lines: stage.show(screen.lines, lines), after=after)
            await around.enter_async_context(lines)
        await over.wait()


@asynccontextmanager
async def _moving(client: Client, view: RunView, stage: Stage) -> AsyncIterator[None]:
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
