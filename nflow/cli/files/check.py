"""`nflow check`: what is wrong with a workflow file, without a server and before anything is started."""

import json
from typing import TYPE_CHECKING

from nflow.cli.arguments import JsonOption, WorkflowArgument, load_settings
from nflow.cli.console.streams import say
from nflow.cli.edge import USAGE
from nflow.cli.files.loading import find_workflow

if TYPE_CHECKING:
    from nflow.cli.files.checking import Verdict


def check(workflow: WorkflowArgument, as_json: JsonOption = False) -> int:
    """Read a workflow, plan it and pack what its tasks run, and say all that is wrong. Nothing is started.

    Exit code 2 when it cannot run; warnings alone are 0.

    [dim]Example:[/dim]  nflow check sequence
    """
    path = find_workflow(workflow, load_settings())
    from nflow.cli.files.checking import checked  # noqa: PLC0415 - after a file that is not there has been told

    verdict = checked(path)
    say(_as_json(verdict) if as_json else _as_text(verdict))
    return USAGE if verdict.problems else 0


def _as_text(verdict: "Verdict") -> str:
    parts = [f"{_counted(verdict.dags, 'dag')}, {_counted(verdict.tasks, 'task')}"]
    if verdict.parameters:
        parts.append(f"parameters: {', '.join(verdict.parameters)}")
    end = _counted(len(verdict.problems), "problem") if verdict.problems else "looks good"
    if verdict.warnings:
        end += f", {_counted(len(verdict.warnings), 'warning')}"
    return "\n".join(
        (
            *(f"problem: {line}" for line in verdict.problems),
            *(f"warning: {line}" for line in verdict.warnings),
            f"{verdict.file}: {'; '.join(parts)}; {end}." if verdict.dags else f"{verdict.file}: {end}.",
        )
    )


def _as_json(verdict: "Verdict") -> str:
    from dataclasses import asdict  # noqa: PLC0415

    return json.dumps(asdict(verdict), indent=2, ensure_ascii=False)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
