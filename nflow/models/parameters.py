"""What a workflow can be told when it is started."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from nflow.errors import WorkflowArgumentError, WorkflowDefinitionError
from nflow.models.conversion import Type, converted, type_name


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
            raise WorkflowArgumentError(
                f"Cannot convert {value!r} to {type_name(self.type)}{_why(self.type, error)}."
            ) from error


class Parameters(list[Option]):
    """The parameters of a workflow: put one at the top level of its file.

    Args:
        options: What can be given.
        extra: Also take arguments that are not among them, as text.
    """

    def __init__(self, options: Iterable[Option] = (), *, extra: bool = False) -> None:
        super().__init__(options)
        self.extra = extra

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
        problems = [] if self.extra else [self._unknown(name) for name in unknown]
        values: dict[str, object] = dict(unknown)
        for option in options.values():
            try:
                values.update(_resolved(option, given))
            except WorkflowArgumentError as error:
                problems.append(str(error))
        if problems:
            raise WorkflowArgumentError("\n".join(problems))
        return values

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
        raise WorkflowArgumentError(f"Parameter {option.name!r}: {error}") from error


def _missing(option: Option) -> str:
    purpose = f" ({option.help})" if option.help else ""
    return f"Parameter {option.name!r}{purpose} is missing. Add {option.name}=VALUE, of type {type_name(option.type)}."


def _why(type_: Type, error: Exception) -> str:
    """What a function of the user's has to say about it; of a class the name says enough."""
    words = "" if isinstance(type_, type) else " ".join(str(error).split())
    return f": {words}" if words else ""
