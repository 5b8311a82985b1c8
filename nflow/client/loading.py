"""What a program may start: a workflow file by its name or path, a module, or a dag that it has just made."""

import sys
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import TypeAlias

from nflow.config import Settings
from nflow.files.needs import require_names
from nflow.files.policy import usual_policy
from nflow.models.dag import Dag
from nflow.models.policy import Policy
from nflow.models.workflow import Workflow, assembled, find, load, require_graph
from nflow.shipment import Shipment, pack

Startable: TypeAlias = str | Path | ModuleType | Dag

#: Reading a file changes where modules are found; two threads at once would find each other's.
_reading = threading.Lock()


def read(path: Path) -> Workflow:
    """The workflow in a file, whose code is executed: by one thread at a time."""
    with _reading:
        return load(path)


def packed(
    workflow: Startable,
    arguments: Mapping[str, object],
    settings: Settings,
    *,
    queue: str,
    deadline: float | None,
) -> tuple[Workflow, Shipment]:
    """A workflow and what is sent of it, made without a server.

    Raises:
        UsageError: there is no such workflow, it cannot run, or its arguments are wrong.
    """
    loaded = _loaded(workflow, settings)
    if deadline is not None:
        loaded = replace(loaded, policy=Policy(deadline=deadline).over(loaded.policy))
    require_names(loaded, queue)
    return loaded, pack(loaded, arguments, usual_policy(settings))


def _loaded(workflow: Startable, settings: Settings) -> Workflow:
    if isinstance(workflow, Dag):
        return _made_here({workflow.name: workflow}, workflow.name)
    if not isinstance(workflow, ModuleType):
        return read(find(workflow, settings.workflows.folders))
    file = getattr(workflow, "__file__", None)
    if workflow is not sys.modules.get("__main__") and file is not None:
        return read(Path(file))  # anew, so that its tasks are sent by value: workers need not have the module
    # A script, which would start itself over and over, or a notebook, which remembers results under such names.
    names = {name: value for name, value in vars(workflow).items() if not name.startswith("_")}
    return _made_here({**names, "__doc__": workflow.__doc__}, Path(file).stem if file else "notebook")


def _made_here(names: Mapping[str, object], name: str) -> Workflow:
    workflow = assembled(names, path=Path.cwd() / f"{name}.py")
    for dag in workflow.startable.values():
        require_graph(dag)
    return workflow
