"""`nflow list`: which workflows there are to run by name."""

from typing import TYPE_CHECKING

from nflow.cli.arguments import JsonOption, load_settings
from nflow.cli.console.streams import say
from nflow.cli.console.table import print_json, print_table

if TYPE_CHECKING:
    from pathlib import Path

    from nflow.files.found import Found, FoundParameter


def list_(as_json: JsonOption = False) -> None:
    """List the workflows here, in ./examples and in the configured folders: what `nflow run NAME` finds.

    [dim]Example:[/dim]  nflow list
    """
    settings = load_settings()
    from nflow.files.found import candidates, look_into  # noqa: PLC0415 - after bad settings have been told

    found = look_into(candidates(settings.workflows.folders))
    if as_json:
        print_json(found)
    elif found:
        _show(found)
    else:
        say(_nothing(settings.workflows.folders))


def _show(found: "list[Found]") -> None:
    rows = [
        (
            entry.name,
            ", ".join(dag.name for dag in entry.dags),
            " ".join(map(_shown, entry.parameters)),
            entry.purpose,
        )
        for entry in found
        if entry.problem is None
    ]
    if rows:
        print_table(("workflow", "dags", "parameters", "what it does"), rows)
    for entry in found:
        if entry.problem is not None:  # under the table, which cuts its cells on a narrow terminal
            say(f"{entry.name} cannot be run: {' '.join(entry.problem.split())}")


def _shown(parameter: "FoundParameter") -> str:
    """As on the command line."""
    if parameter.default is None:
        return f"{parameter.name}=..." if parameter.required else f"[{parameter.name}=...]"
    return f"{parameter.name}={parameter.default}"


def _nothing(folders: "tuple[Path, ...]") -> str:
    from pathlib import Path  # noqa: PLC0415

    from nflow.models.workflow import look_up  # noqa: PLC0415

    places = ", ".join(str(place.absolute()) for place in look_up(folders))
    return f"No workflows in {places}. To have some to begin with, in {Path.cwd()}: nflow examples copy ."
