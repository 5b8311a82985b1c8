"""What several commands have in common: options, and `key=value` arguments."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from nflow.errors import UsageError

if TYPE_CHECKING:
    from nflow.config import Settings

ServerOption = Annotated[
    str | None, typer.Option("--server", help="Address of the site's server, e.g. nats://host:4222.", metavar="URL")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
UtcOption = Annotated[bool, typer.Option("--utc", help="Show times in UTC instead of local time.")]
SinceOption = Annotated[
    str | None,
    typer.Option(
        "--since", help="Only since then: 10m or 7d ago, 02:15, 2026-03-31, 2026-03-31T02:15.", metavar="TIME"
    ),
]
TaskArgument = Annotated[
    str | None,
    typer.Argument(help="A task: reduce, sub_dag:2/reduce; or a dag run: sub_dag:2/.", metavar="TASK"),
]
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

SlotsOption = Annotated[
    int | None, typer.Option("--slots", help="Tasks to run at a time; by default the number of cores.", min=1)
]

WorkOption = Annotated[
    bool | None,
    typer.Option("--work/--no-work", help="Do the work here too; by default only when no site's server is configured."),
]

#: What commands call the settings that they have a flag for.
_FLAGS = {
    "server.url": "--server",
    "worker.slots": "--slots",
    "worker.queues": "--queues",
    "worker.grace": "--grace",
    "policy.deadline": "--deadline",
}


def load_settings(server: str | None = None, **overrides: object) -> "Settings":
    """The settings, with the flags of this command over them."""
    from nflow.config import load  # noqa: PLC0415 - pydantic takes a tenth of a second, which --help need not wait for

    given = {key.replace("__", "."): value for key, value in overrides.items()}
    return load({"server.url": server, **given}, called=_FLAGS)


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
