"""Modules that lie beside a workflow: found while it is played, and not mistaken for those of the next one."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from nflow.models.neighbours import Neighbours
from nflow.models.workflow import Workflow


@contextmanager
def paths_restored() -> Iterator[None]:
    """Search for modules afterwards where they were searched for before; neighbours of other plays are not found."""
    path, finders = sys.path[:], sys.meta_path[:]
    sys.meta_path[:] = [finder for finder in finders if not isinstance(finder, Neighbours)]
    try:
        yield
    finally:
        sys.path[:], sys.meta_path[:] = path, finders


@contextmanager
def neighbours_found(workflow: Workflow) -> Iterator[None]:
    """Let tasks import what lies beside the file of their workflow, as in a slot."""
    neighbours = Neighbours(workflow.path.parent, workflow.name).welcome()
    try:
        yield
    finally:
        neighbours.dismiss()


@contextmanager
def modules_restored(folder: Path) -> Iterator[None]:
    """Let go of the modules of a folder that are imported meanwhile; those that were there before stay."""
    before = dict(sys.modules)
    try:
        yield
    finally:
        now = dict(sys.modules)
        for name in {*before, *now}:
            if before.get(name) is not now.get(name) and folder in (_home(name, before), _home(name, now)):
                _put_back(name, before)


def _put_back(name: str, before: Mapping[str, ModuleType]) -> None:
    if name in before:
        sys.modules[name] = before[name]
    else:
        del sys.modules[name]


def _home(name: str, modules: Mapping[str, ModuleType]) -> Path | None:
    """The folder in which a module lies, or the whole package that it is part of."""
    module = modules.get(name.partition(".")[0])
    package = [*(getattr(module, "__path__", None) or ())]
    file = getattr(module, "__file__", None)
    where = package[0] if package else file
    return Path(where).parent if where else None
