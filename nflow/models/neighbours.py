"""Modules that lie beside a workflow file: found first, as beside any script, and never mistaken for those of another.

The same rule holds where a file is read and where its tasks run: a neighbour comes before an installed module, but not
before one of Python's own, which libraries count on; and the file itself is no module for others to import.
"""

import importlib
import sys
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Self

#: nflow may lie beside a workflow too, in a checkout.
_OURS = __name__.partition(".")[0]


class Neighbours:
    """Lets the modules of one folder be imported, from `welcome` until `dismiss`.

    Args:
        folder: The folder of a workflow file.
        own: The name of that file, without its ending.
    """

    def __init__(self, folder: Path, own: str) -> None:
        self.folder = folder
        self.own = own
        self._before: set[str] = set()
        self._met: dict[str, ModuleType] = {}

    def welcome(self) -> Self:
        """From now on they are found."""
        self._before = set(sys.modules)
        sys.meta_path.insert(0, self)
        sys.path.append(str(self.folder))  # for what looks for files there
        importlib.invalidate_caches()
        return self

    def dismiss(self) -> None:
        """They are found no more; those that were imported stay."""
        self._met = {name: sys.modules[name] for name in sys.modules if name not in self._before and self._has(name)}
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        if str(self.folder) in sys.path:
            last = len(sys.path) - 1 - sys.path[::-1].index(str(self.folder))
            del sys.path[last]  # and not one that was there before

    def forget(self) -> None:
        """Let go of those that were imported while they were welcome."""
        for name, module in self._met.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]

    def find_spec(self, name: str, path: object = None, _: object = None) -> ModuleSpec | None:
        """Answer the import system."""
        if path is not None or name in sys.stdlib_module_names or name.partition(".")[0] == _OURS:
            return None
        if name == self.own:
            return self._installed(name)
        return PathFinder.find_spec(name, [str(self.folder)])

    def owns_its_name(self) -> bool:
        """Whether no importable module has the name of the file."""
        is_taken = self.own.isidentifier() and (self.own in sys.modules or self._installed(self.own) is not None)
        return not is_taken

    def _installed(self, name: str) -> ModuleSpec | None:
        """The module of that name as if the workflow file were not there."""
        home = self.folder.resolve()
        elsewhere = [entry for entry in sys.path if Path(entry).resolve() != home]
        for finder in sys.meta_path:
            if isinstance(finder, Neighbours):
                continue
            spec = finder.find_spec(name, elsewhere if finder is PathFinder else None)
            if spec is not None and spec.origin is not None:  # a mere folder of that name is no module
                return spec
        return None

    def _has(self, name: str) -> bool:
        top = name.partition(".")[0]
        module = sys.modules.get(top)
        return top != _OURS and module is not None and self.folder in _homes(module)


def _homes(module: ModuleType) -> list[Path]:
    """The folders in which a module, or a package, lies."""
    file = getattr(module, "__file__", None)
    if getattr(module, "__path__", None) is not None:
        return [Path(each).parent for each in module.__path__]
    return [Path(file).parent] if file else []
