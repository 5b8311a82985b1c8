"""The database of the history: opened, brought forward, and with its errors told in words. Never shows a password."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from nflow.errors import HistoryUnavailable
from nflow.history.migrations import bring_forward, version_of
from nflow.history.schema import VERSION

#: Seconds that one who writes waits for another: portions are small, but a disk may be slow.
BUSY: Final = 60.0

_WRITES: Final = "nflow_writes"
_INSTALL: Final = {"psycopg": "pip install 'nflow[postgresql]'"}


class Database:
    """A history that is there, and can be asked and written by any number of processes."""

    def __init__(self, url: str | Path) -> None:
        """Open it, and make or bring forward its tables.

        Raises:
            HistoryUnavailable: it cannot be opened, or a newer nflow has made it.
        """
        self._url = _url_of(url)
        self.engine = self._create()
        try:
            with self.reading() as connection:
                is_current = version_of(connection) == VERSION
            if not is_current:
                with self.writing() as connection:
                    bring_forward(connection)
        except HistoryUnavailable:
            self.close()
            raise

    @property
    def place(self) -> str:
        """Where it is, for people."""
        return _told(self._url)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one moment of the history."""
        with self._told_in_words(), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that writes: all of it, or nothing."""
        with self._told_in_words(), self.engine.connect() as connection:
            connection.execution_options(**{_WRITES: True})
            with connection.begin():
                yield connection

    def close(self) -> None:
        """Let go of all connections."""
        self.engine.dispose()

    def _create(self) -> Engine:
        is_sqlite = self._url.get_backend_name() == "sqlite"
        try:
            if is_sqlite and self._url.database:
                _make_private(Path(self._url.database))
            engine = create_engine(self._url, connect_args={"timeout": BUSY} if is_sqlite else {})
        except ModuleNotFoundError as error:
            hint = _INSTALL.get(error.name or "", f"pip install {error.name}")
            raise HistoryUnavailable(
                f"history.url names a database for which '{error.name}' is not installed here: {hint}"
            ) from None
        except (ArgumentError, NoSuchModuleError) as error:
            raise HistoryUnavailable(f"history.url cannot be used: {error}.") from None
        if is_sqlite:
            event.listen(engine, "connect", _prepare)
            event.listen(engine, "begin", _begin)
        return engine

    @contextmanager
    def _told_in_words(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise self._unavailable(" ".join(str(error.orig).split()), _advice(error)) from error
        except SQLAlchemyError as error:
            raise self._unavailable(str(error), "") from error

    def _unavailable(self, reason: str, advice: str) -> HistoryUnavailable:
        what = f"The history at {self.place} cannot be used: {reason.rstrip('.')}. {advice}"
        return HistoryUnavailable(what.rstrip())


def _url_of(url: str | Path) -> URL:
    if isinstance(url, Path):
        return URL.create("sqlite", database=str(url))
    try:
        made = make_url(url)
    except ArgumentError:
        raise HistoryUnavailable(
            "history.url is no address of a database. Write it as 'postgresql://user:password@host/name'."
        ) from None
    return made.set(drivername="postgresql+psycopg") if made.drivername == "postgresql" else made


def _told(url: URL) -> str:
    if url.get_backend_name() == "sqlite":
        return url.database or "memory"
    return url.set(drivername=url.get_backend_name(), query={}).render_as_string(hide_password=True)


def _advice(error: DBAPIError) -> str:
    if isinstance(error.orig, sqlite3.DatabaseError) and not isinstance(error.orig, sqlite3.OperationalError):
        return "Is it a history? Move that file away, and it is made anew from the log."
    return "Is the database there, and may you write to it? history.url says where it is."


def _make_private(file: Path) -> None:
    """What tasks were given and what they said is nobody else's business."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileExistsError):
            os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except OSError as error:
        raise HistoryUnavailable(f"The history cannot be kept in {file}: {error.strerror}. Set history.url.") from error


def _prepare(connection: Any, _: object) -> None:
    """SQLite: readers beside a writer; and the library, not Python's module, decides when transactions begin."""
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA cache_size = -65536")  # KiB; the indexes of a large history are written all over
    cursor.execute("PRAGMA synchronous = NORMAL")  # a power cut may undo a portion, which is then read again
    cursor.close()


def _begin(connection: Connection) -> None:
    """A transaction that will write takes its turn at once: one that first reads might find that it comes too late."""
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get(_WRITES) else "BEGIN")
