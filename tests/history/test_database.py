"""Where the history is kept: who may read it, what is said when it cannot be used, and how it comes forward."""

import sqlite3
import stat
from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from nflow.errors import HistoryUnavailable
from nflow.history.database import Database
from nflow.history.migrations import bring_forward, version_of
from nflow.history.questions import Questions
from nflow.history.schema import VERSION


def test_a_file_is_made_for_this_user_alone(opened, tmp_path):
    opened(tmp_path / "new" / "history.db")

    assert stat.S_IMODE((tmp_path / "new" / "history.db").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


def test_a_new_history_has_the_newest_schema(database):
    with database.reading() as connection:
        assert version_of(connection) == VERSION


def test_an_older_history_is_brought_forward_step_by_step_and_keeps_its_rows(database):
    def to_next(connection):
        connection.execute(text("ALTER TABLE runs ADD COLUMN beamline TEXT DEFAULT 'P05'"))

    def to_last(connection):
        connection.execute(text("UPDATE positions SET seq = 8"))

    with database.writing() as connection:
        connection.execute(text("INSERT INTO positions (namespace, stream, seq) VALUES ('nflow', 's', 7)"))
    with database.writing() as connection:
        bring_forward(connection, {VERSION: to_next, VERSION + 1: to_last}, VERSION + 2)

    with database.reading() as connection:
        assert version_of(connection) == VERSION + 2
        assert "beamline" in {column["name"] for column in inspect(connection).get_columns("runs")}
        assert connection.execute(text("SELECT seq FROM positions")).scalar_one() == 8


def test_a_step_that_fails_leaves_everything_as_it_was(database):
    def broken(connection):
        connection.execute(text("INSERT INTO positions (namespace, stream, seq) VALUES ('nflow', 's', 7)"))
        connection.execute(text("UPDATE nowhere SET x = 1"))

    with pytest.raises(HistoryUnavailable), database.writing() as connection:
        bring_forward(connection, {VERSION: broken}, VERSION + 1)

    with database.reading() as connection:
        assert version_of(connection) == VERSION
        assert connection.execute(text("SELECT count(*) FROM positions")).scalar_one() == 0


def test_the_history_of_a_newer_nflow_is_not_touched(url, opened):
    with opened(url).writing() as connection:
        connection.execute(text("UPDATE schema_version SET version = 99"))

    with pytest.raises(HistoryUnavailable, match=r"schema 99, of a newer nflow; this one knows 1\. Upgrade nflow here"):
        opened(url)


def test_a_file_that_is_no_history_is_told_with_what_to_do(tmp_path):
    file = tmp_path / "history.db"
    file.write_bytes(b"no database " * 1000)

    with pytest.raises(HistoryUnavailable, match=r"not a database\. Is it a history\? Move that file away"):
        Database(file)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://me:hush@127.0.0.1:1/nflow", "postgresql://me:\\*\\*\\*@127.0.0.1:1/nflow cannot be used"),
        ("hush hush", "history.url is no address of a database"),
        ("nosuch://me:hush@host/nflow", "history.url cannot be used"),
    ],
)
def test_a_database_that_cannot_be_used_is_told_without_its_password(url, words):
    with pytest.raises(HistoryUnavailable, match=words) as caught:
        Database(url)

    assert "hush@" not in str(caught.value)
    assert ":hush" not in str(caught.value)


def test_a_reader_is_not_held_up_by_a_writer(database):
    with database.writing() as connection:
        connection.execute(text("INSERT INTO positions (namespace, stream, seq) VALUES ('nflow', 's', 7)"))

        assert Questions(database, "nflow").runs() == []


async def test_a_history_of_version_1_is_brought_forward_and_can_be_written_and_read(chronicle, opened, tmp_path):
    file = tmp_path / "history.db"
    with sqlite3.connect(file) as connection:
        connection.executescript(Path(__file__).with_name("schema-1.sql").read_text())
    connection.close()
    database = opened(file)
    await chronicle.begin("r1")

    await chronicle.into(database)

    assert [line.run for line in Questions(database, "nflow").runs()] == ["r1"]
    fresh = opened(tmp_path / "fresh.db")
    assert columns_of(database) == columns_of(fresh)


def columns_of(database):
    """Of all tables, by name."""
    inspector = inspect(database.engine)
    tables = inspector.get_table_names()
    return {table: sorted(column["name"] for column in inspector.get_columns(table)) for table in tables}
