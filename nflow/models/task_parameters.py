"""The parameters of a task: each a value, or a function that finds the value when the task runs."""

from collections.abc import Iterable
from typing import Any

from nflow.models.datastore import DataStoreDocument
from nflow.models.task_data import MultiTaskData


class TaskParameters(dict[str, Any]):
    """A dict whose keys are attributes too, and whose callable values are called with (data, data_store) by `eval`.

    A task of your own makes one in its `__init__` and calls `eval` in its `run`. It follows that a parameter whose
    value is itself to be a function must be wrapped: `lambda data, store: function`.
    """

    def __getattr__(self, key: str) -> Any:
        try:
            return self[key]
        except KeyError:
            raise self._unknown(key) from None

    def __setattr__(self, key: str, value: object) -> None:
        self[key] = value

    def __delattr__(self, key: str) -> None:
        try:
            del self[key]
        except KeyError:
            raise self._unknown(key) from None

    def eval(
        self, data: MultiTaskData, data_store: DataStoreDocument, *, exclude: Iterable[str] | None = None
    ) -> "TaskParameters":
        """The parameters as they are for this run of the task, without those that `exclude` names."""
        excluded = frozenset(exclude or ())
        return TaskParameters({key: _value(self[key], data, data_store) for key in self if key not in excluded})

    def eval_single(self, key: str, data: MultiTaskData, data_store: DataStoreDocument) -> Any:
        """One parameter as it is for this run of the task.

        Raises:
            AttributeError: there is none of that name.
        """
        return _value(getattr(self, key), data, data_store)

    def _unknown(self, key: str) -> AttributeError:
        return AttributeError(f"No parameter '{key}'. There are: {', '.join(map(str, self)) or 'none'}.")


def _value(value: Any, data: MultiTaskData, data_store: DataStoreDocument) -> Any:
    return value(data, data_store) if callable(value) else value
