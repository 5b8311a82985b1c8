"""`nflow server`: the embedded server in the foreground, and settings that are the server's."""

from typing import TYPE_CHECKING, Annotated

import typer

from nflow.cli.arguments import ServerOption, load_settings
from nflow.cli.console.confirming import confirm
from nflow.cli.console.streams import say
from nflow.errors import ServerError, UsageError

if TYPE_CHECKING:
    from nflow.config import Settings

app = typer.Typer()


@app.callback(invoke_without_command=True)
def server(context: typer.Context) -> None:
    """Run the embedded server in the foreground, until Ctrl-C. Other commands of yours attach to it.

    [dim]Example:[/dim]  nflow server
    """
    if context.invoked_subcommand is not None:
        return
    settings = load_settings()
    if settings.server.url is not None:
        raise UsageError(f"Your commands use the server at {settings.server.url}. Unset server.url to use one here.")
    from nflow.server import serve_foreground  # noqa: PLC0415 - after bad settings have been told

    serve_foreground(settings, say)


@app.command("apply")
def apply(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    server: ServerOption = None,
) -> None:
    """Let the server keep as much of the logs as logs.max_size and logs.max_age say. What is too much or too old goes.

    [dim]Example:[/dim]  NFLOW_LOGS_MAX_SIZE=2GiB nflow server apply
    """
    settings = load_settings(server)
    if settings.logs.max_size is None and settings.logs.max_age is None:
        raise UsageError("Neither logs.max_size nor logs.max_age is set: there is nothing to apply.")
    confirm("This holds for all who use the server, and lines that do not fit any more are removed. Go on?", yes=yes)
    from nflow import loop  # noqa: PLC0415 - as the bus, needed only from here on

    loop.run(_apply(settings))


async def _apply(settings: "Settings") -> None:
    from nflow.bus.nats import NatsBus  # noqa: PLC0415 - the bus is needed only from here on
    from nflow.session import log_limits, open_engine  # noqa: PLC0415

    async with open_engine(settings) as engine:
        if not isinstance(engine.bus, NatsBus):
            raise ServerError("There is no server whose limits could be set.")
        for change in await engine.bus.set_log_limits(log_limits(settings)) or ["The server has these limits already."]:
            say(change)
