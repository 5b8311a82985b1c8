"""`nflow retry`: let a run go on that has ended, where it failed or from a task on."""

import json
import logging
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from nflow.cli.arguments import JsonOption, ServerOption, SlotsOption, WorkOption, load_settings, parse_arguments
from nflow.cli.console.streams import say
from nflow.cli.edge import log_to_stderr

if TYPE_CHECKING:
    from nflow.cli.run.headstart import HeadStart
    from nflow.cli.run.retrial import Retrial
    from nflow.config import Settings


def retry(
    run: Annotated[str, typer.Argument(help="Id of the run, a beginning of it, or @last.", metavar="RUN")],
    tasks: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            help="Do this task again, and all that follow it, though they succeeded: reduce, or sub_dag:2/reduce.",
            metavar="TASK",
        ),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="Give a parameter of the workflow another value.", metavar="KEY=VALUE"),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow/--no-follow", help="Follow it to its end, or leave it to workers elsewhere.")
    ] = True,
    slots: SlotsOption = None,
    work: WorkOption = None,
    as_json: JsonOption = False,
    server: ServerOption = None,
) -> int:
    """Let a run go on that failed or was stopped: what succeeded counts, the rest begins again.

    It stays the same run, with its data and the code that it was started with.

    [dim]Example:[/dim]  nflow retry @last --set threshold=0.2
    """
    log_to_stderr(logging.ERROR)
    settings = load_settings(server, worker__slots=slots)
    changed = parse_arguments(changes)
    works = follow and (settings.server.url is None if work is None else work)
    from nflow.cli.run.headstart import HeadStart  # noqa: PLC0415 - what imports little starts first

    with HeadStart(settings, works=works) as head_start:
        head_start.attach()
        from nflow import loop  # noqa: PLC0415 - as the bus, needed only from here on
        from nflow.cli.run.retrial import Retrial  # noqa: PLC0415
        from nflow.cli.run.running import Running  # noqa: PLC0415

        retrial = Retrial(run, tasks=tasks or (), changes=changed)
        if follow:
            return loop.run(Running(settings, retrial, works=works, as_json=as_json).run(head_start))
        return loop.run(_begin(settings, retrial, head_start, as_json=as_json))


async def _begin(settings: "Settings", retrial: "Retrial", head_start: "HeadStart", *, as_json: bool) -> int:
    """Leave the run to workers."""
    from nflow.files.needs import advice  # noqa: PLC0415
    from nflow.runs import Runs  # noqa: PLC0415
    from nflow.session import open_engine  # noqa: PLC0415

    async with open_engine(settings, attaching=head_start.attachment) as engine:
        client = Runs(engine)
        await retrial.look(client, works=False)
        begun = await retrial.begin(client)
        if as_json:
            say(json.dumps({"run": begun.run, "workflow": retrial.name, "retry": begun.opening}, indent=2))
        else:
            say(f"{retrial.name} ({begun.run}) goes on.")
        if text := await advice(client.engine, retrial.needs):
            sys.stderr.write(f"{text}\n")
    return 0
