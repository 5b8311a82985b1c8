"""The connection to a site's MongoDB: its collections, its check at the start, and how long a call waits for it.

Passwords stay in here: errors name the hosts and the database alone, and say nothing in pymongo's own words about an
address that it could not read.
"""

import asyncio
import logging
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import pymongo
from bson.codec_options import CodecOptions
from pymongo import AsyncMongoClient, ReadPreference, WriteConcern
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import (
    AutoReconnect,
    ConfigurationError,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
)

from nflow.errors import ConfigError, StoreUnavailable
from nflow.store.mongo.documents import Document

_T = TypeVar("_T")

#: Projections with expressions came with it.
OLDEST = (4, 4)

#: Seconds in which a worker that starts must know that it can work.
CHECKED_WITHIN = 3.0

#: The index of the parts of logs, in whose order they are read.
ORDER = [("log", 1), ("is_set", 1), ("at", 1), ("last", 1)]

_deadline: ContextVar[float | None] = ContextVar("_deadline", default=None)

_DATABASE = "nflow"

#: What MongoDB says of a login that it does not accept, and of one that may not do this.
_NOT_LOGGED_IN, _NOT_ALLOWED = frozenset({18, 8000}), 13

_TRANSIENT = frozenset({91, 189, 11600, 11602, 10107, 13435, 13436})  #: it goes down, or hands over to another


