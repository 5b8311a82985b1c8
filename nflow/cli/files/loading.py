"""The workflow that a command line names: found, read, and given what the settings say."""

from dataclasses import replace
from typing import TYPE_CHECKING

from nflow.cli.files.examples import files
from nflow.cli.files.reading import reading
from nflow.errors import WorkflowNotFound

if TYPE_CHECKING:
    from pathlib import Path

    from nflow.config import Settings
    from nflow.models.workflow import Workflow


def load_workflow(name: str, settings: "Settings", *, deadline: str | None = None) -> "Workflow":
    """The workflow of that name or path; with a `deadline`, which the settings have read, that is the run's."""
    from nflow.models.policy import Policy  # noqa: PLC0415 - as the next ones, nothing that `--help` needs
    from nflow.models.workflow import load  # noqa: PLC0415

    path = find_workflow(name, settings)
    with reading(path):
        workflow = load(path)
    if deadline is None:
        return workflow
    return replace(workflow, policy=Policy(deadline=settings.policy.deadline).over(workflow.policy))


def find_workflow(name: str, settings: "Settings") -> "Path":
    """The file of the workflow of that name or path."""
    from nflow.models.workflow import find  # noqa: PLC0415 - see above

    try:
        return find(name, settings.workflows.folders)
    except WorkflowNotFound as error:
        if name not in [file.stem for file in files()]:
            raise
        raise WorkflowNotFound(f"{error}\n'{name}' is an example; to have it here: nflow examples copy .") from None
