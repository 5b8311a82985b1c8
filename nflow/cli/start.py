"""`nflow start`: submit a run and print its id, nothing else."""

import sys
from typing import Annotated

import typer

from nflow import loop
from nflow.cli.arguments import (
    ArgumentsArgument,
    QueueOption,
    ServerOption,
    WorkflowArgument,
    load_settings,
    load_workflow,
    parse_arguments,
)


def start(
    workflow: WorkflowArgument,
    arguments: ArgumentsArgument = None,
    queue: QueueOption = "workflow",
    wait: Annotated[
        bool, typer.Option("--wait", help="Return when the run has ended; exit code 1 if it failed.")
    ] = False,
    server: ServerOption = None,
) -> int:
    """Start a workflow for workers elsewhere, and print the id of its run.

    [dim]Example:[/dim]  RUN=$(nflow start sequence)
    """
    settings = load_settings(server)
    values = parse_arguments(arguments)
    loaded = load_workflow(workflow, settings)
    loaded.parameters.resolve(values)
    return loop.run(_start(settings, loaded, values, queue, wait))


async def _start(settings, loaded, values, queue, wait):  # type: ignore[no-untyped-def]
    from nflow.client import Client
    from nflow.core.events import Status
    from nflow.session import open_engine

    async with open_engine(settings) as engine:
        client = Client(engine)
        run = await client.submit(loaded, values, queue=queue)
        sys.stdout.write(f"{run}\n")
        sys.stdout.flush()
        if not wait:
            return 0
        finished = await client.wait(run)
        return 0 if finished.status is Status.SUCCEEDED else 1
