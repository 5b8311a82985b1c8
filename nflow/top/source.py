"""What the monitor's screens need of whoever feeds them: a feed from a bus, or a script in a test."""

from collections.abc import Collection, Iterable
from typing import Protocol

from nflow.core.ids import RunId
from nflow.top.model import Model
from nflow.top.tree import Leaf, Plan
from nflow.view.detail import RunDetail
from nflow.wire.lines import Line


class OpenedRun(Protocol):
    """A run that a person looks into."""

    detail: RunDetail
    plan: Plan
    version: int  #: grows with everything that comes

    @property
    def lines(self) -> Collection[Line]:
        """The last lines of the task that is looked at."""

    async def start(self) -> None:
        """Read what its logs hold, and listen from then on."""

    async def close(self) -> None:
        """Listen no more."""

    def look_at(self, leaf: Leaf | None) -> None:
        """Follow what this task writes."""


class Source(Protocol):
    """Where the monitor has everything from, and what it can have done."""

    model: Model

    def now(self) -> float:
        """The time by the server's clock."""

    def look(self) -> None:
        """Note whether the server is there."""

    def show(self, visible: Iterable[RunId]) -> None:
        """A person sees these runs."""

    def open(self, run: RunId) -> OpenedRun:
        """Look into a run."""

    async def stop(self, run: RunId, *, is_urgent: bool = False) -> None:
        """Ask a run to stop."""

    async def retry(self, run: RunId) -> None:
        """Let a run go on that has ended."""
