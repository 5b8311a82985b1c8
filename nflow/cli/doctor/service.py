"""What nflow finds on its server: that it answers, how fast, and what lies there unfinished."""

import asyncio
import time
from collections import Counter
from secrets import token_hex
from statistics import median
from typing import TYPE_CHECKING

from nflow.bus.nats import NatsBus
from nflow.bus.topology import BROKEN_DISK, MAKE_ROOM
from nflow.cli.arguments import load_settings
from nflow.cli.doctor.finding import PATIENCE, Finding, ok, problem, warning, within
from nflow.config import Settings
from nflow.core.ids import RunId
from nflow.engine.engine import Engine
from nflow.errors import ConfigError, NflowError, ServerError, StorageFull, StoreUnavailable
from nflow.server import process
from nflow.server.folder import Folder, url_of
from nflow.session import look_at_store, open_engine
from nflow.wire.python import python_tag
from nflow.wire.subjects import Subjects
from nflow.worker.heartbeat import workers

if TYPE_CHECKING:
    from nflow.worker.heartbeat import WorkerEntry

#: Seconds for connecting, and for all that is asked then.
CONNECTING = 10.0
ASKING = 10.0

#: Seconds in which a server stores a record of so many bytes, if it does.
STORING = 4.0
PROBE = 128 * 1024

#: The share of what may be stored from which on a person should make room.
NEARLY = 0.85

#: Seconds for there and back, from which on a task waits longer for the network than for its slot.
SLOW = 0.05


def address(settings: Settings) -> Settings | Finding:
    """How to reach the configured server, or else the embedded one, if it runs."""
    if settings.server.url is not None:
        return settings
    try:
        return within(2 * PATIENCE, lambda: _embedded(settings))
    except TimeoutError:
        return problem("server", f"{settings.home} does not answer", "Is it on a network file system that is away?")


async def service(reachable: Settings) -> list[Finding]:
    """Look at the server of these settings; nothing is started for this."""
    found: list[Finding] = []
    try:
        found += await _store(reachable)
        async with asyncio.timeout(CONNECTING + ASKING):
            async with open_engine(reachable, name="doctor") as engine:
                await _look(engine, reachable.server.url, found)
    except (StoreUnavailable, ConfigError):
        pass  # told above
    except ServerError as error:
        found.append(problem("server", str(error)))
    except NflowError as error:
        found.append(problem("streams", str(error)))
    except TimeoutError:
        found.append(problem("server", f"{reachable.server.url} fell silent", "Look at its log."))
    return found


def _embedded(settings: Settings) -> Settings | Finding:
    """How to reach the embedded server, if it runs."""
    folder = Folder.expected(settings.home)
    port = folder.port()
    try:
        greeting = process.greeting(port) if port is not None else None
    except TimeoutError:
        advice = f"Its log: {folder.log}. If it is stopped: kill -CONT {folder.pid()}"
        return problem("server", f"the embedded server (pid {folder.pid()}) is silent", advice)
    if port is None or greeting is None or greeting.server_name != folder.server_name:
        return ok("server", "the embedded one, not running; it starts when it is needed")
    return load_settings(url_of(port), server__token=folder.token())


async def _look(engine: Engine, url: str | None, found: list[Finding]) -> None:
    """Add to what was found: should the server fall silent, the rest stands."""
    bus = engine.bus
    assert isinstance(bus, NatsBus)
    found.append(ok("server", f"{url}, nats-server {bus.server_version} with JetStream"))
    found.append(await _round_trip(engine))
    advice = "nflow works with it; who runs the server may mend it."
    differences = [warning("streams", difference, advice) for difference in bus.differences]
    found += differences or [ok("streams", f"as they should be, under the namespace '{bus.namespace}'")]
    found.append(await _storage(bus, engine.subjects))
    listed = await workers(engine)
    found.append(_workers(listed))
    found.append(await _runs(engine, listed))
    found.append(await _dead_letters(engine))


async def _storage(bus: NatsBus, subjects: Subjects) -> Finding:
    """How full the server is, and whether it does store something: one whose disk is full may just say nothing."""
    probe = subjects.upload(RunId("doctor"), token_hex(4))
    used, limit = await bus.storage()
    told = f"{used / 1e6:.1f} MB" + ("" if limit is None else f" of {limit / 1e6:.1f} MB")
    try:
        async with asyncio.timeout(STORING):
            await bus.append(subjects.blob(probe, 0), bytes(PROBE))
            await bus.purge(subjects.chunks(probe))
    except StorageFull as full:
        return problem("storage", f"{told}; {full}", "nflow store rm RUN, or shorter retention, makes room too.")
    except TimeoutError:
        return problem("storage", f"{told}; it stores nothing more, and does not say why", BROKEN_DISK)
    if limit is not None and used > NEARLY * limit:
        return warning("storage", f"{told} used", MAKE_ROOM)
    return ok("storage", f"{told} used")


async def _store(settings: Settings) -> list[Finding]:
    """How the database of the store is, where one is configured."""
    try:
        address = await look_at_store(settings)
    except (StoreUnavailable, ConfigError) as error:
        return [problem("store", str(error))]
    return [] if address is None else [ok("store", address)]


async def _round_trip(engine: Engine) -> Finding:
    times = []
    for _ in range(5):
        start = time.perf_counter()
        await engine.bus.flush()
        times.append(time.perf_counter() - start)
    told = f"{median(times) * 1000:.1f} ms"
    if median(times) > SLOW:
        return warning("round trip", told, "Each task costs a few of them: use a server that is nearer.")
    return ok("round trip", told)


def _workers(listed: "list[WorkerEntry]") -> Finding:
    if not listed:
        return ok("workers", "none; `nflow run` on the embedded server works by itself, else: nflow worker")
    queues = ", ".join(dict.fromkeys(queue for entry in listed for queue in entry.queues))
    told = f"{len(listed)} serve {queues}"
    pythons = {entry.python for entry in listed}
    if python_tag() not in pythons:
        return warning(
            "workers",
            f"{told}, none of them with this Python, {python_tag()}, but with {', '.join(sorted(pythons))}",
            "Tasks submitted from here wait for a worker of the same Python version.",
        )
    versions = Counter(entry.version for entry in listed)
    if len(versions) > 1:
        mixed = ", ".join(f"{count} of nflow {version}" for version, count in sorted(versions.items()))
        return warning("workers", f"{told}: {mixed}", "Upgrade the older ones: they hand back what newer ones wrote.")
    return ok("workers", told)


async def _runs(engine: Engine, listed: "list[WorkerEntry]") -> Finding:
    waiting = [entry for entry in await engine.index.all() if entry.is_active]
    served = {queue for entry in listed for queue in entry.queues}
    stuck = [entry for entry in waiting if entry.queue not in served]
    if stuck:
        queues = ",".join(dict.fromkeys(entry.queue for entry in stuck))
        advice = f"nflow worker -q {queues},dag,task" if queues != "workflow" else "nflow worker"
        return warning("runs", f"{len(waiting)} unfinished, {len(stuck)} of them in queues that nobody serves", advice)
    return ok("runs", f"{len(waiting)} unfinished")


async def _dead_letters(engine: Engine) -> Finding:
    page = await engine.bus.read(engine.subjects.dead_letters(), limit=1)
    count = len(page.records) + page.pending
    if count:
        return warning("dead letters", f"{count}", "Jobs that no worker could handle, and why: nflow dead list")
    return ok("dead letters", "none")
