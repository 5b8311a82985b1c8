"""`nflow run`: start a workflow, follow it to its end and, on the embedded server, do its work here."""

import logging
from typing import Annotated

import typer

from nflow import loop
from nflow.cli.arguments import (
    ArgumentsArgument,
    JsonOption,
    QueueOption,
    ServerOption,
    WorkflowArgument,
    load_settings,
    load_workflow,
    parse_arguments,
)
from nflow.cli.edge import log_to_stderr


def run(
    workflow: WorkflowArgument,
    arguments: ArgumentsArgument = None,
    queue: QueueOption = "workflow",
    slots: Annotated[int | None, typer.Option("--slots", help="Tasks to run at a time.", min=1)] = None,
    work: Annotated[
        bool | None,
        typer.Option(
            "--work/--no-work", help="Do the work here too. By default only when no site's server is configured."
        ),
    ] = None,
    as_json: JsonOption = False,
    server: ServerOption = None,
) -> int:
    """Start a workflow and follow it to its end. Without a configured server nothing needs to be set up.

    [dim]Example:[/dim]  nflow run examples/phase_id.py data=profiles out=results
    """
    log_to_stderr(logging.WARNING)
    settings = load_settings(server, worker__slots=slots)
    values = parse_arguments(arguments)
    loaded = load_workflow(workflow, settings)
    loaded.parameters.resolve(values)  # bad input is told before anything is started
    from nflow.cli.following import RunCommand  # noqa: PLC0415 - the bus is needed only from here on

    return loop.run(RunCommand(settings, loaded, values, queue=queue, work=work, as_json=as_json).run())
