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
    made_here = _made_here(workflow)
    loaded = made_here or read(_file_of(workflow, settings))
    if deadline is not None:
        loaded = replace(loaded, policy=Policy(deadline=deadline).over(loaded.policy))
    require_names(loaded, queue)
    shipment = pack(loaded, arguments, usual_policy(settings))
    return loaded, replace(shipment, has_file=made_here is None)


def _file_of(workflow: Startable, settings: Settings) -> Path:
    """The file of a workflow. That of a module is read anew: its tasks are sent by value then, and need no module."""
    if isinstance(workflow, ModuleType):
        return Path(str(workflow.__file__))
    assert not isinstance(workflow, Dag), "it was made here"
    return find(workflow, settings.workflows.folders)


def _made_here(workflow: Startable) -> Workflow | None:
    """What a program has defined by itself, as it is in memory; None for what is in a file of its own."""
    if isinstance(workflow, Dag):
        return _assembled({workflow.name: workflow}, Path.cwd() / f"{workflow.name}.py")
    file = getattr(workflow, "__file__", None)
    if not isinstance(workflow, ModuleType) or (file is not None and workflow is not sys.modules.get("__main__")):
        return None
    # A script, which would start itself over and over, or a notebook, which remembers results under such names.
    names = {name: value for name, value in vars(workflow).items() if not name.startswith("_")}
    path = Path(file).absolute() if file else Path.cwd() / "notebook.py"
    return _assembled({**names, "__doc__": workflow.__doc__}, path)


def _assembled(names: Mapping[str, object], path: Path) -> Workflow:
    workflow = assembled(names, path=path)
    for dag in workflow.startable.values():
        require_graph(dag)
    return workflow
