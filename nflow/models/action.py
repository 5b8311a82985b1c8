"""What a task may return: its data, and which of its successors are to run."""

from collections.abc import Iterable
from typing import Self

from nflow.errors import TaskReturnActionInvalid
from nflow.models.task import BaseTask
from nflow.models.task_data import MultiTaskData

_MAY_BE = "a list of tasks and names of tasks, or None for all successors"


class Action:
    """The result of a task.

    Args:
        data: What the successors receive.
        limit: The only immediate successors that may run, as tasks or names of tasks. None: all of them; `[]`: none.

    Raises:
        TaskReturnActionInvalid: `data` is no MultiTaskData, or `limit` is not a list of tasks and names.
    """

    def __init__(self, data: MultiTaskData, limit: Iterable[BaseTask | str] | None = None) -> None:
        self.data = data
        self.limit: Iterable[BaseTask | str] | None = limit
        self.check()

    def copy(self) -> Self:
        """Another action with the same data and limit."""
        return type(self)(self.data, limit=self.limit)

    def limit_names(self) -> tuple[str, ...] | None:
        """The names of the successors that may run; None: all of them."""
        return None if self.limit is None else tuple(_name_of(item) for item in self.limit)

    def check(self) -> None:
        """Raise TaskReturnActionInvalid unless a task can end with this."""
        if not isinstance(self.data, MultiTaskData):
            raise TaskReturnActionInvalid(
                f"An Action cannot carry a {type(self.data).__name__}. Give it a MultiTaskData: the task's `data`."
            )
        self.limit = self.limit if self.limit is None else _listed(self.limit)
        self.limit_names()


def _listed(limit: Iterable[BaseTask | str]) -> list[BaseTask | str]:
    # A string is iterable too, letter by letter, which nobody ever means.
    if isinstance(limit, str) or not isinstance(limit, Iterable):
        instead = f"Write limit=[{_shown(limit)}]." if isinstance(limit, BaseTask | str) else f"Give {_MAY_BE}."
        raise TaskReturnActionInvalid(f"The limit of an Action is {limit!r}, which is not a list. {instead}")
    return list(limit)


def _name_of(item: object) -> str:
    match item:
        case BaseTask():
            return item.name
        case str():
            return item
    raise TaskReturnActionInvalid(f"{item!r} in the limit of an Action is neither a task nor the name of one.")


def _shown(limit: BaseTask | str) -> str:
    return repr(limit.name) if isinstance(limit, BaseTask) else repr(limit)
