"""From settings to a connected engine: on the site's server, or on one that nflow starts and shares by itself."""

import asyncio
import os
import platform
import secrets
from collections.abc import AsyncIterator
from concurrent.futures import Future
from contextlib import asynccontextmanager

from nflow.bus.nats import Login, NatsBus, connect
from nflow.config import Settings
from nflow.core.ids import WorkerId
from nflow.engine.engine import Engine
from nflow.server import Attachment, attach
from nflow.store.kv import KvStore


@asynccontextmanager
async def open_engine(
    settings: Settings, *, name: str | None = None, attaching: Future[Attachment] | None = None
) -> AsyncIterator[Engine]:
    """An engine on the configured server, else on the embedded one, which is started if need be.

    Args:
        settings: Where the server is, and how to log in.
        name: What this process is called among the workers.
        attaching: The embedded server, where a thread attaches to it already.
    """
    if settings.server.url is not None:
        async with _engine(settings.server.url, settings, _login(settings), name) as engine:
            yield engine
        return
    attachment = await (asyncio.wrap_future(attaching) if attaching else asyncio.to_thread(attach, settings))
    try:
        attachment.watch()
        async with _engine(attachment.url, settings, Login(token=attachment.token), name) as engine:
            yield engine
    finally:
        await asyncio.to_thread(attachment.detach)


@asynccontextmanager
async def _engine(url: str, settings: Settings, login: Login, name: str | None) -> AsyncIterator[Engine]:
    worker = worker_id(name)
    bus: NatsBus = await connect(
        url, namespace=settings.server.namespace, replicas=settings.server.replicas, name=worker, **login
    )
    engine = Engine(bus, worker, KvStore(bus))
    try:
        yield engine
    finally:
        engine.close()
        await bus.close()


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
