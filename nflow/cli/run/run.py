"""`nflow run`: start a workflow, follow it to its end and, on the embedded server, do its work here."""

import logging

from nflow.cli.arguments import (
    ArgumentsArgument,
    DeadlineOption,
    JsonOption,
    KeepDataOption,
    QueueOption,
    ServerOption,
    SlotsOption,
    WorkflowArgument,
    WorkOption,
    load_settings,
    parse_arguments,
)
from nflow.cli.edge import log_to_stderr
from nflow.cli.files.loading import load_workflow


def run(  # noqa: PLR0913, PLR0917 - the flags of a command
    workflow: WorkflowArgument,
    arguments: ArgumentsArgument = None,
    queue: QueueOption = "workflow",
    keep_data: KeepDataOption = False,
    deadline: DeadlineOption = None,
    slots: SlotsOption = None,
    work: WorkOption = None,
    as_json: JsonOption = False,
    server: ServerOption = None,
) -> int:
    """Start a workflow and follow it to its end. Without a configured server nothing needs to be set up.

    Ctrl-C stops the run; a second one leaves it as it is, to go on later.

    [dim]Example:[/dim]  nflow run examples/phase_id.py data=profiles out=results
    """
    log_to_stderr(logging.ERROR)
    settings = load_settings(server, worker__slots=slots, policy__deadline=deadline)
    values = parse_arguments(arguments)
    loaded = load_workflow(workflow, settings, deadline=deadline)
    works = settings.server.url is None if work is None else work
    from nflow.cli.run.headstart import HeadStart  # noqa: PLC0415 - what imports little starts first

    with HeadStart(settings, works=works) as head_start:
        from nflow.cli.files.reading import writing_to_stderr  # noqa: PLC0415
        from nflow.files.needs import require_names  # noqa: PLC0415
        from nflow.files.policy import usual_policy  # noqa: PLC0415
        from nflow.shipment import pack  # noqa: PLC0415

        require_names(loaded, queue)
        with writing_to_stderr():
            shipment = pack(loaded, values, usual_policy(settings))  # bad input is told before a server is started
        head_start.attach()
        from nflow import loop  # noqa: PLC0415 - the bus and all that is needed only from here on
        from nflow.cli.run.running import Running  # noqa: PLC0415
        from nflow.cli.run.undertaking import Submission  # noqa: PLC0415

        submission = Submission(loaded, shipment, queue=queue, keep_data=keep_data)
        return loop.run(Running(settings, submission, works=works, as_json=as_json).run(head_start))
