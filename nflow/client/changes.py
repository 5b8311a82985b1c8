"""New values for parameters of a run that goes on: converted as its workflow file says, or to what they were before."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from types import GenericAlias

from nflow.core.dataset import Ref
from nflow.engine.engine import Engine
from nflow.engine.retrying import Past
from nflow.errors import NflowError, UsageError, WorkflowArgumentError
from nflow.models.conversion import Type
from nflow.models.parameters import Option, Parameters
from nflow.models.workflow import Workflow
from nflow.wire.values import Encoded, decode, encode


async def encoded_changes(
    engine: Engine, past: Past, given: Mapping[str, object], read: Callable[[Path], Workflow]
) -> dict[str, Encoded]:
    """The new values, as they are sent; `read` reads the workflow file, if it lies where it lay.

    Raises:
        WorkflowArgumentError: telling of everything that is wrong: unknown, or of the wrong type.
    """
    declared = _declared(past, read) if given else None
    values: dict[str, object] = {}
    problems: list[str] = []
    for name, value in given.items():
        try:
            values[name] = await _changed(engine, past, declared, name, value)
        except UsageError as error:
            problems.append(str(error))
    if problems:
        raise WorkflowArgumentError("\n".join(problems))
    return {name: encode(value, f"Parameter '{name}'") for name, value in values.items()}


def _declared(past: Past, read: Callable[[Path], Workflow]) -> Parameters | None:
    """The parameters of the workflow file, if it is there."""
    path = Path(past.started.folder, f"{past.started.workflow}.py")
    if not past.started.folder or not past.started.has_file or not path.is_file():
        return None
    return read(path).parameters


async def _changed(engine: Engine, past: Past, declared: Parameters | None, name: str, value: object) -> object:
    option = next((option for option in reversed(declared or ()) if option.name == name), None)
    if option is None and name not in past.started.parameters:
        raise WorkflowArgumentError(_unknown(name, _names(past, declared)))
    if option is None and not isinstance(value, str):
        return value
    try:
        return (option or Option(name, type=await _type_before(engine, past, name))).convert(value)
    except WorkflowArgumentError as error:
        raise WorkflowArgumentError(f"Parameter '{name}': {error}") from error


def _names(past: Past, declared: Iterable[Option] | None) -> Iterator[str]:
    yield from dict.fromkeys([*(option.name for option in declared or ()), *past.started.parameters])


def _unknown(name: str, names: Iterable[str]) -> str:
    there = list(names)
    close = get_close_matches(name, there, n=1)
    if close:
        return f"No parameter '{name}'. Did you mean '{close[0]}'?"
    return f"No parameter '{name}'. " + (f"There are: {', '.join(there)}." if there else "This workflow takes none.")


async def _type_before(engine: Engine, past: Past, name: str) -> Type:
    """The type of the value that the parameter has in the store, or had when the run began."""
    there = await engine.store.get(past.entry.run, name)
    ref = there if isinstance(there, Ref) else past.started.parameters[name]
    try:
        value = decode(ref.where if isinstance(ref.where, bytes) else await engine.blobs.get(ref), f"'{name}'")
    except NflowError as error:
        raise WorkflowArgumentError(f"Parameter '{name}' cannot be given another value. {error}") from error
    return _type_of(value)


def _type_of(value: object) -> Type:
    kinds = {type(element) for element in value} if isinstance(value, list) else set()
    return GenericAlias(list, tuple(kinds)) if len(kinds) == 1 else type(value)
