"""`nflow top`: what goes on, at a glance and by the second."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from nflow.cli.arguments import ServerOption, load_settings
from nflow.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from nflow.config import Settings
    from nflow.top.feed import Feed


def top(
    once: Annotated[bool, typer.Option("--once", help="Print it once, as tables, and end.")] = False,
    every: Annotated[bool, typer.Option("--all", "-a", help="With --once: print all runs that are known.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print it once, as JSON for programs.")] = False,
    server: ServerOption = None,
) -> int:
    """Watch runs, queues and workers; look into a run, stop it, retry it. Press ? for the keys.

    [dim]Example:[/dim]  nflow top
    """
    settings = load_settings(server)
    if not (once or as_json) and not _is_terminal():
        raise UsageError(
            "nflow top draws on a terminal, and here is none that it can draw on. For files and pipes: nflow top --once"
        )
    from nflow import loop  # noqa: PLC0415 - as the bus, needed only from here on

    if once or as_json:
        loop.run(_print(settings, every=every, as_json=as_json))
        return 0
    return loop.run(_watch(settings))


def _is_terminal() -> bool:
    if not all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):  # it draws on the last one
        return False
    from rich.console import Console  # noqa: PLC0415 - takes time to import, and only terminals need it

    return not Console().is_dumb_terminal


async def _print(settings: "Settings", *, every: bool, as_json: bool) -> None:
    import json  # noqa: PLC0415 - as all of this, of the bus and of the screen

    from nflow.cli.console.streams import say  # noqa: PLC0415
    from nflow.session import open_engine  # noqa: PLC0415
    from nflow.top import once  # noqa: PLC0415
    from nflow.top.feed import Feed  # noqa: PLC0415
    from nflow.top.model import Model  # noqa: PLC0415
    from nflow.top.view import Scene  # noqa: PLC0415

    model = Model()
    async with open_engine(settings) as engine, Feed(engine, model, gauge=None) as feed:
        await feed.complete()
        feed.visible = tuple(line.run for line in once.listed(model, every=every))
        await feed.complete()
        if as_json:
            scene = Scene(model=model, now=feed.now())
            say(json.dumps(once.as_json(scene, every=every), indent=2, ensure_ascii=False))
            return
        console = once.console_of_stdout()
        once.print_tables(Scene(model=model, now=feed.now(), look=once.look_of(console)), console, every=every)


async def _watch(settings: "Settings") -> int:
    import asyncio  # noqa: PLC0415 - as above

    from nflow.session import open_engine  # noqa: PLC0415
    from nflow.top.feed import Feed  # noqa: PLC0415
    from nflow.top.model import Model  # noqa: PLC0415

    drawing = asyncio.ensure_future(asyncio.to_thread(_import_app))  # while the server answers
    async with open_engine(settings) as engine, Feed(engine, Model(), grace=settings.worker.grace) as feed:
        watch = await drawing
        return await watch(feed)


def _import_app() -> "Callable[[Feed], Awaitable[int]]":
    """What draws: by far the most that is to be imported."""
    from nflow.top.app import watch  # noqa: PLC0415

    return watch
