"""How many operations on the store of a run one worker makes in a second, one after the other, on either backend."""

import asyncio
import importlib.util
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

from benchmarks.figure import Effort, Pair
from benchmarks.station import START_WITHIN, BenchError, Station
from nflow.core.ids import RunId
from nflow.store.port import Store
from nflow.wire.values import inline

#: Where the store is, in words.
BACKENDS: Final = {"nats": "on the server", "mongodb": "on MongoDB"}

WAYS: Final = ("get", "set", "push", "increment")

Act = Callable[[int], Awaitable[object]]

_RUN: Final = RunId("bench")
_DOCUMENT: Final = {"_id": "floor"}


async def operations(effort: Effort, *, backend: str, way: str) -> AsyncIterator[Pair]:
    """Operations in a second: of the store, and of a client that sends one such message for each."""
    async with AsyncExitStack() as stack:
        if backend == "nats":
            station = await stack.enter_async_context(Station())
            store = station.client.engine.store
            floor: Act = (lambda _: station.floor.get()) if way == "get" else station.floor.put
        else:
            store, collection = await stack.enter_async_context(_mongodb())
            floor = _raw(collection, way)
        act, many = _act(store, way), effort.size(2000)
        for number in range(effort.times(7) + 1):
            pair = await _rate(act, many), await _rate(floor, many)
            if number:  # the first one warms up
                yield pair


def _act(store: Store, way: str) -> Act:
    match way:
        case "get":
            return lambda number: store.get(_RUN, f"sample.k{number % 20}")
        case "set":
            return lambda number: store.set(_RUN, f"sample.k{number % 20}", inline(number))
        case "push":
            return lambda number: store.extend(_RUN, "results", [inline(number)])
    return lambda _: store.increment(_RUN, "count", 1)


def _raw(collection: Any, way: str) -> Act:
    match way:
        case "get":
            return lambda _: collection.find_one(_DOCUMENT)
        case "set":
            return lambda number: collection.update_one(_DOCUMENT, {"$set": {"value": number}}, upsert=True)
        case "push":
            last = {"$slice": -100}  # without it each one would cost what all before it have left
            return lambda number: collection.update_one(
                _DOCUMENT, {"$push": {"values": {"$each": [number]} | last}}, upsert=True
            )
    return lambda _: collection.update_one(_DOCUMENT, {"$inc": {"count": 1}}, upsert=True)


async def _rate(act: Act, many: int) -> float:
    start = time.perf_counter()
    for number in range(many):
        await act(number)
    return many / (time.perf_counter() - start)


@asynccontextmanager
async def _mongodb() -> AsyncIterator[tuple[Store, Any]]:
    """A store on a MongoDB of its own, and a collection for the minimal client."""
    try:
        from pymongo import AsyncMongoClient  # noqa: PLC0415 - as the next, an extra of nflow's

        from nflow.store.mongo import Connection, MongoStore  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise BenchError(f"{error.name} is not installed") from error
    with tempfile.TemporaryDirectory(prefix="nflow-bench-") as folder:
        url, process = await asyncio.to_thread(_start, Path(folder))
        connection = Connection(url, timeout=START_WITHIN)
        store, client = MongoStore(connection), AsyncMongoClient[dict[str, Any]](url)
        try:
            await connection.check(within=START_WITHIN)
            yield store, client.floor.floor
        finally:
            await client.close()
            await store.close()
            process.kill()
            process.wait()


def _start(folder: Path) -> tuple[str, "subprocess.Popen[bytes]"]:
    """A mongod, and where it will serve; the first who connects waits for it."""
    spec = importlib.util.find_spec("fiftyone")
    wheels = [Path(place, "db/bin/mongod") for place in (spec.submodule_search_locations or ())] if spec else []
    program = next((str(path) for path in wheels if path.exists()), None) or shutil.which("mongod")
    if program is None:
        raise BenchError("there is no mongod")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [program, "--dbpath", str(folder), "--bind_ip", "127.0.0.1", "--port", str(port), "--nounixsocket"]
    process = subprocess.Popen([*command, "--wiredTigerCacheSizeGB", "0.25"], stdout=subprocess.DEVNULL)
    return f"mongodb://127.0.0.1:{port}/bench", process
