"""The runs and dag runs that a worker drives: each a coroutine, thousands at once."""

import asyncio
import logging

from nflow.bus.port import Intake, Job
from nflow.core.jobs import DagJob, WorkflowJob
from nflow.engine.dag_driver import DagDriver
from nflow.engine.driver import Driver
from nflow.engine.engine import Engine
from nflow.engine.ownership import NotOwner
from nflow.engine.workflow_driver import WorkflowDriver
from nflow.errors import Fenced
from nflow.worker.reception import Reception

_log = logging.getLogger(__name__)

#: Runs and dag runs that one worker drives at once; more wait, for it or for another worker.
MOST_DRIVEN = 4000

#: Seconds before a run whose driver failed here is driven again, here or elsewhere.
SECOND_TRY = 2.0


class Driving:
    """Takes workflow and dag jobs and drives them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reception = Reception(engine)
        self._intakes: list[Intake] = []
        self._drives: dict[Driver, asyncio.Task[None]] = {}

    def __len__(self) -> int:
        return len(self._drives)

    def add(self, intake: Intake) -> None:
        """Take jobs from one more queue."""
        self._intakes.append(intake)
        intake.want(MOST_DRIVEN - len(self._drives))

    def on_job(self, job: Job) -> None:
        """Drive the run or dag run of `job`."""
        match self._reception.open(job):
            case WorkflowJob() as message:
                self._begin(WorkflowDriver(self._engine, job, message))
            case DagJob() as message:
                self._begin(DagDriver(self._engine, job, message))
            case None:
                pass
            case other:
                self._reception.refuse(job, f"a {type(other).__name__} in a queue for drivers")

    async def hand_back(self) -> None:
        """Take no more, and give all that is driven here to other workers at once."""
        for intake in self._intakes:
            intake.close()
        drives = dict(self._drives)
        left = [driver for driver in drives if not driver.ending]
        for driver in left:
            drives[driver].cancel()
        await asyncio.gather(*drives.values(), return_exceptions=True)
        for driver in left:
            await self._engine.holdings.hand_back(driver.job)

    def _begin(self, driver: Driver) -> None:
        drive = asyncio.ensure_future(self._drive(driver))
        self._drives[driver] = drive
        drive.add_done_callback(lambda _: self._over(driver))

    def _over(self, driver: Driver) -> None:
        self._drives.pop(driver, None)
        for intake in self._intakes:
            intake.want(MOST_DRIVEN - len(self._drives))

    async def _drive(self, driver: Driver) -> None:
        try:
            await driver.drive()
        except NotOwner:
            pass
        except Fenced as fenced:
            _log.warning("%s", fenced)
        except Exception as error:
            _log.exception("run %s, %s: its driver failed", driver.run, driver.dag or "workflow")
            self._engine.holdings.discard(driver.job)
            await self._reception.failed(driver.job, f"{type(error).__name__}: {error}", SECOND_TRY)
