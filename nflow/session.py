"""From settings to a connected engine: on the site's server, or on one that nflow starts and shares by itself."""

import asyncio
import os
import platform
import secrets
from collections.abc import AsyncIterator
from concurrent.futures import Future
from contextlib import asynccontextmanager
from types import ModuleType
from typing import TYPE_CHECKING

from nflow.blobs.terms import Terms
from nflow.bus.nats import Login, NatsBus, connect
from nflow.bus.port import Bus
from nflow.bus.topology import LogLimits
from nflow.config import Settings
from nflow.core.ids import WorkerId
from nflow.engine.engine import Engine
from nflow.engine.upkeep.sweep import Retention
from nflow.errors import NflowError, StoreUnavailable
from nflow.server import Attachment, attach
from nflow.server.folder import Folder
from nflow.store.kv import KvStore
from nflow.store.port import Store
from nflow.wire.digest import digest

if TYPE_CHECKING:
    from nflow.history.database import Database


@asynccontextmanager
async def open_engine(
    settings: Settings,
    *,
    name: str | None = None,
    attaching: Future[Attachment] | None = None,
    works: bool = False,
) -> AsyncIterator[Engine]:
    """An engine on the configured server, else on the embedded one, which is started if need be.

    Args:
        settings: Where the server is, and how to log in.
        name: What this process is called among the workers.
        attaching: The embedded server, where a thread attaches to it already.
        works: Whether it is to run tasks, and so needs the store from the beginning.

    Raises:
        ServerError: there is no server, it does not serve, or the database of the store cannot be used.
    """
    if settings.server.url is not None:
        async with _engine(settings.server.url, settings, _login(settings), name, works=works) as engine:
            yield engine
        return
    attachment = await (asyncio.wrap_future(attaching) if attaching else asyncio.to_thread(attach, settings))
    try:
        attachment.watch()
        async with _engine(attachment.url, settings, Login(token=attachment.token), name, works=works) as engine:
            yield engine
    finally:
        await _detach(attachment)


async def _detach(attachment: Attachment) -> None:
    """Leave the server; without a thread for it where the interpreter is ending, and starts none any more."""
    try:
        await asyncio.to_thread(attachment.detach)
    except RuntimeError as error:
        if isinstance(error, NflowError):
            raise
        attachment.detach()


@asynccontextmanager
async def _engine(
    url: str, settings: Settings, login: Login, name: str | None, *, works: bool
) -> AsyncIterator[Engine]:
    worker = worker_id(name)
    bus: NatsBus = await connect(
        url,
        namespace=settings.server.namespace,
        replicas=settings.server.replicas,
        logs=log_limits(settings),
        name=worker,
        **login,
    )
    try:
        async with _store(settings, bus, works=works) as store:
            engine = Engine(bus, worker, store, terms=_terms(settings), cache_size=settings.blobs.cache_size)
            try:
                yield engine
            finally:
                engine.close()
    finally:
        await bus.close()


@asynccontextmanager
async def _store(settings: Settings, bus: Bus, *, works: bool) -> AsyncIterator[Store]:
    if settings.store.database is None:
        yield KvStore(bus)
        return
    mongo = _mongo()
    connection = mongo.Connection(
        settings.store.database, timeout=settings.store.timeout, namespace=settings.server.namespace
    )
    store = mongo.MongoStore(connection)
    try:
        if works:
            await connection.check()
        yield store
    finally:
        await store.close()


async def look_at_store(settings: Settings) -> str | None:
    """Where the store's database is, without its secrets, once it has answered; None if the server has the store.

    Raises:
        StoreUnavailable: it cannot be worked with; the message says why.
    """
    if settings.store.database is None:
        return None
    connection = _mongo().Connection(settings.store.database, timeout=settings.store.timeout)
    try:
        await connection.check(only_look=True)
        return str(connection.address)
    finally:
        await connection.close()


def history_of(settings: Settings) -> "Database":
    """The history of the runs on the configured server: in the database that is set, else in a file of this user's.

    Raises:
        HistoryUnavailable: it cannot be opened.
    """
    from nflow.history.database import Database  # noqa: PLC0415 - slow to import, and few need it

    if settings.history.database is not None:
        return Database(settings.history.database)
    folder = Folder.expected(settings.home).path
    place = "" if settings.server.url is None else f"-{digest(settings.server.url.encode())[:12]}"
    return Database(folder / f"history{place}.db")


def _mongo() -> ModuleType:
    try:
        from nflow.store import mongo  # noqa: PLC0415 - it needs an extra, and is slow to import
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("nflow"):
            raise
        raise StoreUnavailable(
            f"store.url names a MongoDB, and '{error.name}' is not installed here: pip install 'nflow[mongodb]'"
        ) from None
    return mongo


def _terms(settings: Settings) -> Terms:
    return Terms(
        inline_size=int(settings.limits.inline_size),
        max_value_size=int(settings.limits.max_value_size),
        folder=str(settings.blobs.folder or ""),
    )


def retention(settings: Settings) -> Retention:
    """How long workers keep what is over."""
    return Retention(failed=settings.retention.failed, history=settings.retention.history)


def log_limits(settings: Settings) -> LogLimits:
    """How much of the logs the server is to keep, as far as that is set."""
    size = settings.logs.max_size
    return LogLimits(size_bytes=None if size is None else int(size), age=settings.logs.max_age)


def worker_id(name: str | None = None) -> WorkerId:
    """The id of this life of this process: its name, by default the host's and the process's, and a random tail."""
    return WorkerId(f"{name or f'{platform.node()}-{os.getpid()}'}-{secrets.token_hex(3)}")


def _login(settings: Settings) -> Login:
    server = settings.server
    login = Login()
    if server.token is not None:
        login["token"] = server.token.get_secret_value()
    if server.user is not None:
        login["user"] = server.user
    if server.password is not None:
        login["password"] = server.password.get_secret_value()
    return login
