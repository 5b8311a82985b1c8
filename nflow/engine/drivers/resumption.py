"""How a run goes on that had ended: what its driver does with the retry that its job asks for."""

import asyncio

from nflow.bus.port import Record
from nflow.core import workflow_run
from nflow.core.events import RunRetried, StopRequested
from nflow.core.ids import DagId
from nflow.core.jobs import Reopening
from nflow.core.workflow_run import WorkflowRun
from nflow.engine.drivers import deadline
from nflow.engine.drivers.driver import Driver
from nflow.engine.reopening import reopen_dag


class Resumption:
    """The retry of one run, seen to by its driver; of a run that begins, there is none."""

    def __init__(self, driver: Driver, machine: WorkflowRun, asked: Reopening | None) -> None:
        self._driver = driver
        self._machine = machine
        self._asked = asked
        self._has_begun = False
        self._dags: dict[tuple[DagId, int], asyncio.Task[None]] = {}
        self._stops: list[StopRequested] = []  # that are meant for the run as it goes on, and came before it did
        self._retried_at = 0  # the sequence of the record with which this driver let the run go on

    @property
    def is_due(self) -> bool:
        """Whether the end that is on record is not the last one: the run is yet to go on."""
        return self._asked is not None and self._asked.number > self._machine.opening

    def begin(self) -> None:
        """Let the run go on. May be called any number of times."""
        if self._asked is not None and not self._has_begun:
            self._has_begun = True
            self._driver.spawn(self._reopen(self._asked))

    def note_retried(self, record: Record) -> None:
        """The run goes on, by this record of this driver's."""
        self._retried_at = record.seq
        self._driver.record(self._later_stops())

    def note_stop(self, stop: StopRequested, record: Record, *, has_ended: bool) -> None:
        """Keep a stop that was asked for after the retry was, but stands before its record in the log."""
        if stop.by == deadline.BY:  # of the time before, and late: the run that goes on has a deadline of its own
            return
        if has_ended and self._asked is not None and record.seq > self._asked.after:
            self._stops.append(stop)
        elif record.seq < self._retried_at:
            self._driver.record([stop])  # it came too late to be written with it

    async def reopen_dag(self, dag: DagId) -> None:
        """Return when the log of a dag run says that it was reopened, if it was."""
        number = self._machine.openings.get(dag, 0)
        if not number:
            return
        if (dag, number) not in self._dags:
            driver, redo = self._driver, self._machine.redo.get(dag, ())
            writing = reopen_dag(driver.engine, driver.run, dag, number=number, redo=redo, guard=driver.guard)
            self._dags[dag, number] = driver.spawn(writing)
        await asyncio.shield(self._dags[dag, number])

    async def _reopen(self, asked: Reopening) -> None:
        """Give parameters their new values, then say that the run goes on; what follows comes back as an event."""
        for name, value in asked.parameters.items():
            await self._driver.engine.store.set(self._driver.run, name, value)
        machine = self._machine
        again = [*workflow_run.can_be_reopened(machine), *(dag for dag in asked.redo if dag in machine.ended)]
        left = set(asked.superseded)
        retried = RunRetried(
            number=asked.number,
            by=asked.by,
            dags=tuple(dict.fromkeys(dag for dag in again if dag not in left)),
            redo=asked.redo,
            superseded=asked.superseded,
            parameters=asked.parameters,
        )
        self._driver.record([retried, *self._later_stops()])

    def _later_stops(self) -> list[StopRequested]:
        """Those that have not been written down yet."""
        stops, self._stops = self._stops, []
        return stops
