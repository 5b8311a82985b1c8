"""`nflow start`: submit a run and print its id, nothing else."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from nflow.cli.arguments import (
    ArgumentsArgument,
    DeadlineOption,
    KeepDataOption,
    QueueOption,
    ServerOption,
    WorkflowArgument,
    load_settings,
    parse_arguments,
)
from nflow.cli.files.loading import load_workflow

if TYPE_CHECKING:
    from nflow.config import Settings
    from nflow.core.ids import RunId
    from nflow.engine.serving import Needs
    from nflow.models.workflow import Workflow
    from nflow.runs import Runs
    from nflow.shipment import Shipment


def start(
    workflow: WorkflowArgument,
    arguments: ArgumentsArgument = None,
    queue: QueueOption = "workflow",
    keep_data: KeepDataOption = False,
    deadline: DeadlineOption = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Return when the run has ended; exit code 1 if it failed or was stopped.")
    ] = False,
    server: ServerOption = None,
) -> int:
    """Start a workflow for workers elsewhere, and print the id of its run.

    [dim]Example:[/dim]  RUN=$(nflow start sequence)
    """
    from nflow.cli.files.reading import writing_to_stderr  # noqa: PLC0415
    from nflow.files.needs import require_names  # noqa: PLC0415 - as the next, nothing that --help needs
    from nflow.files.policy import usual_policy  # noqa: PLC0415
    from nflow.shipment import pack  # noqa: PLC0415

    settings = load_settings(server, policy__deadline=deadline)
    values = parse_arguments(arguments)
    loaded = load_workflow(workflow, settings, deadline=deadline)
    require_names(loaded, queue)
    with writing_to_stderr():
        shipment = pack(loaded, values, usual_policy(settings))  # bad input is told before anything is started
    from nflow import loop  # noqa: PLC0415 - as the bus, needed only from here on

    return loop.run(_start(settings, loaded, shipment, queue=queue, keep_data=keep_data, wait=wait))


async def _start(
    settings: "Settings", workflow: "Workflow", shipment: "Shipment", *, queue: str, keep_data: bool, wait: bool
) -> int:
    from nflow.files.needs import advice, needs_of  # noqa: PLC0415
    from nflow.runs import Runs  # noqa: PLC0415
    from nflow.session import open_engine  # noqa: PLC0415

    async with open_engine(settings) as engine:
        client = Runs(engine)
        run = await client.send(shipment, queue=queue, keep_data=keep_data)
        sys.stdout.write(f"{run}\n")
        sys.stdout.flush()
        if wait:
            return await _wait(client, run, shipment, needs_of(workflow, queue))
        if text := await advice(engine, needs_of(workflow, queue)):
            sys.stderr.write(f"{text}\n")
        return 0


async def _wait(client: "Runs", run: "RunId", shipment: "Shipment", needs: "Needs") -> int:
    """Follow the run on stderr: stdout has its id alone."""
    from nflow.cli.edge import FAILED  # noqa: PLC0415
    from nflow.cli.follow.following import Stage, follow  # noqa: PLC0415
    from nflow.cli.follow.screen import screen  # noqa: PLC0415
    from nflow.cli.follow.summary import summary  # noqa: PLC0415
    from nflow.core.events import Status  # noqa: PLC0415
    from nflow.runs import view_of  # noqa: PLC0415
    from nflow.wire.messages import unpack_spec  # noqa: PLC0415

    stage, view = Stage(screen(shipment.workflow, quiet=True)), view_of(unpack_spec(shipment.spec))
    try:
        await follow(client, run, view, stage, with_lines=False, needs=needs)
        await stage.summary(summary(shipment.workflow, run, view, with_output=True))
    finally:
        stage.close()
    assert view.finished is not None
    return 0 if view.finished.status is Status.SUCCEEDED else FAILED
