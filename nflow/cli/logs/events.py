"""`nflow events`: what happens in a run, or in all of them."""

from typing import TYPE_CHECKING, Annotated

import typer

from nflow.cli.arguments import ServerOption, SinceOption, UtcOption, load_settings
from nflow.cli.logs.logs import FollowOption, JsonLinesOption

if TYPE_CHECKING:
    from nflow.cli.logs.telling import Asked
    from nflow.config import Settings


def events(
    run: Annotated[
        str | None, typer.Argument(help="Id of a run, a beginning of it, or @last; by default all runs.", metavar="RUN")
    ] = None,
    follow: FollowOption = False,
    details: Annotated[
        bool, typer.Option("--details", "-d", help="Show workers, hosts, processes, durations, and who drives, too.")
    ] = False,
    since: SinceOption = None,
    utc: UtcOption = False,
    as_json: JsonLinesOption = False,
    server: ServerOption = None,
) -> None:
    """Show what happened in runs, a line an event. With -f what happens from now on, until Ctrl-C.

    [dim]Example:[/dim]  nflow events -f --details
    """
    settings = load_settings(server)
    from nflow import loop  # noqa: PLC0415 - as the bus, needed only from here on
    from nflow.cli.logs.telling import Asked  # noqa: PLC0415

    loop.run(_events(settings, Asked(run=run, follow=follow, details=details, since=since, utc=utc, as_json=as_json)))


async def _events(settings: "Settings", asked: "Asked") -> None:
    from nflow.cli.logs.absence import telling_absence  # noqa: PLC0415
    from nflow.cli.logs.telling import tell_events  # noqa: PLC0415
    from nflow.session import open_engine  # noqa: PLC0415

    async with open_engine(settings) as engine:
        with telling_absence(engine.bus):
            await tell_events(engine, asked)
