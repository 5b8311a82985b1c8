"""What several commands have in common: options, and `key=value` arguments."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from nflow.errors import UsageError, WorkflowNotFound

if TYPE_CHECKING:
    from pathlib import Path

    from nflow.config import Settings
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


def load_settings(server: str | None = None, **overrides: object) -> "Settings":
    """The settings, with the flags of this command over them."""
    from nflow.config import load  # noqa: PLC0415 - pydantic takes a tenth of a second, which --help need not wait for

    return load({"server.url": server, **{key.replace("__", "."): value for key, value in overrides.items()}})


def load_workflow(name: str, settings: "Settings") -> "Workflow":
    """The workflow of that name or path."""
    from nflow.cli.reading import reading  # noqa: PLC0415 - see above
    from nflow.models.workflow import load  # noqa: PLC0415

    path = find_workflow(name, settings)
    with reading(path):
        return load(path)


def find_workflow(name: str, settings: "Settings") -> "Path":
    """The file of the workflow of that name or path."""
    from nflow.cli.examples import files  # noqa: PLC0415 - see above
    from nflow.models.workflow import find  # noqa: PLC0415

    try:
        return find(name, settings.workflows.folders)
    except WorkflowNotFound as error:
        if name not in [file.stem for file in files()]:
            raise
        raise WorkflowNotFound(f"{error}\n'{name}' is an example; to have it here: nflow examples copy .") from None


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
