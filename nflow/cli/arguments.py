"""What several commands have in common: options, and `key=value` arguments."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from nflow.errors import UsageError, WorkflowNotFound

if TYPE_CHECKING:
    from pathlib import Path

    from nflow.config import Settings
    from nflow.models.policy import Policy
    from nflow.models.workflow import Workflow

ServerOption = Annotated[
    str | None, typer.Option("--server", help="Address of the site's server, e.g. nats://host:4222.", metavar="URL")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
WorkflowArgument = Annotated[str, typer.Argument(help="Path of a workflow file, or its name.", metavar="WORKFLOW")]
ArgumentsArgument = Annotated[list[str] | None, typer.Argument(help="Parameters of the workflow.", metavar="KEY=VALUE")]
QueueOption = Annotated[str, typer.Option("--queue", "-q", help="Workflow queue to put the run into.")]

KeepDataOption = Annotated[
    bool,
    typer.Option("--keep-data", "-k", help="Keep the store of the run, and what its tasks hand on, if it succeeds."),
]

DeadlineOption = Annotated[
    str | None,
    typer.Option("--deadline", help="Stop the run, as failed, when it has taken so long: 90, 30m, 2h.", metavar="TIME"),
]


def load_settings(server: str | None = None, **overrides: object) -> "Settings":
    """The settings, with the flags of this command over them."""
    from nflow.config import load  # noqa: PLC0415 - pydantic takes a tenth of a second, which --help need not wait for

    return load({"server.url": server, **{key.replace("__", "."): value for key, value in overrides.items()}})


def load_workflow(name: str, settings: "Settings", *, deadline: str | None = None) -> "Workflow":
    """The workflow of that name or path; with a `deadline`, which the settings have read, that is the run's."""
    from nflow.cli.files.reading import reading  # noqa: PLC0415 - see above
    from nflow.models.policy import Policy  # noqa: PLC0415
    from nflow.models.workflow import load  # noqa: PLC0415

    path = find_workflow(name, settings)
    with reading(path):
        workflow = load(path)
    if deadline is None:
        return workflow
    return replace(workflow, policy=Policy(deadline=settings.policy.deadline).over(workflow.policy))


def find_workflow(name: str, settings: "Settings") -> "Path":
    """The file of the workflow of that name or path."""
    from nflow.cli.files.examples import files  # noqa: PLC0415 - see above
    from nflow.models.workflow import find  # noqa: PLC0415

    try:
        return find(name, settings.workflows.folders)
    except WorkflowNotFound as error:
        if name not in [file.stem for file in files()]:
            raise
        raise WorkflowNotFound(f"{error}\n'{name}' is an example; to have it here: nflow examples copy .") from None


def usual_policy(settings: "Settings") -> "Policy":
    """What is done about tasks that fail or take too long, where a workflow does not say."""
    from nflow.models.policy import Policy  # noqa: PLC0415 - see above
    from nflow.models.retry import Retry  # noqa: PLC0415

    said = settings.policy
    retry = Retry(attempts=said.attempts, pause=said.pause) if said.attempts > 1 else None
    return Policy(retry=retry, on_failure=said.on_failure, timeout=said.timeout, deadline=said.deadline)


def parse_arguments(given: Sequence[str] | None) -> dict[str, str]:
    """`key=value` pairs as a dict; a value may hold further `=`.

    Raises:
        UsageError: one of them has no `=`, or comes twice.
    """
    values: dict[str, str] = {}
    for text in given or ():
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UsageError(f"'{text}' is no parameter. Write it as KEY=VALUE, e.g. iterations=5.")
        if key in values:
            raise UsageError(f"The parameter '{key}' is given twice: {key}={values[key]} and {text}. Leave one out.")
        values[key] = value
    return values
