"""Which dags the code of a workflow speaks of: looked for in what its tasks can reach, without running any of it."""

import ast
import re
import sysconfig
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType

from nflow.models.dag import Dag
from nflow.models.place import is_foreign
from nflow.models.task import BaseTask
from nflow.models.workflow import Workflow

_LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})

#: What is filled in later: %s, %03d, {}, {name}.
_HOLES = re.compile(r"%(?:\(\w*\))?[-+ #0-9.]*[a-zA-Z]|\{[^{}]*\}")

#: Of a long list that a callback refers to, the first elements will do.
_MOST = 1000


class Mentions:
    """The dags and the texts that were come across."""

    def __init__(self) -> None:
        self._seen: dict[int, object] = {}  # the object is kept: an id counts only while it lives
        self._texts: set[str] = set()
        self._files: set[str] = set()

    def knows(self, dag: Dag) -> bool:
        """Whether the dag itself, its name, or a text that may become its name was come across."""
        return (
            id(dag) in self._seen
            or dag.name in self._texts
            or any(len(text) > 1 and dag.name.startswith(text) for text in self._texts)
            or any(re.fullmatch(pattern, dag.name, re.DOTALL) for pattern in self._patterns())
        )

    def _patterns(self) -> Iterator[str]:
        """What texts may become that are filled in: `s%d`, `s{}`, f's{i}', 's' + str(i)."""
        for text in self._texts:
            if len(pieces := _HOLES.split(text)) > 1:
                yield ".*".join(map(re.escape, pieces))
        for file in self._files:
            yield from _patterns_of(file)

    def follow(self, *values: object) -> None:
        """Go through everything that can be reached from these."""
        waiting = list(values)
        while waiting:
            value = waiting.pop()
            if isinstance(value, str):
                self._texts.add(value)
            elif id(value) not in self._seen:
                self._seen[id(value)] = value
                if isinstance(value, FunctionType) and _is_users(value.__code__):
                    self._files.add(value.__code__.co_filename)
                waiting += _reached(value)


def mentions(workflow: Workflow) -> Mentions:
    """What the tasks of a workflow, and the defaults of its parameters, speak of."""
    found = Mentions()
    found.follow(*(option.default for option in workflow.parameters))
    found.follow(*(task for dag in workflow.dags.values() for task in dag.graph().tasks))
    return found


@cache
def _patterns_of(file: str) -> list[str]:
    """What becomes of the f-strings and the sums of texts in a file."""
    try:
        tree = ast.parse(Path(file).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return []
    return [".*".join(map(re.escape, pieces)) for node in ast.walk(tree) if (pieces := _pieces(node))]


def _pieces(node: ast.AST) -> list[str]:
    """The text that stays, before, between and after what is filled in; nothing where nothing is."""
    texts: list[str | None]
    match node:
        case ast.JoinedStr(values=values):
            texts = [str(part.value) if isinstance(part, ast.Constant) else None for part in values]
        case ast.BinOp(left=ast.Constant(value=str(text)), op=ast.Add()):
            texts = [text, None]
        case ast.BinOp(left=left, op=ast.Add(), right=ast.Constant(value=str(text))) if not isinstance(left, ast.BinOp):
            texts = [None, text]
        case _:
            return []
    pieces = [""]
    for each in texts:
        if each is None:
            pieces.append("")
        else:
            pieces[-1] += each
    return pieces if len(pieces) > 1 else []


def _reached(value: object) -> list[object]:
    found: list[object] = []
    match value:
        case FunctionType() if _is_users(value.__code__):
            found = list(_of_function(value))
        case MethodType():
            found = [value.__func__, value.__self__]
        case partial():
            found = [value.func, value.args, value.keywords]
        case Mapping():
            found = [*value.values()][:_MOST]
        case list() | tuple() | set() | frozenset():
            found = [*value][:_MOST]
        case type():
            found = [part for part in vars(value).values() if isinstance(part, FunctionType)]
        case BaseTask():
            found = [*vars(value).values(), *type(value).__mro__[:-1]]
    return found


def _of_function(function: FunctionType) -> Iterator[object]:
    names: set[str] = set()
    for code in _codes(function.__code__):
        names.update(code.co_names)
        yield from (constant for constant in code.co_consts if isinstance(constant, str | tuple | frozenset))
    there = [function.__globals__[name] for name in names if name in function.__globals__]
    yield from there
    for module in there:
        if isinstance(module, ModuleType):
            yield from (vars(module)[name] for name in names if name in vars(module))
    for cell in function.__closure__ or ():
        with suppress(ValueError):  # not assigned yet
            yield cell.cell_contents
    yield from (function.__defaults__, function.__kwdefaults__)


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _is_users(code: CodeType) -> bool:
    return is_foreign(code.co_filename) and not code.co_filename.startswith(_LIBRARIES)
