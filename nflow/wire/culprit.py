"""Why something cannot be sent to another process: which part of it, by which way it is reached, and what to do.

Works by trying, part by part; it runs only once sending has failed.
"""

import io
import types
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import chain

DEEPEST = 12  #: a way longer than this says no more to a reader

Try = Callable[[object], Exception | None]
Step = tuple[str, object]


def explain(value: object, what: str, error: Exception, attempt: Try) -> str:
    """A sentence on why `value`, which people know as `what`, cannot be sent, and what to do about it.

    Args:
        value: What could not be sent.
        what: How the message calls it: `Task 'reduce'`, `data['image']`.
        error: What was raised.
        attempt: Tries to send one part; returns what that raised, or None.
    """
    way, culprit, error = _follow(value, error, attempt)
    where = f"{way_told(way)} is " if way else ""
    return f"{what} cannot be sent to another process: {where}{_described(culprit)} ({error}). {_advice(culprit)}"


def _follow(value: object, error: Exception, attempt: Try) -> tuple[list[str], object, Exception]:
    way: list[str] = []
    seen = {id(value)}
    while len(way) < DEEPEST:
        for step, part in parts(value):
            if id(part) in seen:
                continue
            seen.add(id(part))
            found = attempt(part)
            if found is not None:
                way.append(step)
                value, error = part, found
                break
        else:
            return way, value, error
    return way, value, error


def way_told(way: list[str]) -> str:
    """The steps of `way` in words; a variable says by itself in which function it is, whatever led there."""
    named = [at for at, step in enumerate(way) if step[0] not in ".[" and not step.startswith("attribute")]
    rest = way[named[0] :] if named else way
    return "".join(step if step[0] in ".[" or not at else f" → {step}" for at, step in enumerate(rest))


def parts(value: object) -> Iterator[Step]:
    """What pickling `value` would reach next, and what people call the way there."""
    match value:
        case (type() as kind, Mapping() as state):  # as a task travels
            yield from ((f"attribute '{name}'", part) for name, part in state.items())
            yield f"class {kind.__qualname__}", kind
        case Mapping():
            yield from ((f"[{key!r}]", part) for key, part in value.items())
            yield from ((f"key {key!r}", key) for key in value)
        case list() | tuple() | set() | frozenset():
            yield from ((f"[{at}]", part) for at, part in enumerate(value))
        case partial():
            yield from ((".func", value.func), (".args", value.args), (".keywords", value.keywords))
        case types.MethodType():
            yield from ((".__self__", value.__self__), (".__func__", value.__func__))
        case types.FunctionType():
            yield from _parts_of_function(value)
        case type():
            yield from ((f".{name}", part) for name, part in vars(value).items() if not name.startswith("__"))
            yield from ((f"class {base.__qualname__}", base) for base in value.__bases__)
        case _:
            yield from _attributes(value)


def _parts_of_function(function: types.FunctionType) -> Iterator[Step]:
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield f"variable '{name}' of {function.__qualname__}()", cell.cell_contents
        except ValueError:
            continue  # not assigned yet
    for name in sorted(_names_in(function.__code__)):
        if name in function.__globals__:
            yield f"global '{name}' in {function.__qualname__}()", function.__globals__[name]
    defaults = chain(function.__defaults__ or (), (function.__kwdefaults__ or {}).values())
    yield from ((f"a default argument of {function.__qualname__}()", default) for default in defaults)


def _names_in(code: types.CodeType) -> set[str]:
    inner = (constant for constant in code.co_consts if isinstance(constant, types.CodeType))
    return set(code.co_names).union(*map(_names_in, inner))


def _attributes(value: object) -> Iterator[Step]:
    slots = (name for kind in type(value).__mro__ for name in vars(kind).get("__slots__", ()))
    for name in dict.fromkeys(chain(getattr(value, "__dict__", ()), slots)):
        part = getattr(value, name, None)
        if part is not None:
            yield f".{name}", part
    yield f"class {type(value).__qualname__}", type(value)


def _described(value: object) -> str:
    kind = type(value)
    name = kind.__name__ if kind.__module__ in {"builtins", "_io", "_thread"} else f"{kind.__module__}.{kind.__name__}"
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


def _advice(value: object) -> str:
    match value:
        case types.GeneratorType() | types.AsyncGeneratorType() | map() | filter() | zip() | enumerate():
            return "Make it a list first."
        case types.CoroutineType():
            return "Await it first."
        case io.IOBase():
            return "Send its path instead, and open it where it is used."
        case _:
            return "Make it inside the task that uses it."
