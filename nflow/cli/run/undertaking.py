"""What `nflow run` and `nflow retry` differ in: how a run begins. Working here and following are the same for both."""

from dataclasses import dataclass
from typing import Protocol

from nflow.core.ids import RunId
from nflow.engine.serving import Needs
from nflow.files.needs import needs_of
from nflow.models.workflow import Workflow
from nflow.runs import Runs, view_of
from nflow.shipment import Shipment
from nflow.view.run import RunView
from nflow.wire.messages import unpack_spec


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
    def needs(self) -> Needs:
        """What it needs to have served."""

    async def look(self, client: Runs, *, works: bool) -> None:
        """Make sure that it can be done; before anything is started, and before anything else is asked here.

        Raises:
            UsageError: it cannot.
        """

    async def begin(self, client: Runs) -> Begun:
        """Begin."""

    def view(self) -> RunView:
        """A view that has seen nothing yet."""


class Submission:
    """A new run."""

    def __init__(self, workflow: Workflow, shipment: Shipment, *, queue: str, keep_data: bool) -> None:
        self.name = workflow.name
        self.needs = needs_of(workflow, queue)
        self._shipment = shipment
        self._queue = queue
        self._keep_data = keep_data

    async def look(self, client: Runs, *, works: bool) -> None:
        """All that is known before there is a server was told before."""

    async def begin(self, client: Runs) -> Begun:
        """Submit it."""
        return Begun(run=await client.send(self._shipment, queue=self._queue, keep_data=self._keep_data))

    def view(self) -> RunView:
        """A view that has seen nothing yet."""
        return view_of(unpack_spec(self._shipment.spec))
