"""`nflow stop`: ask a run to end."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from nflow.cli.arguments import JsonOption, ServerOption, load_settings
from nflow.cli.console.streams import say
from nflow.errors import UsageError

if TYPE_CHECKING:
    from nflow.config import Settings


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
    as_json: JsonOption = False,
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

    loop.run(_stop(settings, run, dag, as_json=as_json))


async def _stop(settings: "Settings", text: str, dag: str | None, *, as_json: bool) -> None:
    from nflow.runs import Runs, whoever_asks  # noqa: PLC0415 - the bus is needed only from here on
    from nflow.session import open_engine  # noqa: PLC0415

    async with open_engine(settings) as engine:
        grace, by = settings.worker.grace, whoever_asks()
        entry = await Runs(engine).ask_to_stop(text, dag=dag, grace=grace, by=by)
        if as_json:
            asked = {"run": entry.run, "workflow": entry.workflow, "dag": dag, "grace": grace, "by": by}
            say(json.dumps(asked, indent=2))
        else:
            say(f"Asked {dag or entry.workflow} ({entry.run}) to stop.")
