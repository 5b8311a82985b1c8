"""What a workflow can be told when it is started."""

import builtins
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from nflow.errors import WorkflowArgumentError

_TRUE = ("true", "1", "yes", "y")
_FALSE = ("false", "0", "no", "n")


@dataclass(frozen=True, slots=True)
class Option:
    """One parameter of a workflow. Tasks read it from the store, under its name."""

    name: str
    default: object = None  #: None: the parameter must be given
    help: str | None = None
    type: builtins.type = str  #: values are converted to bool, int, float and str; of any other type they stay as given

    def convert(self, value: Any) -> Any:
        """`value` as this option's type.

        Raises:
            WorkflowArgumentError: it cannot be read so.
        """
        try:
            if self.type is bool:
                return _truth(value)
            if self.type in (int, float, str):
                return self.type(value)
        except (TypeError, ValueError, OverflowError):
            raise WorkflowArgumentError(f"Cannot convert {value!r} to {self.type.__name__}.") from None
        return value


class Parameters(list[Option]):
    """The parameters of a workflow: put one at the top level of its file."""

    def check_missing(self, arguments: Mapping[str, object]) -> list[str]:
        """The names of the parameters that have no default and are not among `arguments`."""
        return [option.name for option in self if option.default is None and option.name not in arguments]

    def consolidate(self, arguments: Mapping[str, object]) -> dict[str, object]:
        """`arguments`, converted, with the defaults of those that are missing; unknown ones stay as they are."""
        values = {option.name: arguments.get(option.name, option.default) for option in self}
        return {**arguments, **{option.name: option.convert(values[option.name]) for option in self}}

    def resolve(self, arguments: Mapping[str, object]) -> dict[str, object]:
        """The value of every parameter of a run started with `arguments`. An argument that is None counts as not given.

        Raises:
            WorkflowArgumentError: listing everything that is wrong: missing, unknown, of the wrong type.
        """
        given = {name: value for name, value in arguments.items() if value is not None}
        problems = [self._unknown(name) for name in given if name not in self._names()]
        values: dict[str, object] = {}
        for option in {option.name: option for option in self}.values():  # of two with one name the later counts
            value = given.get(option.name, option.default)
            if value is None:
                problems.append(_missing(option))
                continue
            try:
                values[option.name] = option.convert(value)
            except WorkflowArgumentError as error:
                problems.append(f"Parameter {option.name!r}: {error}")
        if problems:
            raise WorkflowArgumentError("\n".join(problems))
        return values

    def _names(self) -> list[str]:
        return [option.name for option in self]

    def _unknown(self, name: str) -> str:
        close = get_close_matches(name, self._names(), n=1)
        if close:
            return f"No parameter {name!r}. Did you mean {close[0]!r}?"
        known = ", ".join(self._names())
        return f"No parameter {name!r}. " + (f"There are: {known}." if known else "This workflow takes none.")


def _missing(option: Option) -> str:
    purpose = f" ({option.help})" if option.help else ""
    return f"Parameter {option.name!r}{purpose} is missing. Add {option.name}=VALUE, of type {option.type.__name__}."


def _truth(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _TRUE:
        return True
    if isinstance(value, str) and value.lower() in _FALSE:
        return False
    raise ValueError(value)
