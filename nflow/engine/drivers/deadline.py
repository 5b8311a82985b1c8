"""The time that a run may take, by the server's clock: whoever drives the run when it is over stops it."""

import asyncio

from nflow.core.events import Event, RunRetried, RunStarted, Status, StopRequested
from nflow.engine.drivers.driver import Driver
from nflow.wire.messages import pack_events

#: Who stops a run whose time is over, and the seconds that its tasks have left then.
BY = "deadline"
GRACE = 10.0


class Deadline:
    """The deadline of one run, kept by its driver."""

    def __init__(self, driver: Driver, seconds: float | None) -> None:
        self._driver = driver
        self._seconds = seconds
        self._since: float | None = None  # when the run began, or began again
        self._is_told = False  # the stop is on record
        self._clock: asyncio.Task[None] | None = None

    def take(self, event: Event, at: float) -> None:
        """Take in what the log says; once the driver is live, `watch` follows."""
        match event:
            case RunStarted() | RunRetried():
                self._since, self._is_told = at, False
            case StopRequested(by=by) if by == BY:
                self._is_told = True

    def watch(self) -> None:
        """Stop the run when its time is over, unless that was done. May be called any number of times."""
        if self._seconds is not None and self._since is not None and self._clock is None and not self._is_told:
            self._clock = self._driver.spawn(self._stop_after(self._since, self._seconds))

    async def _stop_after(self, since: float, seconds: float) -> None:
        driver = self._driver
        await asyncio.sleep(since + seconds - driver.now())  # a clock, not a wait
        reason = f"the run took longer than its deadline of {seconds:g} s"
        stop = StopRequested(reason=reason, by=BY, status=Status.FAILED, grace=GRACE)
        # As the owner: one who was away meanwhile must not stop a run that was retried since.
        await driver.engine.bus.append(driver.engine.subjects.ask(driver.run), pack_events([stop]), guard=driver.guard)
