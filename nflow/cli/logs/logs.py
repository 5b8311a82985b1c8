"""`nflow logs`: what the tasks of a run print and log."""

from typing import TYPE_CHECKING, Annotated

import typer

from nflow.cli.arguments import ServerOption, SinceOption, TaskArgument, UtcOption, load_settings
from nflow.errors import UsageError

if TYPE_CHECKING:
    from nflow.cli.logs.reading import Wanted
    from nflow.config import Settings

FollowOption = Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes.")]
JsonLinesOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs, an object a line.")]


def logs(  # noqa: PLR0913, PLR0917 - an argument is an option of the command
    run: Annotated[str, typer.Argument(help="Id of the run, a beginning of it, or @last.", metavar="RUN")],
    task: TaskArgument = None,
    follow: FollowOption = False,
    attempt: Annotated[int | None, typer.Option("--attempt", help="Only this attempt: 1, 2 ...", min=1)] = None,
    level: Annotated[
        str | None,
        typer.Option("--level", help="Only what was logged at this level or above; nothing printed.", metavar="LEVEL"),
    ] = None,
    since: SinceOption = None,
    utc: UtcOption = False,
    raw: Annotated[
        bool, typer.Option("--raw", help="Only what was printed, byte for byte, for a file or another program.")
    ] = False,
    as_json: JsonLinesOption = False,
    server: ServerOption = None,
) -> None:
    """Show what the tasks of a run print and log, line by line. With -f until the run has ended.

    [dim]Example:[/dim]  nflow logs @last reduce -f
    """
    if raw and (as_json or level):
        raise UsageError("--raw shows what was printed and nothing else. Leave out --json and --level.")
    settings = load_settings(server)
    from nflow import loop  # noqa: PLC0415 - as the bus, needed only from here on
    from nflow.cli.logs.reading import Wanted, threshold  # noqa: PLC0415

    wanted = Wanted(
        run=run,
        task=task,
        follow=follow,
        attempt=attempt,
        level=None if level is None else threshold(level),
        since=since,
        utc=utc,
        form="raw" if raw else "json" if as_json else "text",
    )
    loop.run(_logs(settings, wanted))


async def _logs(settings: "Settings", wanted: "Wanted") -> None:
    from nflow.cli.logs.absence import telling_absence  # noqa: PLC0415
    from nflow.cli.logs.reading import show_lines  # noqa: PLC0415
    from nflow.session import open_engine  # noqa: PLC0415

    async with open_engine(settings) as engine:
        with telling_absence(engine.bus):
            await show_lines(engine, wanted)
