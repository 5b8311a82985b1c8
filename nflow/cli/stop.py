"""`nflow stop`: ask a run to end."""

from typing import TYPE_CHECKING, Annotated

import typer

from nflow.cli.arguments import ServerOption, load_settings
from nflow.cli.console.streams import say
from nflow.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nflow.client import Client
    from nflow.config import Settings
    from nflow.core.ids import DagId, RunId


def stop(
    run: Annotated[str, typer.Argument(help="Id of the run, a beginning of it, or @last.", metavar="RUN")],
    dag: Annotated[
        str | None, typer.Option("--dag", help="Stop only this dag run, sub_dag:1, or all of a dag: sub_dag.")
    ] = None,
    grace: Annotated[
        float | None,
        typer.Option("--grace", help="Seconds until tasks that go on are killed; by default 10.", min=0),
    ] = None,
    now: Annotated[bool, typer.Option("--now", help="Kill running tasks at once: the same as --grace 0.")] = False,
    server: ServerOption = None,
) -> None:
    """Stop a run: nothing new starts, running tasks are told, and killed after their grace.

    A run that is stopping already can be stopped again, with less grace.

    [dim]Example:[/dim]  nflow stop @last --now
    """
    if now and grace:
        raise UsageError("--now leaves running tasks no time, and --grace does. Give one of them.")
    settings = load_settings(server, worker__grace=0 if now else grace)
    from nflow import loop  # noqa: PLC0415 - as the bus, needed only from here on

    loop.run(_stop(settings, run, dag))


async def _stop(settings: "Settings", text: str, dag: str | None) -> None:
    from nflow.client import Client  # noqa: PLC0415 - the bus is needed only from here on
    from nflow.session import open_engine  # noqa: PLC0415

    async with open_engine(settings) as engine:
        client = Client(engine)
        entry = await client.find(text)
        if not entry.is_active:
            raise UsageError(f"Run {entry.run} ({entry.workflow}) has {_ended(entry.state)} already.")
        if dag is not None:
            _refuse_unless_moving(dag, await _in_flight(client, entry.run), entry.run)
        await client.stop(entry.run, dag=dag, grace=settings.worker.grace)
        say(f"Asked {dag or entry.workflow} ({entry.run}) to stop.")


def _refuse_unless_moving(dag: str, flying: "Sequence[DagId]", run: "RunId") -> None:
    from nflow.core.workflow_state import name_of  # noqa: PLC0415

    if not any(dag in (each, name_of(each)) for each in flying):
        raise UsageError(f"No dag run '{dag}' moves in {run}. There are: {', '.join(flying) or 'none'}.")


async def _in_flight(client: "Client", run: "RunId") -> "tuple[DagId, ...]":
    from nflow.client import Following  # noqa: PLC0415
    from nflow.view.run import RunView  # noqa: PLC0415

    view = RunView({})
    async with Following(client.engine, client.engine.subjects.log(run), view.take):
        return view.dags


def _ended(state: str) -> str:
    return "been stopped" if state == "stopped" else state
