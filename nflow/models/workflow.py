"""A workflow file: finding it, and reading it into its dags and parameters."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from inspect import cleandoc
from pathlib import Path
from traceback import walk_tb
from types import ModuleType

from nflow.errors import UsageError, WorkflowDefinitionError, WorkflowImportError, WorkflowNotFound
from nflow.models.dag import Dag
from nflow.models.gone import Gone, advice_on
from nflow.models.neighbours import Neighbours
from nflow.models.parameters import Parameters
from nflow.models.place import is_foreign, place_of, told
from nflow.models.policy import NOTHING_SAID, Policy

#: So much of a line of the file, or of an error's words, is shown.
LONGEST = 200


#: Neighbours of the file that was read last.
_met: list[Neighbours] = []


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    """A workflow file, read."""

    name: str
    path: Path
    doc: str
    dags: Mapping[str, Dag]
    parameters: Parameters
    policy: Policy = NOTHING_SAID

    @property
    def queues(self) -> list[str]:
        """Every queue that a dag or a task of it waits in, in the order of the file."""
        found: list[str] = []
        for dag in self.startable.values():
            found += [dag.queue, *(task.queue for task in dag.graph().tasks)]
        return list(dict.fromkeys(found))

    @property
    def startable(self) -> Mapping[str, Dag]:
        """The dags that a run may consist of. One without a schema is none, though a file may have it."""
        return {name: dag for name, dag in self.dags.items() if dag.has_schema}


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
        places = look_up(folders)
        for place in places:
            candidate = place / f"{name}.py"
            if candidate.is_file():
                return candidate
    raise WorkflowNotFound(_not_found(path, places))


def look_up(folders: Iterable[Path] = ()) -> list[Path]:
    """Where a workflow is looked for by its name; the first one found counts."""
    return [Path(), Path("examples"), *folders]


def load(path: Path) -> Workflow:
    """Read a workflow file by executing it.

    What the file defines belongs to no importable module afterwards, so that it is sent to workers by value, and a
    worker does not need the file. A dag that has no schema yet is accepted: who starts runs refuses it.

    Raises:
        WorkflowNotFound: no such file.
        WorkflowImportError: the file cannot be executed, or defines no dag.
        WorkflowDefinitionError: what it defines cannot run.
    """
    workflow = read(path)
    for dag in workflow.startable.values():
        require_graph(dag)
    return workflow


def require_graph(dag: Dag) -> None:
    """Make sure that a dag has a graph, which needs no looking at where `define` has made it.

    Raises:
        WorkflowDefinitionError: it has none; the message says where the dag was defined.
    """
    try:
        dag.graph()
    except WorkflowDefinitionError as error:
        raise type(error)(dag.defined.before(str(error))) from error


def read(path: Path) -> Workflow:
    """As `load`, but without a look at the schemas that nobody has looked at yet."""
    path = path.absolute()
    if not path.is_file():
        raise WorkflowNotFound(_not_found(path, [path.parent]))
    return assembled(vars(_executed(path)), path=path)


def assembled(names: Mapping[str, object], *, path: Path) -> Workflow:
    """The workflow that the names of a module make up, whichever way they came to be."""
    dags = _dags(path, names.values())
    if not dags:
        raise WorkflowImportError(f"{path.name} defines no Dag. Put one at its top level: dag = Dag('main_dag').")
    return Workflow(
        name=path.stem,
        path=path,
        doc=cleandoc(str(names.get("__doc__") or "")),
        dags=dags,
        parameters=_parameters(path, names.values()),
        policy=_policy(path, names),
    )


def _dags(path: Path, values: Iterable[object]) -> dict[str, Dag]:
    dags: dict[str, Dag] = {}
    for value in values:
        if not isinstance(value, Dag) or dags.setdefault(value.name, value) is value:
            continue
        places = f"{place_of(dags[value.name])} and {place_of(value)}"
        raise WorkflowDefinitionError(f"{path.name} has two dags named {value.name!r}: {places}. Rename one of them.")
    return dags


def _parameters(path: Path, values: Iterable[object]) -> Parameters:
    each = {id(value): value for value in values if isinstance(value, Parameters)}
    try:
        return Parameters(
            (option for parameters in each.values() for option in parameters),
            extra=any(getattr(parameters, "extra", False) for parameters in each.values()),
        )
    except WorkflowDefinitionError as error:
        raise WorkflowDefinitionError(f"{path.name}: {error}") from error


def _policy(path: Path, names: Mapping[str, object]) -> Policy:
    found = {id(value): (name, value) for name, value in names.items() if isinstance(value, Policy)}
    if len(found) > 1:
        several = " and ".join(f"'{name}'" for name, _ in found.values())
        raise WorkflowDefinitionError(f"{path.name} has several policies: {several}. Make one of them.")
    return next((policy for _, policy in found.values()), NOTHING_SAID)


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
            raise type(error)(f"{_place(path, error)}{_elsewhere(path, error)}: {error}") from error
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit, and what libraries make of BaseException
            raise WorkflowImportError(f"Cannot load {_place(path, error)}: {_reason(path, error)}") from error
    return module


@contextmanager
def _at_home(path: Path) -> Iterator[str]:
    """Let the file import its neighbours; yield the name to execute it under.

    The name is the file's. Where an importable module has that name (a workflow `random.py`), that module keeps it:
    whatever is imported meanwhile must get the module, never the workflow.
    """
    while _met:  # those of another file may have the same names, and those of this one may have been edited
        _met.pop().forget()
    neighbours = Neighbours(path.parent, path.stem)
    name = path.stem if neighbours.owns_its_name() else f"{path.stem}.py"
    before = sys.modules.get(name)
    _met.append(neighbours.welcome())
    try:
        yield name
    finally:
        neighbours.dismiss()
        sys.modules.pop(name, None)
        if before is not None:
            sys.modules[name] = before


def _place(path: Path, error: BaseException) -> str:
    lines = [line for frame, line in walk_tb(error.__traceback__) if frame.f_code.co_filename == str(path)]
    if isinstance(error, SyntaxError) and error.filename == str(path) and error.lineno is not None:
        lines.append(error.lineno)
    return told(str(path), lines[-1] if lines else 0)


def _elsewhere(path: Path, error: BaseException) -> str:
    """The line of another file of the user's that raised a complaint of nflow's."""
    lines = [(frame.f_code.co_filename, line) for frame, line in walk_tb(error.__traceback__)]
    foreign = [(file, line) for file, line in lines if is_foreign(file) and not file.startswith("<")]
    file, line = foreign[-1] if foreign else (str(path), 0)
    return f" ({told(file, line)})" if file != str(path) else ""


def _reason(path: Path, error: BaseException) -> str:
    match error:
        case ImportError() if words := _of_import(error):
            return words
        case SyntaxError(msg=str(text)) if "codec can't decode" in text:
            return "it is not UTF-8. Save it so, or name its encoding in its first line: # -*- coding: latin-1 -*-"
        case SyntaxError(lineno=None):
            return f"{error.msg}. Is it a Python file?"
        case SyntaxError():
            elsewhere = f" ({error.filename}, line {error.lineno})" if error.filename != str(path) else ""
            return f"{error.msg}: {(error.text or '').strip()[:LONGEST]!r}{elsewhere}. Correct that line."
        case SystemExit():
            return "it ends Python while it is read. Call exit() only under `if __name__ == '__main__':`."
    return f"{_words(error)}. `python {path}` shows the whole traceback."


def _of_import(error: ImportError) -> str | None:
    """What to write instead of something of Lightflow's, or to install."""
    if isinstance(error, Gone):
        return str(error)
    if error.name and (instead := advice_on(error.name)):
        return f"{error.msg.partition(';')[0].partition(' (')[0]}. {instead}"
    if error.name and isinstance(error, ModuleNotFoundError):
        return f"it needs the module {error.name!r}, which {sys.executable} does not have. Install it there."
    return None


def _words(error: BaseException) -> str:
    """The first line of an error, whatever its class does when it is asked for its words."""
    try:
        words = str(error).partition("\n")[0]
    except Exception:  # noqa: BLE001 - it is the user's class
        words = ""
    return f"{type(error).__name__}: {words[:LONGEST]}" if words else type(error).__name__


def _not_found(path: Path, places: Iterable[Path]) -> str:
    if path.is_dir():
        return f"'{path}' is a folder. Name a workflow file in it: {path / 'NAME.py'}"
    folders = [place.absolute() for place in places]
    there = sorted({file.stem for folder in folders for file in folder.glob("*.py") if file.is_file()})
    close = get_close_matches(path.stem if path.suffix == ".py" else path.name, there)
    advice = f"Did you mean {' or '.join(map(repr, close))}?" if close else "Give its path, or its name without `.py`."
    return f"No workflow {str(path)!r} in {', '.join(map(str, folders))}. {advice}"
