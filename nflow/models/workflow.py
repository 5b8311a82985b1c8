"""A workflow file: finding it, and reading it into its dags and parameters."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from inspect import cleandoc
from pathlib import Path
from traceback import walk_tb
from types import ModuleType

from nflow.errors import UsageError, WorkflowDefinitionError, WorkflowImportError, WorkflowNotFound
from nflow.models.dag import Dag
from nflow.models.parameters import Parameters


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    """A workflow file, read."""

    name: str
    path: Path
    doc: str
    dags: Mapping[str, Dag]
    parameters: Parameters


def find(name: str | Path, folders: Iterable[Path] = ()) -> Path:
    """The file of a workflow: `name` is a path, or looked up in the working directory, ./examples and `folders`.

    Raises:
        WorkflowNotFound: no such file; the message says where it was looked for, and what is there of a similar name.
    """
    path = Path(name)
    if path.is_file():
        return path
    if path.suffix == ".py":
        places = [path.parent]
    else:
        places = [Path(), Path("examples"), *folders]
        for place in places:
            candidate = place / f"{name}.py"
            if candidate.is_file():
                return candidate
    raise WorkflowNotFound(_not_found(path, places))


def load(path: Path) -> Workflow:
    """Read a workflow file by executing it.

    What the file defines belongs to no importable module afterwards, so that it is sent to workers by value, and a
    worker does not need the file.

    Raises:
        WorkflowNotFound: no such file.
        WorkflowImportError: the file cannot be executed, or defines no dag.
        WorkflowDefinitionError: what it defines cannot run.
    """
    path = path.absolute()
    if not path.is_file():
        raise WorkflowNotFound(_not_found(path, [path.parent]))
    found = list(vars(_executed(path)).items())
    dags: dict[str, Dag] = {}
    for _, value in found:
        if isinstance(value, Dag) and dags.setdefault(value.name, value) is not value:
            raise WorkflowDefinitionError(f"{path.name} has two dags named {value.name!r}. Rename one of them.")
    if not dags:
        raise WorkflowImportError(f"{path.name} defines no Dag. Put one at its top level: dag = Dag('main_dag').")
    return Workflow(
        name=path.stem,
        path=path,
        doc=cleandoc(str(dict(found).get("__doc__") or "")),
        dags=dags,
        parameters=_parameters(value for _, value in found),
    )


def _parameters(values: Iterable[object]) -> Parameters:
    each = {id(value): value for value in values if isinstance(value, Parameters)}
    return Parameters(
        (option for parameters in each.values() for option in parameters),
        extra=any(parameters.extra for parameters in each.values()),
    )


def _executed(path: Path) -> ModuleType:
    with _at_home(path) as name:
        loader = SourceFileLoader(name, str(path))
        spec = spec_from_loader(name, loader)
        assert spec is not None
        module = module_from_spec(spec)
        sys.modules[name] = module
        try:
            # Not by loader.exec_module: that trusts bytecode of the same second, and leaves some in users' folders.
            code = loader.source_to_code(loader.get_data(str(path)), str(path))
            exec(code, vars(module))  # noqa: S102 - the user's own file
        except UsageError as error:
            raise type(error)(f"{_place(path, error)}: {error}") from error
        except (Exception, SystemExit) as error:
            raise WorkflowImportError(f"Cannot load {_place(path, error)}: {_reason(path, error)}") from error
    return module


@contextmanager
def _at_home(path: Path) -> Iterator[str]:
    """Let the file import its neighbours; yield the name to execute it under.

    The name is the file's. Where an importable module has that name (a workflow `random.py`), that module keeps it:
    whatever is imported meanwhile must get the module, never the workflow.
    """
    folder = str(path.parent)
    installed = _Installed(path.stem, path.parent)
    name = path.stem if not installed.exists() else f"{path.stem}.py"
    before = sys.modules.get(name)
    sys.meta_path.insert(0, installed)
    sys.path.insert(0, folder)
    try:
        yield name
    finally:
        sys.meta_path.remove(installed)
        if folder in sys.path:
            sys.path.remove(folder)
        sys.modules.pop(name, None)
        if before is not None:
            sys.modules[name] = before


class _Installed:
    """Finds the module of one name as if the workflow file of that name were not there."""

    def __init__(self, name: str, folder: Path) -> None:
        self._name = name
        self._folder = folder.resolve()

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> ModuleSpec | None:
        """Answer the import system: an installed module of that name, and nothing for any other name."""
        if name != self._name:
            return None
        elsewhere = [entry for entry in sys.path if Path(entry).resolve() != self._folder]
        for finder in sys.meta_path:
            if finder is self:
                continue
            spec = finder.find_spec(name, elsewhere if finder is PathFinder else None)
            if spec is not None and spec.origin is not None:  # a mere folder of that name is no module
                return spec
        return None

    def exists(self) -> bool:
        """Whether some module has that name."""
        return self._name.isidentifier() and (self._name in sys.modules or self.find_spec(self._name) is not None)


def _place(path: Path, error: BaseException) -> str:
    lines = [line for frame, line in walk_tb(error.__traceback__) if frame.f_code.co_filename == str(path)]
    if isinstance(error, SyntaxError) and error.filename == str(path) and error.lineno is not None:
        lines.append(error.lineno)
    return f"{path.name}, line {lines[-1]}" if lines else path.name


def _reason(path: Path, error: BaseException) -> str:
    match error:
        case ModuleNotFoundError(name=str(name)):
            return f"it needs the module {name!r}, which {sys.executable} does not have. Install it there."
        case SyntaxError():
            elsewhere = f" ({error.filename}, line {error.lineno})" if error.filename != str(path) else ""
            return f"{error.msg}: {(error.text or '').strip()!r}{elsewhere}. Correct that line."
        case SystemExit():
            return "it ends Python while it is read. Call exit() only under `if __name__ == '__main__':`."
    return f"{type(error).__name__}: {error}. `python {path}` shows the whole traceback."


def _not_found(path: Path, places: Iterable[Path]) -> str:
    folders = [place.absolute() for place in places]
    there = sorted({file.stem for folder in folders for file in folder.glob("*.py")})
    close = get_close_matches(path.stem if path.suffix == ".py" else path.name, there)
    advice = f"Did you mean {' or '.join(map(repr, close))}?" if close else "Give its path, or its name without `.py`."
    return f"No workflow {str(path)!r} in {', '.join(map(str, folders))}. {advice}"
