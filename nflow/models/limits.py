"""Names in `Action(limit=[...])` that no successor has: read from the text of callbacks, where it is literal.

A run ignores such a name, as Lightflow did, and skips what was meant to run.
"""

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from types import FunctionType

from nflow.models.dag import Dag
from nflow.models.place import is_foreign, told
from nflow.models.task import BaseTask


def unknown_limits(dags: Iterable[Dag]) -> Iterator[str]:
    """A sentence for each name in a limit that names a successor of none of the tasks with that callback."""
    functions_at = cache(_functions_at)  # each file is read once
    for function, (task_name, successors) in _successors(dags).items():
        code = function.__code__
        nodes = functions_at(code.co_filename).get(code.co_firstlineno, [])
        if len(nodes) != 1:  # two lambdas in one line: nobody knows which is which
            continue
        for name, line in _limits(nodes[0], function.__globals__):
            if name not in successors:
                yield f"{told(code.co_filename, line)}: {_sentence(name, task_name, sorted(successors))}"


def _successors(dags: Iterable[Dag]) -> dict[FunctionType, tuple[str, set[str]]]:
    """For each function, one of the tasks that call it, and the names of the successors of all of them."""
    found: dict[FunctionType, tuple[str, set[str]]] = {}
    for dag in dags:
        graph = dag.graph()
        children: dict[int, list[str]] = defaultdict(list)
        for parent, child in graph.links:
            children[parent].append(graph.tasks[child].name)
        for number, task in enumerate(graph.tasks):
            for function in _functions(task):
                found.setdefault(function, (task.name, set()))[1].update(children[number])
    return found


def _sentence(name: str, task: str, known: list[str]) -> str:
    close = get_close_matches(name, known, n=1)
    advice = f"Did you mean {close[0]!r}?" if close else f"It has {', '.join(known[:5]) or 'none'}."
    return f"Action(limit=...) names {name!r}, which is no immediate successor of task {task!r}. {advice}"


def _functions(task: BaseTask) -> Iterator[FunctionType]:
    """The functions that may return the task's action."""
    for value in (*vars(task).values(), type(task).run):
        function = getattr(value, "__func__", value)
        if isinstance(function, FunctionType) and is_foreign(function.__code__.co_filename):
            yield function


def _limits(function: ast.AST, variables: Mapping[str, object]) -> Iterator[tuple[str, int]]:
    """The literal names in its limits, each with its line."""
    for node in ast.walk(function):
        for element in _limit_of(node):
            match element:
                case ast.Constant(value=str(name), lineno=line):
                    yield name, line
                case ast.Name(id=variable, lineno=line) if isinstance(task := variables.get(variable), BaseTask):
                    yield task.name, line


def _limit_of(node: ast.AST) -> list[ast.expr]:
    match node:
        case ast.Call(func=ast.Name(id="Action") | ast.Attribute(attr="Action"), args=args, keywords=keywords):
            given = [*args[1:2], *(keyword.value for keyword in keywords if keyword.arg == "limit")]
            return [element for value in given if isinstance(value, ast.List | ast.Tuple) for element in value.elts]
    return []


def _functions_at(file: str) -> dict[int, list[ast.AST]]:
    """The functions of a file by the line that their code begins in."""
    found: dict[int, list[ast.AST]] = defaultdict(list)
    try:
        tree = ast.parse(Path(file).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return found
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.Lambda):
            first = node.decorator_list[0] if isinstance(node, ast.FunctionDef) and node.decorator_list else node
            found[first.lineno].append(node)
    return found
