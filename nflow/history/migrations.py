"""Bringing a history of an older nflow forward: it may hold what the log has dropped, and cannot always be rebuilt."""

from collections.abc import Callable, Mapping
from typing import Final

from sqlalchemy import Connection, delete, func, insert, inspect, select, text

from nflow.errors import HistoryUnavailable
from nflow.history.schema import METADATA, VERSION, VERSIONS

#: By the version that it starts from, what makes the next one of it. A step says its SQL itself: the tables in
#: `schema` are those of the newest version alone.
STEPS: Final[Mapping[int, Callable[[Connection], None]]] = {}

#: Any number that no other program on the database is likely to lock.
_LOCK: Final = 0x6E666C6F77


def bring_forward(
    connection: Connection, steps: Mapping[int, Callable[[Connection], None]] = STEPS, newest: int = VERSION
) -> None:
    """Make the tables, or bring those that are there to the newest version, in the transaction of `connection`.

    Raises:
        HistoryUnavailable: a newer nflow has made them.
    """
    if connection.dialect.name == "postgresql":  # two that make tables at once would be in each other's way
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    there = version_of(connection)
    if there is None:
        METADATA.create_all(connection)
        connection.execute(insert(VERSIONS), {"version": newest})
        return
    if there > newest:
        raise HistoryUnavailable(
            f"The history has schema {there}, of a newer nflow; this one knows {newest}. "
            "Upgrade nflow here, or set history.url to another place."
        )
    for version in range(there, newest):
        steps[version](connection)
    if there < newest:
        connection.execute(delete(VERSIONS))
        connection.execute(insert(VERSIONS), {"version": newest})


def version_of(connection: Connection) -> int | None:
    """The version of the tables that are there; None if there are none."""
    if not inspect(connection).has_table(VERSIONS.name):
        return None
    version: int | None = connection.execute(select(func.max(VERSIONS.c.version))).scalar_one()
    return version
