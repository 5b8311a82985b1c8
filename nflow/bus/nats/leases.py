"""Renewing the leases of jobs in hand, from a thread and over a connection of its own.

So that neither a long fold nor a full connection can hold up a renewal. A job that went without for a whole lease may
have a successor: it is renewed no more, and its holder is told.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from nflow.bus.nats.connection import Connection, Login
from nflow.bus.port import LEASE

_RENEW = b"+WPI"
_TICK = LEASE / 4

if hasattr(time, "CLOCK_BOOTTIME"):

    def now() -> float:
        """Seconds that also pass while the machine sleeps: the server's do."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)
else:
    now = time.monotonic


class Lease:
    """One job in hand."""

    __slots__ = ("lost", "on_lost", "renewed")

    def __init__(self, on_lost: Callable[[], None], renewed: float) -> None:
        self.on_lost = on_lost
        self.renewed = renewed
        self.lost = False


class Leases:
    """All jobs in hand of one bus.

    The table is shared without a lock: each access is a single operation on a dict, and a job that lives for less than
    a renewal never wakes the thread.
    """

    def __init__(self, urls: list[str], login: Login, *, name: str) -> None:
        self._urls = urls
        self._login = login
        self._name = name
        self._held: dict[str, Lease] = {}
        self._holders_loop = asyncio.get_running_loop()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = threading.Event()
        self._stopped = asyncio.Event()

    def start(self) -> None:
        """Begin to renew; once is enough."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=f"{self._name}-leases", daemon=True)
            self._thread.start()

    async def stop(self) -> None:
        """Renew no more."""
        if self._thread is not None:
            self._stop.set()
            if self._loop is not None:
                with suppress(RuntimeError):  # the thread has ended already
                    self._loop.call_soon_threadsafe(self._stopped.set)
            await asyncio.to_thread(self._thread.join, 2 * LEASE)

    def hold(self, job: str, on_lost: Callable[[], None], received: float) -> None:
        """Renew `job`, by the subject of its acknowledgement, which was received at that time."""
        self._held[job] = Lease(on_lost, received)

    def is_renewed(self, job: str) -> bool:
        """Whether the last renewal of `job` is younger than a lease."""
        lease = self._held.get(job)
        return lease is not None and not lease.lost and now() - lease.renewed <= LEASE

    def resume(self, job: str) -> None:
        """Renew a lost job again: its holder has found that it has no successor."""
        if (lease := self._held.get(job)) is not None:
            lease.renewed = now()
            lease.lost = False

    def release(self, job: str) -> None:
        """Renew `job` no more."""
        self._held.pop(job, None)

    # --- in the thread ---

    def _work(self) -> None:
        asyncio.run(self._renew_for_ever())

    async def _renew_for_ever(self) -> None:
        self._loop = asyncio.get_running_loop()
        connection = Connection(self._urls, self._login, name=f"{self._name}-leases")
        connection.open_soon()
        while not self._stop.is_set():
            await self._renew(connection)
            try:
                async with asyncio.timeout(_TICK):  # the clock of the renewals, cut short by stop()
                    await self._stopped.wait()
            except TimeoutError:
                continue
        await connection.close()

    async def _renew(self, connection: Connection) -> None:
        began = now()
        held = self._still_held(began)
        if not held or not connection.up.is_set():
            return
        for job in held:
            connection.send(job, _RENEW)
        try:
            async with asyncio.timeout(LEASE / 2):
                await connection.ping()
        except TimeoutError:
            connection.reset()  # or the renewals in its buffers would arrive when a successor has the job
            return
        for lease in held.values():
            lease.renewed = began

    def _still_held(self, at: float) -> dict[str, Lease]:
        held = {}
        for job, lease in list(self._held.items()):
            if lease.lost:
                continue
            if at - lease.renewed > LEASE:
                lease.lost = True
                self._holders_loop.call_soon_threadsafe(self._tell, job, lease)
            else:
                held[job] = lease
        return held

    def _tell(self, job: str, lease: Lease) -> None:
        if self._held.get(job) is lease:  # it may have been released in between
            lease.on_lost()
