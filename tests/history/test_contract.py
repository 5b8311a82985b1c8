"""What docs/history.md promises to people who write SQL."""

import re
from pathlib import Path

from sqlalchemy import text

from nflow.core.events import Status
from nflow.history.schema import METADATA, TASK_STATES
from tests.history.chronicle import MAIN
from tests.history.test_catchup import CLAIMED, DONE

DOCS = Path(__file__).parents[2] / "docs" / "history.md"


def test_every_table_and_column_is_told_of():
    page = DOCS.read_text()

    own = {"positions", "pruned", "schema_version"}
    untold = [
        f"{table.name}.{column.name}"
        for table in METADATA.sorted_tables
        if table.name not in own
        for column in table.columns
        if f"`{column.name}`" not in page and column.name not in TASK_STATES
    ]
    assert untold == []
    assert all(f"`{table.name}`" in page for table in METADATA.sorted_tables)


async def test_the_question_in_sql_that_is_shown_there_has_an_answer(chronicle, opened, tmp_path):
    await chronicle.begin("r1")
    await chronicle.tell("r1", CLAIMED, DONE, dag=MAIN)
    await chronicle.end("r1", Status.SUCCEEDED)
    database = opened(tmp_path / "history.db")
    await chronicle.into(database)
    [question] = re.findall(r"```sql\n(.*?);\n```", DOCS.read_text(), re.DOTALL)

    with database.reading() as connection:
        connection.execute(text("UPDATE executions SET started = CAST(strftime('%s') AS REAL)"))
        answers = connection.execute(text(question)).all()

    assert [tuple(answer)[:4] for answer in answers] == [("scan", "a", "edge-1", 1.0)]
