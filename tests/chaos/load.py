"""Steady work for a site: runs of all workflows in turns, some of which are stopped."""

import asyncio
import random
import time
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, TypeVar

from nflow.bus.port import Record
from nflow.core.events import Event, RunFinished
from nflow.core.ids import RunId
from nflow.models.workflow import load
from nflow.runs import Following, Runs
from nflow.shipment import Shipment, pack
from nflow.wire.subjects import event_place
from tests.chaos.plans import PLANS, Plan
from tests.chaos.site import Site
from tests.e2e.news import News

#: Seconds between two submissions, on average, and runs that may be under way before the next one waits.
EVERY = 0.33
MOST_AT_ONCE = 50

#: Of so many submissions one is made by the command line.
BY_COMMAND = 20

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """A run whose id was returned."""

    run: RunId
    plan: Plan
    at: float


@dataclass(slots=True)
class Load:
    """Submits runs to one site, and knows which of them have ended."""

    site: Site
    client: Runs
    seed: int
    submitted: list[Submitted] = field(default_factory=list)
    stopped: dict[RunId, float | None] = field(default_factory=dict)  #: those asked to stop, with their grace
    refused: int = 0  #: commands that found no server, and said so
    ended: set[RunId] = field(default_factory=set)
    _news: News = field(default_factory=News)
    _works: set[asyncio.Task[Any]] = field(default_factory=set)
    _following: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def open(self) -> None:
        """Begin to listen."""
        subject = self.client.engine.subjects.owns()
        await self._following.enter_async_context(Following(self.client.engine, subject, self._on_event))

    async def run(self) -> None:
        """Submit until cancelled; a submission that is under way then is brought to its end."""
        chance = random.Random(f"{self.seed} load")
        plans, shares = list(PLANS.values()), [plan.share for plan in PLANS.values()]
        shipments = {plan.workflow: pack(load(plan.path), {}) for plan in plans}
        number = 0
        while True:
            await asyncio.sleep(EVERY * chance.uniform(0.5, 1.5))  # a clock
            await self._news.until(lambda: len(self.under_way) < MOST_AT_ONCE, 300.0)
            number += 1
            [plan] = chance.choices(plans, shares)
            stop = chance.random() < plan.stopped
            after, grace = chance.uniform(0.0, 2.5), chance.choice((None, None, 0.0, 0.5))
            by_command = number % BY_COMMAND == 0
            run = await asyncio.shield(self._spawn(self._submit(plan, shipments[plan.workflow], by_command=by_command)))
            if run is not None and stop:
                self._spawn(self._stop(run, after, grace))

    async def settled(self) -> None:
        """Return when nothing is on its way to the server any more."""
        if self._works:
            await asyncio.wait(self._works)

    async def all_ended(self, patience: float) -> None:
        """Return when all runs have ended. Raises TimeoutError."""
        await self._news.until(lambda: not self.under_way, patience)

    @property
    def under_way(self) -> list[Submitted]:
        """Those that have not ended."""
        return [each for each in self.submitted if each.run not in self.ended]

    async def close(self) -> None:
        await self._following.aclose()

    def _spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.ensure_future(work)
        self._works.add(task)
        task.add_done_callback(self._works.discard)
        return task

    async def _submit(self, plan: Plan, shipment: Shipment, *, by_command: bool) -> RunId | None:
        run = await (self._submit_by_command(plan) if by_command else self.client.send(shipment))
        if run is not None:
            self.submitted.append(Submitted(run=run, plan=plan, at=time.time()))
        return run

    async def _submit_by_command(self, plan: Plan) -> RunId | None:
        process = await self.site.nflow("start", str(plan.path))
        if await process.end(60.0) == 0:
            return RunId(process.out[0])
        self.refused += 1
        return None

    async def _stop(self, run: RunId, after: float, grace: float | None) -> None:
        await asyncio.sleep(after)  # a clock: whenever a person has second thoughts
        if run not in self.ended:
            self.stopped[run] = grace
            await self.client.stop(run, grace=grace, by="the chaos suite")

    def _on_event(self, event: Event, record: Record) -> None:
        if isinstance(event, RunFinished):
            self.ended.add(RunId(event_place(record.subject).run))
            self._news.tell()
