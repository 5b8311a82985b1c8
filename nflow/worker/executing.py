"""The tasks that a worker runs, and how many jobs it asks for."""

import asyncio
import contextlib
import logging
from collections.abc import Iterator

from nflow.bus.port import Intake, Job
from nflow.core.ids import DagId, RunId
from nflow.core.jobs import TaskJob
from nflow.errors import NflowError, SchemaTooNew, WorkerExhausted
from nflow.worker.execution import Execution
from nflow.worker.means import Means
from nflow.worker.pace import Pace
from nflow.worker.reception import Reception
from nflow.worker.stops import Stops

_log = logging.getLogger(__name__)

#: Seconds before a task that this worker failed to run is tried again, here or elsewhere.
SECOND_TRY = 1.0


#: Seconds for which a worker takes no tasks that could not start a slot for want of files, processes or memory.
RECOVERY = 3.0


class Executing:
    """Takes task jobs and runs them."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._pace = Pace(means.pool.size)
        self._reception = Reception(means.engine)
        self._intakes: list[Intake] = []
        self._executions: dict[Execution, asyncio.Task[None]] = {}
        self._stops = Stops(means.engine, self._places, self._on_stop)
        self._closed = self._killed = False
        self._recovering: asyncio.TimerHandle | None = None
        means.pool.on_change = self._ask

    def __len__(self) -> int:
        return len(self._executions)

    def add(self, intake: Intake) -> None:
        """Take jobs from one more queue."""
        self._intakes.append(intake)
        self._ask()

    def on_job(self, job: Job) -> None:
        """Run the task of `job`."""
        message = self._reception.open(job)
        if isinstance(message, TaskJob):
            execution = Execution(self._means, job, message, self._pace, self._stops)
            self._executions[execution] = asyncio.ensure_future(self._run(execution))
        elif message is not None:
            self._reception.refuse(job, f"a {type(message).__name__} in a queue for tasks")
        self._ask()

    def stop_taking(self) -> None:
        """Take no more."""
        self._closed = True
        for intake in self._intakes:
            intake.close()

    async def drain(self) -> None:
        """Take no more; give back what has not begun; return when the last task has ended."""
        self.stop_taking()
        for execution, work in self._executions.items():
            if execution.started and not execution.begun:
                work.cancel()
        while self._executions:
            await asyncio.wait(self._executions.values())

    def stop(self) -> None:
        """End what runs, and give it back: another worker begins it again."""
        for execution in self._executions:
            execution.give_back()

    def close(self) -> None:
        """Kill what still runs."""
        self.stop_taking()
        self._killed = True
        if self._recovering is not None:
            self._recovering.cancel()
        self._stops.close()
        for work in self._executions.values():
            work.cancel()

    async def _run(self, execution: Execution) -> None:
        try:
            if self._closed:  # it was on its way already
                await execution.release()
            else:
                await execution.run()
        except asyncio.CancelledError:
            if not self._killed:
                await execution.release()
        except SchemaTooNew as newer:
            await self._failed(execution, newer)
        except WorkerExhausted as exhausted:
            self._recover(exhausted)
            await self._failed(execution, exhausted)
        except Exception as error:  # noqa: BLE001 - whatever it is, the task is tried elsewhere
            known = isinstance(error, NflowError)  # whose words say it all
            _log.error("%s: this worker could not run it: %s", execution.job.subject, error, exc_info=not known)
            await self._failed(execution, error)
        finally:
            del self._executions[execution]
            self._ask()

    async def _failed(self, execution: Execution, error: Exception) -> None:
        """Let another worker try; that this one could not does not count as a worker that was lost."""
        still_here = True
        with contextlib.suppress(NflowError):
            still_here = await execution.withdraw()
        if still_here:
            await self._reception.failed(execution.job, execution.task, error, SECOND_TRY)

    def _recover(self, exhausted: WorkerExhausted) -> None:
        """Take nothing new for a while: let others have it, and let what runs here end."""
        if self._recovering is None:
            _log.error("%s Its tasks are left to others meanwhile.", exhausted)
            self._recovering = asyncio.get_running_loop().call_later(RECOVERY, self._try_again)

    def _try_again(self) -> None:
        self._recovering = None
        self._ask()

    def _ask(self) -> None:
        """Ask for as many tasks as there are places: idle slots, and a little ahead where tasks are short.

        Every queue is asked for all of them; when one has filled a place, the others are told.
        """
        if self._closed:
            return
        pool = self._means.pool
        room = max(0, pool.size + pool.lent + self._pace.ahead - len(self._executions))
        if self._recovering is not None:
            room = 0
        for intake in self._intakes:
            intake.want(room)

    def _places(self) -> Iterator[tuple[RunId, DagId]]:
        return ((execution.task.run, execution.task.dag) for execution in self._executions)

    def _on_stop(self, log: str) -> None:
        for execution in self._executions:
            if execution.log == log:
                execution.check_stop()