class Connection:
    """One client with its pool, for as long as a worker lives."""

    def __init__(self, url: str, *, timeout: float, namespace: str = "nflow") -> None:
        logging.getLogger("pymongo").setLevel(logging.WARNING)  # it would log users' data with --debug
        self.timeout = timeout
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", UserWarning)  # so pymongo tells an option that it will not heed
                self._client: AsyncMongoClient[Document] = AsyncMongoClient(url, connect=False, appname="nflow")
            database = self._client.get_default_database(_DATABASE)
        except (PyMongoError, UserWarning, ValueError, TypeError):  # their words may hold pieces of the password
            raise ConfigError(
                "store.url is no address of a MongoDB: write it like mongodb://user:password@host:27017/nflow, with "
                "options that pymongo knows behind a '?', and a password's @ : / % as %40 %3A %2F %25."
            ) from None
        self._database = database
        self._works: set[asyncio.Future[Any]] = set()
        self.heads = self._collection(f"{namespace}_store")
        self.parts = self._collection(f"{namespace}_store_parts")

    @property
    def address(self) -> str:
        """Where it is, for people: without login and options."""
        topology = self._client.topology_description
        hosts = ",".join(
            sorted(f"{host}:{port}" if port else str(host) for host, port in topology.server_descriptions())
        )
        return f"mongodb://{hosts}/{self._database.name}"

    async def check(
        self, *, within: float = CHECKED_WITHIN, oldest: Sequence[int] = OLDEST, only_look: bool = False
    ) -> None:
        """Make sure that the store can be worked with, and unless this is `only_look`, that its indexes are there.

        Raises:
            StoreUnavailable: it cannot; the message says why.
        """
        try:
            # pymongo ends a little earlier by itself, and then knows the reason
            async with asyncio.timeout(within):
                with pymongo.timeout(0.8 * within):
                    await self._check_version(oldest)
                    await (self.heads.find_one() if only_look else self._create_indexes())
        except TimeoutError:
            raise self._unavailable("it does not answer. Is that the right address?") from None
        except (PyMongoError, OSError) as error:
            raise self._unavailable(self._reason(error)) from None

    async def run(self, act: Callable[[], Awaitable[_T]]) -> _T:
        """What `act` gives; it is called again for as long as MongoDB is away, up to the timeout.

        Raises:
            StoreUnavailable: it did not come back in time, or does not let us in.
        """
        # Whoever is cancelled goes at once, but not in the middle of pymongo: it would give up the connection.
        work = asyncio.ensure_future(self._waiting(act))
        self._works.add(work)
        work.add_done_callback(self._works.discard)
        return await asyncio.shield(work)

    async def _waiting(self, act: Callable[[], Awaitable[_T]]) -> _T:
        loop = asyncio.get_running_loop()
        deadline = _deadline.get() or loop.time() + self.timeout
        while True:
            try:
                # the next call waits in here until a server is found, without asking for it in vain
                with pymongo.timeout(max(deadline - loop.time(), 0.001)):
                    return await act()
            except PyMongoError as error:
                if not _is_away(error):
                    raise self._unavailable(self._reason(error)) from None
                if loop.time() >= deadline or (error.timeout and loop.time() >= deadline - 0.1):
                    raise self._away() from None

    @asynccontextmanager
    async def turn(self, lock: asyncio.Lock) -> AsyncIterator[None]:
        """Hold `lock` for all that a call does, which has the timeout as a whole: those before may wait for MongoDB.

        Raises:
            StoreUnavailable: it did not come in time.
        """
        deadline = asyncio.get_running_loop().time() + self.timeout
        try:
            async with asyncio.timeout_at(deadline):
                await lock.acquire()
        except TimeoutError:
            raise self._away() from None
        before = _deadline.set(deadline)
        try:
            yield
        finally:
            _deadline.reset(before)
            lock.release()

    async def runs(self) -> set[str]:
        """The runs to which anything belongs."""
        return {str(run) for part in (self.heads, self.parts) for run in await part.distinct("run")}

    async def forget(self, run: str) -> None:
        """Remove all that belongs to a run; the heads first, which lead to the rest."""
        await self.heads.delete_many({"run": run})
        await self.parts.delete_many({"run": run})

    async def close(self) -> None:
        """Close all connections."""
        for work in self._works:
            work.cancel()
        await asyncio.gather(*self._works, return_exceptions=True)
        await self._client.close()

    def _collection(self, name: str) -> AsyncCollection[Document]:
        concern = self._client.write_concern
        return self._database.get_collection(
            name,
            # whatever the address says: values come back as they were, from the one who knows the latest of them
            codec_options=CodecOptions(tz_aware=False),
            read_preference=ReadPreference.PRIMARY,
            write_concern=concern if concern.acknowledged else WriteConcern(w=1),
        )

    async def _check_version(self, oldest: Sequence[int]) -> None:
        version = (await self._client.server_info())["versionArray"]
        if tuple(version) < tuple(oldest):
            wanted, there = ".".join(map(str, oldest)), ".".join(map(str, version[:3]))
            raise self._unavailable(f"it is version {there}, and nflow needs {wanted} or newer. Upgrade it.")

    async def _create_indexes(self) -> None:
        await self.heads.create_index([("run", 1)])
        await self.parts.create_index([("run", 1)])
        await self.parts.create_index(ORDER)

    def _unavailable(self, reason: str) -> StoreUnavailable:
        return StoreUnavailable(f"The store at {self.address} cannot be used: {reason}")

    def _away(self) -> StoreUnavailable:
        return self._unavailable(f"it was away for {self.timeout:g} s (store.timeout). Is it running?")

    def _reason(self, error: Exception) -> str:
        match error:
            case ConfigurationError() if "wire version" in str(error):
                return f"it is too old; nflow needs {'.'.join(map(str, OLDEST))} or newer. Upgrade it."
            case OperationFailure(code=code) if code in _NOT_LOGGED_IN:
                return "it refuses the login. Look at the user, the password and `authSource` in store.url."
            case OperationFailure(code=code) if code == _NOT_ALLOWED:
                advice = f"Give it the role 'readWrite' on the database '{self._database.name}'."
                return f"its user may not do that, or it wants a user and a password in store.url. {advice}"
            case ServerSelectionTimeoutError():
                return f"nothing answers there ({_cause(error)}). Is it running, and is that the right address?"
            case PyMongoError(timeout=True):
                return "it does not answer. Is that the right address?"
        return f"{type(error).__name__}: {_cause(error)}."


def _is_away(error: PyMongoError) -> bool:
    if isinstance(error, OperationFailure):
        return error.timeout or error.code in _TRANSIENT
    return isinstance(error, AutoReconnect) or error.timeout


def _cause(error: Exception) -> str:
    """What pymongo says first; it then goes on about its topology."""
    return str(error).partition(" (configured timeouts")[0].partition(", Timeout:")[0][:200]
