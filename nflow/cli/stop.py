"""`nflow stop`: ask a run to end."""

from typing import TYPE_CHECKING, Annotated

import typer

from nflow import loop
from nflow.cli.arguments import ServerOption, load_settings

if TYPE_CHECKING:
    from nflow.config import Settings


def stop(
    run: Annotated[str, typer.Argument(help="Id of the run, a beginning of it, or @last.", metavar="RUN")],
    dag: Annotated[str | None, typer.Option("--dag", help="Stop only this dag run, e.g. sub_dag:1.")] = None,
    grace: Annotated[
        float | None, typer.Option("--grace", help="Seconds until tasks that go on are killed.", min=0)
    ] = None,
    server: ServerOption = None,
) -> None:
    """Stop a run: nothing new starts, running tasks are told, and killed after their grace.

    [dim]Example:[/dim]  nflow stop @last
    """
    settings = load_settings(server, worker__grace=grace)
    loop.run(_stop(settings, run, dag))


async def _stop(settings: "Settings", text: str, dag: str | None) -> None:
    from nflow.client import Client  # noqa: PLC0415 - the bus is needed only from here on
    from nflow.errors import UsageError  # noqa: PLC0415
    from nflow.session import open_engine  # noqa: PLC0415

    async with open_engine(settings) as engine:
        client = Client(engine)
        entry = await client.find(text)
        if not entry.is_active:
            raise UsageError(f"Run {entry.run} ({entry.workflow}) has {entry.state} already.")
        await client.stop(entry.run, dag=dag, grace=settings.worker.grace)
        typer.echo(f"Asked {entry.workflow} ({entry.run}) to stop.")
