"""What `nflow run` and `nflow retry` differ in: how a run begins. Working here and following are the same for both."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from nflow.cli.following import view_of
from nflow.cli.needs import advice, needed_queues
from nflow.cli.view import RunView
from nflow.client import Client
from nflow.core.ids import RunId
from nflow.models.workflow import Workflow
from nflow.shipment import Shipment


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A run that is to be followed."""

    run: RunId
    opening: int = 0  #: the retry that is followed
    after: int = 0  #: the last line that its tasks wrote before


class Undertaking(Protocol):
    """A run that is to begin, or to begin again."""

    @property
    def name(self) -> str:
        """Of the workflow."""

    @property
    def queues(self) -> Sequence[str]:
        """Every queue that some job of it may wait in."""

    async def look(self, client: Client, *, works: bool) -> None:
        """Make sure that it can be done; before anything is started, and before anything else is asked here.

        Raises:
            UsageError: it cannot.
        """

    async def begin(self, client: Client) -> Begun:
        """Begin."""

    async def advice(self, client: Client) -> str | None:
        """What a person should do for it to go on."""

    def view(self) -> RunView:
        """A view that has seen nothing yet."""


class Submission:
    """A new run."""

    def __init__(self, workflow: Workflow, shipment: Shipment, *, queue: str, keep_data: bool) -> None:
        self.name = workflow.name
        self.queues = needed_queues(workflow, queue)
        self._workflow = workflow
        self._shipment = shipment
        self._queue = queue
        self._keep_data = keep_data

    async def look(self, client: Client, *, works: bool) -> None:
        """All that is known before there is a server was told before."""

    async def begin(self, client: Client) -> Begun:
        """Submit it."""
        return Begun(run=await client.send(self._shipment, queue=self._queue, keep_data=self._keep_data))

    async def advice(self, client: Client) -> str | None:
        """What a person should do for it to go on."""
        return await advice(client.engine, self._workflow, self._queue)

    def view(self) -> RunView:
        """A view that has seen nothing yet."""
        return view_of(self._workflow)
