"""What a workflow can be told when it is started."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from nflow.core.keys import fault_of
from nflow.errors import WorkflowArgumentError, WorkflowDefinitionError
from nflow.models.conversion import Type, converted, converter, is_nameless, type_name

#: So much of what stands where an Option should be is shown.
_LONGEST = 80


@dataclass(frozen=True, slots=True)
class Option:
    """One parameter of a workflow. Tasks read it from the store, under its name.

    Args:
        name: What it is called on the command line, and in the store.
        default: Its value where none is given. None: it has no default.
        help: What it means, for listings and messages.
        type: What values are converted to: `bool`, `int`, `float`, `str`, `Path`, `datetime`, an Enum, `list[int]`,
            `dict`, any other class or function that takes the text.
        required: Whether it must be given. None: unless it has a default.
    """

    name: str
    default: object = None
    help: str | None = None
    type: Type = str
    required: bool | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise WorkflowDefinitionError(f"An Option needs a name, some text; this one got {self.name!r}.")
        if fault := fault_of(self.name):
            raise WorkflowDefinitionError(f"The name {_cut(self.name)} of an Option, its key in the store, {fault}")
        if not callable(self.type):
            raise WorkflowDefinitionError(f"The type of Option {self.name!r} is {self.type!r}. Give a class, e.g. int.")

    @property
    def must_be_given(self) -> bool:
        """Whether a run cannot start without it."""
        return self.default is None if self.required is None else self.required

    def convert(self, value: Any) -> Any:
        """`value` as this option's type.

        Raises:
            WorkflowArgumentError: it cannot be read so.
        """
        try:
            return converted(value, self.type)
        except Exception as error:  # the type may be a function of the user's
            to = f"with {converter(self.type)}" if is_nameless(self.type) else f"to {type_name(self.type)}"
            raise WorkflowArgumentError(f"Cannot convert {value!r} {to}{_why(self.type, error)}.") from error


class Parameters(list[Option]):
    """The parameters of a workflow: put one at the top level of its file.

    Args:
        options: What can be given.
        extra: Also take arguments that are not among them, as text.

    Raises:
        WorkflowDefinitionError: something else than Options was given, or the store cannot hold two of them at once.
    """

    def __init__(self, options: Iterable[Option] = (), *, extra: bool = False) -> None:
        super().__init__(_options(options))
        self.extra = extra
        for clash in _clashes(option.name for option in self):
            raise WorkflowDefinitionError(clash)

    def check_missing(self, arguments: Mapping[str, object]) -> list[str]:
        """The names of the parameters that must be given and are not among `arguments`."""
        return [option.name for option in self if option.must_be_given and option.name not in arguments]

    def consolidate(self, arguments: Mapping[str, object]) -> dict[str, object]:
        """`arguments`, converted, with the defaults of those that are missing; unknown ones stay as they are."""
        values = {option.name: arguments.get(option.name, option.default) for option in self}
        return {**arguments, **{option.name: option.convert(values[option.name]) for option in self}}

    def resolve(self, arguments: Mapping[str, object]) -> dict[str, object]:
        """The values that a run started with `arguments` finds in its store. One that is None counts as not given.

        Raises:
            WorkflowArgumentError: listing everything that is wrong: missing, unknown, of the wrong type.
        """
        given = {name: value for name, value in arguments.items() if value is not None}
        options = {option.name: option for option in self}  # of two with one name the later counts
        unknown = {name: value for name, value in given.items() if name not in options}
        problems = list(self._faults(unknown) if self.extra else map(self._unknown, unknown))
        values: dict[str, object] = dict(unknown)
        for option in options.values():
            try:
                values.update(_resolved(option, given))
            except WorkflowArgumentError as error:
                problems.append(str(error))
        if problems:
            raise WorkflowArgumentError("\n".join(problems))
        return values

    def _faults(self, unknown: Iterable[str]) -> Iterator[str]:
        """What is wrong with the names of arguments, which become keys of the store."""
        sound: list[str] = []
        for name in unknown:
            fault = fault_of(name) if isinstance(name, str) else "is no text."
            if fault:
                yield f"The name {_cut(name)} of a parameter, its key in the store, {fault}"
            else:
                sound.append(name)
        yield from _clashes([*(option.name for option in self), *sound])

    def _unknown(self, name: str) -> str:
        names = [option.name for option in self]
        close = get_close_matches(name, names, n=1)
        if close:
            return f"No parameter {name!r}. Did you mean {close[0]!r}?"
        return f"No parameter {name!r}. " + (
            f"There are: {', '.join(names)}." if names else "This workflow takes none."
        )


def _resolved(option: Option, given: Mapping[str, object]) -> dict[str, object]:
    """The option's value by its name; nothing where there is none, so that `store.get` gives its caller's default."""
    if option.name not in given and option.must_be_given:
        raise WorkflowArgumentError(_missing(option))
    value = given.get(option.name, option.default)
    if value is None:
        return {}
    try:
        return {option.name: option.convert(value)}
    except WorkflowArgumentError as error:
        whose = "" if option.name in given else "its default in the workflow file is at fault. "
        raise WorkflowArgumentError(f"Parameter {option.name!r}: {whose}{error}") from error


def _missing(option: Option) -> str:
    purpose = f" ({option.help})" if option.help else ""
    kind = (
        f"a type that {converter(option.type)} converts"
        if is_nameless(option.type)
        else f"type {type_name(option.type)}"
    )
    return f"Parameter {option.name!r}{purpose} is missing. Add {option.name}=VALUE, of {kind}."


def _options(given: object) -> list[Option]:
    """Refuse what is no list of Options. A mere name is what people write first."""
    if isinstance(given, Option | str) or not isinstance(given, Iterable):
        raise WorkflowDefinitionError(
            f"Parameters takes a list, not {_cut(given)}. Write Parameters([{_wanted(given)}])."
        )
    options = list(given)
    for option in options:
        if not isinstance(option, Option):
            raise WorkflowDefinitionError(
                f"Parameters takes Options, not {_cut(option)}. Write Parameters([{_wanted(option)}])."
            )
    return options


def _wanted(given: object) -> str:
    if isinstance(given, Option):
        return f"Option({given.name!r})"
    return f"Option({_cut(given)})" if isinstance(given, str) else "Option('name')"


def _cut(name: object) -> str:
    text = repr(name)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _clashes(names: Iterable[str]) -> Iterator[str]:
    """Where one name reaches into the value of another: 'scan' is either a value or a dict with 'scan.step'."""
    known = set(names)
    for name in sorted(known):
        parts = name.split(".")
        for end in range(1, len(parts)):
            if (above := ".".join(parts[:end])) in known:
                yield (
                    f"Parameters {above!r} and {name!r} cannot both be: in the store the second is a part of the "
                    "first. Rename one of them."
                )


def _why(type_: Type, error: Exception) -> str:
    """What a function of the user's has to say about it; of a class the name says enough."""
    words = "" if isinstance(type_, type) else " ".join(str(error).split())
    return f": {words}" if words else ""
