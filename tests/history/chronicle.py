"""Writes logs of runs, as drivers and workers would, on any bus."""

from collections.abc import Sequence
from random import Random

from nflow.bus.paging import all_records
from nflow.bus.port import Bus, Record
from nflow.core.dataset import Ref
from nflow.core.events import (
    DagFinished,
    DagReopened,
    DagStarted,
    Event,
    OwnerChanged,
    RunFinished,
    RunRetried,
    RunStarted,
    Status,
    TaskEvent,
)
from nflow.core.ids import DagId, RunId, WorkerId
from nflow.core.retry import RetrySpec
from nflow.history.catchup import CatchUp, CaughtUp
from nflow.history.database import Database
from nflow.view.detail import Retries
from nflow.wire.messages import pack_events
from nflow.wire.subjects import Subjects
from nflow.wire.values import inline
from tests.core.dag_world import DagWorld, random_dag
from tests.view.tale import WHO, WHY

MAIN = DagId("main:1")
WORKER = WorkerId("w")
__all__ = ["MAIN", "WHO", "WHY", "WORKER", "Chronicle"]


class Chronicle:
    """The logs of all runs of one namespace."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.subjects = Subjects(bus.namespace)
        self.policies: dict[str, Retries] = {}  #: by digest of the spec

    async def tell(self, run: str, *events: Event, dag: DagId | None = None) -> None:
        """Write events where they belong, each as a record of its own."""
        for event in events:
            if isinstance(event, TaskEvent) and dag is not None:
                subject = self.subjects.task(RunId(run), dag, event.task)
            else:
                subject = self.subjects.own(RunId(run), dag)
            await self.bus.append(subject, pack_events([event]))

    async def begin(self, run: str, workflow: str = "scan", **parameters: object) -> None:
        """A run that has begun, with one dag run in flight."""
        given: dict[str, Ref] = {name: inline(value) for name, value in parameters.items()}
        await self.tell(
            run,
            OwnerChanged(worker=WORKER),
            RunStarted(
                workflow=workflow, spec=f"spec of {workflow}", engine="1", queue="q", submitted=1.0, parameters=given
            ),
            DagStarted(key="autostart/main", dag=MAIN),
        )
        await self.tell(run, OwnerChanged(worker=WORKER), dag=MAIN)

    async def end(self, run: str, status: Status = Status.SUCCEEDED, opening: int = 0) -> None:
        """Its end."""
        await self.tell(
            run,
            DagFinished(dag=MAIN, status=status, opening=opening),
            RunFinished(status=status, reason="", opening=opening),
        )

    async def live(self, run: str, seed: int) -> None:
        """A run with one dag run out of a random world, as harsh as that is."""
        random = Random(seed)
        world = DagWorld(random, random_dag(random), calm=False)
        for _ in range(random.choice([1, 2, 3])):
            if world.finished is not None:
                world.reopen()
            for _ in range(random.randrange(60)):
                world.step()
            world.run_to_the_end()
        workflow = f"scan{seed}"
        retries = {("main", task.id): task.retry for task in world.spec.tasks if isinstance(task.retry, RetrySpec)}
        self.policies[f"spec of {workflow}"] = retries
        await self.begin(run, workflow)
        opening = 0
        for event in world.log:
            if isinstance(event, DagReopened):
                await self.end(run, Status.FAILED, opening)
                opening = event.number
                await self.tell(run, RunRetried(number=opening, by="p", dags=(MAIN,)))
            await self.tell(run, event, dag=MAIN)
        assert world.finished is not None
        await self.end(run, world.finished.status, opening)

    async def records(self) -> list[Record]:
        """The whole log."""
        return [record async for record in all_records(self.bus, self.subjects.all_events())]

    async def into(self, database: Database, *, rebuild: bool = False) -> CaughtUp:
        """Catch a history up with it."""

        async def policies(spec: str) -> Retries:
            return self.policies.get(spec, {})

        catch_up = CatchUp(database, self.bus, policies)
        return await (catch_up.rebuild() if rebuild else catch_up.run())

    async def forget(self, runs: Sequence[str]) -> None:
        """What the log's retention does."""
        for run in runs:
            await self.bus.purge(self.subjects.run_events(RunId(run)))
