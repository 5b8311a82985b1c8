"""The `data` argument of a task: one dataset or several, found by position or by alias."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Self

from nflow.errors import DataInvalidAlias, DataInvalidIndex
from nflow.models.dataset import Cell, Remote, TaskData

__all__ = ["Cell", "MultiTaskData", "Remote", "TaskData"]


class MultiTaskData:
    """The `data` of a task: a dataset from each predecessor that ran, found by position or by alias.

    An alias is the predecessor's name, or the slot that the dag's schema names. Reading and writing by key goes to the
    default dataset, which is the first one unless the task chooses another.

    Args:
        dataset: The first dataset.
        aliases: The names it goes by.

    Raises:
        TypeError: `dataset` is no TaskData.
    """

    def __init__(self, *, dataset: TaskData | None = None, aliases: Iterable[str] | None = None) -> None:
        self._datasets = [] if dataset is None else [_checked(dataset)]
        self._aliases = dict.fromkeys(aliases or (), 0)
        self._default = 0

    @classmethod
    def of(cls, datasets: Iterable[TaskData], aliases: Mapping[str, int], *, default: int = 0) -> Self:
        """All of it at once: datasets, the position each alias stands for, and the position of the default."""
        data = cls()
        data._datasets = list(datasets)
        data._aliases = dict(aliases)
        data._default = default
        return data

    @property
    def datasets(self) -> Sequence[TaskData]:
        """All datasets, in the order in which the dag's schema names the predecessors."""
        return tuple(self._datasets)

    @property
    def aliases(self) -> Mapping[str, int]:
        """The position that each alias stands for."""
        return dict(self._aliases)

    @property
    def default_index(self) -> int:
        """The position of the default dataset."""
        return self._default

    @property
    def default_dataset(self) -> TaskData:
        """The dataset that reading and writing by key goes to."""
        return self.get_by_index(self._default)

    def add_dataset(
        self, task_name: str, dataset: TaskData | None = None, *, aliases: Iterable[str] | None = None
    ) -> None:
        """Append a dataset, an empty one if none is given. An alias that is taken will mean the new one.

        Raises:
            TypeError: `dataset` is no TaskData.
        """
        self._datasets.append(TaskData() if dataset is None else _checked(dataset))
        self._aliases.update(dict.fromkeys((task_name, *(aliases or ())), len(self._datasets) - 1))
        if len(self._datasets) == 1:
            self._default = 0

    def add_alias(self, alias: str, index: int) -> None:
        """Let a dataset be found by one more name. Raises DataInvalidIndex."""
        self._check(index)
        self._aliases[alias] = index

    def set_default_by_alias(self, alias: str) -> None:
        """Read and write the dataset of this alias from now on. Raises DataInvalidAlias."""
        self._default = self._index_of(alias)

    def set_default_by_index(self, index: int) -> None:
        """Read and write the dataset at this position from now on. Raises DataInvalidIndex."""
        self._check(index)
        self._default = index

    def get_by_alias(self, alias: str) -> TaskData:
        """The dataset of this alias. Raises DataInvalidAlias."""
        return self.get_by_index(self._index_of(alias))

    def get_by_index(self, index: int) -> TaskData:
        """The dataset at this position. Raises DataInvalidIndex."""
        self._check(index)
        return self._datasets[index]

    def flatten(self, in_place: bool = True) -> "MultiTaskData | None":
        """Merge all datasets into one, which all aliases then stand for. The default dataset is laid over the others.

        Returns:
            A new MultiTaskData, or None when `in_place`.

        Raises:
            DataInvalidIndex: there is no dataset.
        """
        default = self.default_dataset
        merged = TaskData.merged([*(other for other in self._datasets if other is not default), default])
        if not in_place:
            return MultiTaskData(dataset=merged, aliases=self._aliases)
        self._datasets = [merged]
        self._aliases = dict.fromkeys(self._aliases, 0)
        self._default = 0
        return None

    def add_task_history(self, task_name: str) -> None:
        """Note in every dataset that it passed through one more task."""
        for dataset in self._datasets:
            dataset.add_task_history(task_name)

    def _check(self, index: int) -> None:
        count = len(self._datasets)
        if not -count <= index < count:
            raise DataInvalidIndex(f"No dataset at index {index}; there are {count}, counted from 0.")

    def _index_of(self, alias: str) -> int:
        if alias not in self._aliases:
            known = ", ".join(map(repr, self._aliases)) or "none"
            raise DataInvalidAlias(f"No dataset with the alias {alias!r}. Aliases here: {known}.")
        return self._aliases[alias]

    def __call__(self, alias: str) -> TaskData:
        """The dataset of this alias, in short: `data('alias')`."""
        return self.get_by_alias(alias)

    def __getitem__(self, key: str) -> Any:
        return self.default_dataset[key]

    def __setitem__(self, key: str, value: object) -> None:
        self.default_dataset[key] = value

    def __delitem__(self, key: str) -> None:
        del self.default_dataset[key]

    def __contains__(self, key: object) -> bool:
        return key in self.default_dataset

    def __iter__(self) -> Iterator[TaskData]:
        return iter(self._datasets)

    def __repr__(self) -> str:
        return f"MultiTaskData({self._datasets}, aliases={self._aliases}, default={self._default})"


def _checked(dataset: object) -> TaskData:
    """Not a dict in its place: that would be missed only when the task has ended and its data are put together."""
    if isinstance(dataset, TaskData):
        return dataset
    instead = "TaskData({...})" if isinstance(dataset, Mapping) else "a TaskData"
    raise TypeError(f"A dataset of a task's data cannot be a {type(dataset).__name__}. Give it {instead}.")
