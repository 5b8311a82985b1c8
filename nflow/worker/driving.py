"""The runs and dag runs that a worker drives: each a coroutine, thousands at once."""

import asyncio
import logging

from nflow.bus.port import Intake, Job
from nflow.core.jobs import DagJob, WorkflowJob
from nflow.engine.drivers.dag_driver import DagDriver
from nflow.engine.drivers.driver import Driver
from nflow.engine.drivers.workflow_driver import WorkflowDriver
from nflow.engine.engine import Engine
from nflow.engine.ownership import NotOwner
from nflow.errors import Fenced, NflowError, SchemaTooNew, StorageFull, StoreUnavailable
from nflow.worker.reception import Reception

_log = logging.getLogger(__name__)

#: Runs that one worker drives at once, and dag runs; more wait, for it or for another worker. They are counted apart:
#: runs that wait for their dags must not take the places of these.
MOST_DRIVEN = 4000

#: Seconds before a run whose driver failed here is driven again, here or elsewhere.
SECOND_TRY = 2.0


class Driving:
    """Takes the jobs of one kind, workflows or dags, and drives them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reception = Reception(engine)
        self._intakes: list[Intake] = []
        self._drives: dict[Driver, asyncio.Task[None]] = {}
        self._closed = False

    def __len__(self) -> int:
        return len(self._drives)

    def add(self, intake: Intake) -> None:
        """Take jobs from one more queue."""
        self._intakes.append(intake)
        self._ask()

    def on_job(self, job: Job) -> None:
        """Drive the run or dag run of `job`."""
        match self._reception.open(job):
            case WorkflowJob() | DagJob() as message:
                self._begin(job, message)
            case None:
                pass
            case other:
                self._reception.refuse(job, f"a {type(other).__name__} in a queue for drivers")
        self._ask()

    async def hand_back(self) -> None:
        """Take no more, and give all that is driven here to other workers at once."""
        self.stop_taking()
        drives = dict(self._drives)
        left = {driver: drive for driver, drive in drives.items() if not driver.ending}
        for drive in left.values():
            drive.cancel()
        await asyncio.gather(*drives.values(), return_exceptions=True)
        for driver, drive in left.items():
            if drive.cancelled():  # else it had come to its end, or somebody else drives by now
                await self._engine.holdings.hand_back(driver.job)

    def stop_taking(self) -> None:
        """Take no more."""
        self._closed = True
        for intake in self._intakes:
            intake.close()

    def close(self) -> None:
        """Stop driving; other workers will find out."""
        self.stop_taking()
        for drive in self._drives.values():
            drive.cancel()

    def _begin(self, job: Job, message: WorkflowJob | DagJob) -> None:
        if self._closed:  # it was on its way already
            self._reception.turn_away(job)
            return
        driver: Driver
        if isinstance(message, WorkflowJob):
            driver = WorkflowDriver(self._engine, job, message)
        else:
            driver = DagDriver(self._engine, job, message)
        drive = asyncio.ensure_future(self._drive(driver, message))
        self._drives[driver] = drive
        drive.add_done_callback(lambda _: self._over(driver))

    def _over(self, driver: Driver) -> None:
        del self._drives[driver]
        self._ask()

    def _ask(self) -> None:
        if not self._closed:
            for intake in self._intakes:
                intake.want(MOST_DRIVEN - len(self._drives))

    async def _drive(self, driver: Driver, message: WorkflowJob | DagJob) -> None:
        try:
            await driver.drive()
        except NotOwner:
            pass
        except Fenced as fenced:
            _log.warning("%s", fenced)
        except SchemaTooNew as newer:
            await self._reception.failed(driver.job, message, newer, SECOND_TRY)
        except (StorageFull, StoreUnavailable) as full:  # nothing is wrong with the run, and a person can help
            _log.warning("run %s, %s: %s It is tried again.", driver.run, driver.dag or "workflow", full)
            await self._reception.failed(driver.job, message, full, SECOND_TRY)
        except Exception as error:  # noqa: BLE001 - whatever it is, the run goes on elsewhere
            known = isinstance(error, NflowError)  # whose words say it all
            _log.error(
                "run %s, %s: its driver failed: %s", driver.run, driver.dag or "workflow", error, exc_info=not known
            )
            await self._reception.failed(driver.job, message, error, SECOND_TRY)
