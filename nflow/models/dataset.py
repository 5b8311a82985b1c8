"""One dataset: values by key, some of which may not have been fetched yet.

A value that a task never touches is never fetched either; the worker hands its origin on.
"""

from collections.abc import Iterable, KeysView, Mapping
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, NoReturn, Protocol, Self

from nflow.errors import DataKeyUnknown

_DICT = "dict"
_ABSENT = object()
_MOST_NAMES = 10

#: A value that is larger is not fetched merely to be shown.
_LARGE_BYTES = 1_000_000


class Remote(Protocol):
    """A value that is somewhere else. Two that compare equal hold equal values."""

    @property
    def type(self) -> str:
        """What kind of value it is; `dict` is a plain dict."""

    @property
    def size_bytes(self) -> int:
        """How large it is, encoded."""

    def load(self) -> object:
        """Fetch the value: a fresh one each time, for its reader may change it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One value of a dataset, as the worker sees it that must send it on."""

    value: object = None
    origin: Remote | None = None  #: where the value was loaded from; it may have been changed in place since
    loaded: bool = True  #: False: nobody touched it, and `origin` is as good as the value


@dataclass(frozen=True, slots=True)
class _Pending:
    """Stands in a dataset for a value that nobody has touched."""

    remote: Remote

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        return self

    def __repr__(self) -> str:
        return f"<{self.remote.type}, {_size(self.remote.size_bytes)}, not loaded>"


class TaskData:
    """One dataset: values by key, and the names of the tasks that they passed through.

    Values from other tasks are fetched when they are first touched.
    """

    def __init__(self, data: dict[str, Any] | None = None, *, task_history: list[str] | None = None) -> None:
        self._values = data if data is not None else {}
        self._history = task_history if task_history is not None else []
        self._origins: dict[str, tuple[Remote, object]] = {}  # with the value that was loaded, to see it replaced

    @classmethod
    def of_remotes(cls, remotes: Mapping[str, Remote], *, task_history: Iterable[str] = ()) -> Self:
        """A dataset whose values are all still elsewhere."""
        return cls({key: _Pending(remote) for key, remote in remotes.items()}, task_history=list(task_history))

    @property
    def data(self) -> dict[str, Any]:
        """All values, fetched: the dataset's own dict."""
        for key in self._values:
            self._load(key)
        return self._values

    @property
    def task_history(self) -> list[str]:
        """The tasks that these data passed through, in order."""
        return self._history

    def add_task_history(self, task_name: str) -> None:
        """Note that the data passed through one more task."""
        self._history.append(task_name)

    def keys(self) -> KeysView[str]:
        """The keys, without fetching a value."""
        return self._values.keys()

    def get(self, key: str, default: object = None) -> Any:
        """The value of `key`, or `default` where there is none."""
        return self._load(key) if key in self._values else default

    def set(self, key: str, value: object) -> None:
        """Give `key` a value. A key must be text (TypeError)."""
        if not isinstance(key, str):
            raise TypeError(f"A key of a task's data must be text, not {key!r}.")
        self._values[key] = value
        self._origins.pop(key, None)

    def merge(self, dataset: "TaskData") -> None:
        """Lay another dataset over this one.

        The other's values win, except that a dict is merged into a dict key by key, at every depth, into a new dict.
        Values are fetched only where two dicts meet. The other's history is appended, without repeating names.
        """
        self._lay_over(dataset)
        known = set(self._history)
        self._history.extend(name for name in dataset.task_history if name not in known)

    @classmethod
    def merged(cls, datasets: Iterable["TaskData"]) -> Self:
        """All of them in one, each laid over those before it. Linear, where one `merge` after another would not be."""
        result = cls()
        names: dict[str, None] = {}
        for dataset in datasets:
            result._lay_over(dataset)
            names.update(dict.fromkeys(dataset.task_history))
        result._history.extend(names)
        return result

    def _lay_over(self, dataset: "TaskData") -> None:
        for key, theirs in dataset._values.items():  # noqa: SLF001 - of the same class
            mine = self._values.get(key, _ABSENT)
            if _is_dict(mine) and _is_dict(theirs) and not _is_same(mine, theirs):
                self.set(key, _merged(self._load(key), dataset[key]))
                continue
            self.set(key, _merged({}, theirs))
            origin, loaded = dataset._origins.get(key, (None, None))  # noqa: SLF001 - of the same class
            if origin is not None and loaded is theirs:
                self._origins[key] = (origin, self._values[key])

    def cells(self) -> dict[str, Cell]:
        """What there is to send on: for the worker, which passes on an untouched value by its origin."""
        return {key: self._cell(key) for key in self._values}

    def _cell(self, key: str) -> Cell:
        value = self._values[key]
        if isinstance(value, _Pending):
            return Cell(origin=value.remote, loaded=False)
        origin, loaded = self._origins.get(key, (None, None))
        return Cell(value=value, origin=origin if loaded is value else None)

    def _load(self, key: str) -> object:
        if key not in self._values:
            raise self._unknown(key)
        value = self._values[key]
        if isinstance(value, _Pending):
            remote, value = value.remote, value.remote.load()
            self._values[key] = value
            self._origins[key] = (remote, value)
        return value

    def __getitem__(self, key: str) -> Any:
        return self._load(key)

    def __setitem__(self, key: str, value: object) -> None:
        self.set(key, value)

    def __delitem__(self, key: str) -> None:
        if key not in self._values:
            raise self._unknown(key)
        del self._values[key]
        self._origins.pop(key, None)

    def __contains__(self, key: object) -> bool:
        return key in self._values

    def _unknown(self, key: object) -> DataKeyUnknown:
        names = [str(name) for name in self._values]
        close = get_close_matches(str(key), names, n=1)
        advice = f"Did you mean {close[0]!r}?" if close else f"There are: {', '.join(names[:_MOST_NAMES]) or 'none'}."
        return DataKeyUnknown(f"No {key!r} in the data. {advice}")

    def __iter__(self) -> NoReturn:
        raise TypeError("TaskData cannot be iterated over; its keys can: for key in dataset.keys().")

    def __deepcopy__(self, memo: dict[int, object]) -> "TaskData":
        copied = TaskData(deepcopy(self._values, memo), task_history=self._history[:])
        for key, (remote, value) in self._origins.items():
            if self._values.get(key, _ABSENT) is value:
                copied._origins[key] = (remote, copied._values[key])
        return copied

    def _shown(self) -> dict[str, object]:
        """The values, as far as they can be had at little cost."""
        for key, value in self._values.items():
            if isinstance(value, _Pending) and value.remote.size_bytes <= _LARGE_BYTES:
                with suppress(Exception):  # one that is lost, or needs a module that is not there, stays as it is
                    self._load(key)
        return self._values

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._shown()})"

    def __str__(self) -> str:
        return str(self._shown())


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.1f} MB" if size_bytes > _LARGE_BYTES else f"{size_bytes} bytes"


def _is_dict(value: object) -> bool:
    return value.remote.type == _DICT if isinstance(value, _Pending) else isinstance(value, dict)


def _is_same(mine: object, theirs: object) -> bool:
    # Loaded values are not compared: that may be slow, and an array has no single answer.
    return isinstance(mine, _Pending) and isinstance(theirs, _Pending) and mine == theirs


def _merged(mine: object, theirs: object) -> object:
    """`theirs` over `mine`. The dicts on the way are new ones, so that neither side changes under its owner's hands."""
    if not isinstance(theirs, dict):
        return theirs
    result = dict(mine) if isinstance(mine, dict) else {}
    result.update({key: _merged(result.get(key), value) for key, value in theirs.items()})
    return result
