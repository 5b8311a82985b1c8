"""What people ask of the history."""

import pytest

from nflow.core.events import Provenance, RunFinished, Status, TaskFailed, TaskStarted, TaskSucceeded
from nflow.core.ids import TaskId
from nflow.history.questions import Questions, TaskFigures
from tests.history.chronicle import MAIN, WHY, WORKER

A, B = TaskId("a"), TaskId("b")


def ran(task: TaskId, seconds: float, *, fails: bool = False):
    """The events of a task that ran so long."""
    who = Provenance(worker=WORKER, host="h", pid=1, start=100.0, end=100.0 + seconds)
    claimed = TaskStarted(task=task, attempt=1, execution=1, worker=WORKER, host="h")
    if fails:
        return claimed, TaskFailed(task=task, attempt=1, execution=1, error=WHY, provenance=who)
    return claimed, TaskSucceeded(task=task, attempt=1, execution=1, provenance=who)


@pytest.fixture
def asked(database):
    return Questions(database, "nflow")


async def test_figures_are_of_the_runs_that_succeeded_and_failures_are_counted(chronicle, database, asked):
    for number in range(21):
        await chronicle.begin(f"r{number}")
        await chronicle.tell(f"r{number}", *ran(A, float(number)), *ran(B, 9.0, fails=number < 7), dag=MAIN)
    await chronicle.begin("other", "another workflow")
    await chronicle.tell("other", *ran(A, 1000.0), dag=MAIN)
    await chronicle.into(database)

    assert asked.figures("scan") == [
        TaskFigures(dag="main", task="a", count=21, p50=10.0, p95=19.0, max=20.0, failed=0, failure_rate=0.0),
        TaskFigures(dag="main", task="b", count=21, p50=9.0, p95=9.0, max=9.0, failed=7, failure_rate=1 / 3),
    ]


async def test_of_a_workflow_that_never_ran_there_are_no_figures(asked):
    assert asked.figures("scan") == []
    assert asked.workflows() == []


async def test_runs_of_other_namespaces_are_not_listed(chronicle, database):
    await chronicle.begin("r1")
    await chronicle.into(database)

    others = Questions(database, "saxs")

    assert (others.runs(), others.find("r"), others.run("r1"), list(others.export("tasks"))) == ([], [], None, [])


@pytest.mark.parametrize(
    ("text", "found"), [("r1", ["r1"]), ("r", ["r1", "r11", "r2"]), ("r2", ["r2"]), ("@last", ["r2"]), ("x", [])]
)
async def test_runs_are_found_by_their_beginnings(chronicle, database, asked, text, found):
    for run in ("r1", "r11", "r2"):
        await chronicle.begin(run)
    await chronicle.into(database)

    assert asked.find(text) == found


async def test_runs_are_chosen_by_state_and_number(chronicle, database, asked):
    for number in range(6):
        await chronicle.begin(f"r{number}")
        if number % 2:
            await chronicle.tell(f"r{number}", RunFinished(status=Status.FAILED, reason="why"))
    await chronicle.into(database)

    assert [line.run for line in asked.runs(states=["failed"], limit=2)] == ["r5", "r3"]
    assert len(asked.runs()) == 6


async def test_a_page_of_one_task_has_no_other(chronicle, database, asked):
    await chronicle.begin("r1")
    await chronicle.tell("r1", *ran(A, 1.0), *ran(B, 1.0, fails=True), dag=MAIN)
    await chronicle.into(database)

    story = asked.run("r1", task="main:1/b")

    assert list(story.run.dags[MAIN].tasks) == [B]
    assert story.run.dags[MAIN].tasks[B].attempts[1].error == WHY


async def test_exports_are_rows_with_their_json_unpacked(chronicle, database, asked):
    await chronicle.begin("r1", energy=12.4)
    await chronicle.into(database)

    [row] = asked.export("runs")

    assert (row["run"], row["parameters"]) == ("r1", {"energy": 12.4})
