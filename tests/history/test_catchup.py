"""The history is what the log says, whoever brings it up to date, and however often that is broken off."""

from dataclasses import asdict

import pytest
from sqlalchemy import text

from nflow.core.events import (
    DagStarted,
    RunFinished,
    RunRetried,
    Status,
    StopRequested,
    TaskFailed,
    TaskStarted,
    TaskSucceeded,
)
from nflow.core.ids import DagId, RunId, TaskId
from nflow.core.retry import RetrySpec
from nflow.history import catchup, portion
from nflow.history.catchup import NO_END
from nflow.history.portion import DAMAGED, TOO_NEW
from nflow.history.pruning import prune
from nflow.history.questions import Questions
from nflow.view.detail import NO_BEGINNING
from nflow.wire.frames import pack_plain
from nflow.wire.values import inline
from tests.history.chronicle import MAIN, WHO, WHY, WORKER
from tests.history.recount import counted_in, recounted

A = TaskId("a")
CLAIMED = TaskStarted(task=A, attempt=1, execution=1, worker=WORKER, host="edge-1")
DONE = TaskSucceeded(task=A, attempt=1, execution=1, provenance=WHO)
BROKEN = TaskFailed(task=A, attempt=1, execution=1, error=WHY, provenance=WHO)


def everything(database):
    """All rows of all tables but the position."""
    tables = ("runs", "retries", "gaps", "dags", "tasks", "attempts", "executions", "pruned")
    with database.reading() as connection:
        return {
            table: sorted(map(tuple, connection.execute(text(f"SELECT * FROM {table}"))), key=str) for table in tables
        }


def asked(database):
    return Questions(database, "nflow")


@pytest.mark.parametrize("size", [1, 7, 5000])
async def test_histories_of_random_runs_equal_a_recount_however_they_are_cut_into_portions(
    chronicle, database, monkeypatch, size
):
    monkeypatch.setattr(catchup, "PORTION", size)
    for seed in range(12):
        await chronicle.live(f"r{seed}", seed * 7 + size)

    await chronicle.into(database)

    assert recounted(await chronicle.records()).differences(counted_in(database)) == []


async def test_portions_of_any_size_make_the_same_history(chronicle, opened, tmp_path, monkeypatch):
    for seed in range(10):
        await chronicle.live(f"r{seed}", seed)

    made = []
    for size in (1, 3, 1000):
        monkeypatch.setattr(catchup, "PORTION", size)
        database = opened(tmp_path / f"{size}.db")
        await chronicle.into(database)
        made.append(everything(database))

    assert made[0] == made[1] == made[2]


async def test_a_run_is_known_with_all_that_was_given_to_it(chronicle, database):
    await chronicle.begin("r1", energy=12.4, name="LaB6", many=[1, 2])

    await chronicle.into(database)

    story = asked(database).run("r1")
    assert story.parameters == {"energy": 12.4, "name": "LaB6", "many": [1, 2]}
    assert (story.run.workflow, story.run.state, story.run.spec, story.run.worker) == (
        "scan",
        "running",
        "spec of scan",
        "w",
    )


async def test_a_task_that_ends_in_a_later_portion_is_one_and_the_same(chronicle, database):
    await chronicle.begin("r1")
    await chronicle.tell("r1", CLAIMED, dag=MAIN)
    await chronicle.into(database)

    await chronicle.tell("r1", DONE, dag=MAIN)
    await chronicle.into(database)

    [line] = asked(database).runs()
    assert line.tasks == {"succeeded": 1}
    task = asked(database).run("r1").run.dags[MAIN].tasks[A]
    assert [each.state for each in task.attempts[1].executions.values()] == ["succeeded"]


async def test_parameters_that_a_retry_changes_come_over_the_first_ones(chronicle, database):
    await chronicle.begin("r1", energy=1, name="x")
    await chronicle.end("r1", Status.FAILED)
    await chronicle.into(database)

    await chronicle.tell("r1", RunRetried(number=1, by="p", parameters={"energy": inline(2)}))
    await chronicle.into(database)

    assert asked(database).run("r1").parameters == {"energy": 2, "name": "x"}


async def test_whether_a_failure_is_final_follows_from_the_plan_of_the_workflow(chronicle, database):
    chronicle.policies["spec of scan"] = {("main", A): RetrySpec(attempts=2)}
    await chronicle.begin("r1")
    await chronicle.into(database)

    await chronicle.tell("r1", CLAIMED, BROKEN, dag=MAIN)
    await chronicle.into(database)

    [line] = asked(database).runs()
    assert line.tasks == {"retrying": 1}


async def test_nothing_is_read_twice(chronicle, database):
    await chronicle.begin("r1")
    first = await chronicle.into(database)

    again = await chronicle.into(database)

    assert (first.records, again.records) == (4, 0)


async def test_who_is_overtaken_reads_on_behind_the_other(chronicle, database, opened, url, monkeypatch):
    """Every portion of the first is overtaken once, in the middle of its way."""
    monkeypatch.setattr(catchup, "PORTION", 3)
    for seed in range(4):
        await chronicle.live(f"r{seed}", seed)
    rival = opened(url)
    portions = []
    store = catchup.CatchUp._store

    def overtaken(self, found, stream, after, retries):
        if self._database is database and len(portions) % 2 == 0:
            portions.append(after)
            with rival.writing() as connection:
                portion.write(connection, found, namespace="nflow", stream=stream, after=after, retries=retries)
        else:
            portions.append(after)
        store(self, found, stream, after, retries)

    monkeypatch.setattr(catchup.CatchUp, "_store", overtaken)
    await chronicle.into(database)

    assert len(portions) > 4
    assert recounted(await chronicle.records()).differences(counted_in(database)) == []


# --- what the log has dropped ----------------------------------------------------------------------------------------


async def test_runs_that_the_log_has_dropped_stay(chronicle, database):
    await chronicle.begin("r1")
    await chronicle.end("r1")
    await chronicle.into(database)
    await chronicle.forget(["r1"])

    await chronicle.into(database)
    await chronicle.into(database, rebuild=True)

    assert [(line.run, line.state, line.gaps) for line in asked(database).runs()] == [("r1", "succeeded", ())]


async def test_a_run_whose_end_was_dropped_before_it_was_read_has_a_gap(chronicle, database):
    await chronicle.begin("r1")
    await chronicle.into(database)
    await chronicle.end("r1")
    await chronicle.forget(["r1"])

    await chronicle.into(database)
    await chronicle.into(database)

    assert [(line.run, line.state, line.gaps) for line in asked(database).runs()] == [("r1", "unknown", (NO_END,))]


async def test_a_run_without_its_beginning_has_a_gap(chronicle, database):
    await chronicle.tell("r1", CLAIMED, DONE, dag=MAIN)
    await chronicle.end("r1")

    await chronicle.into(database)

    assert [(line.run, line.state, line.gaps) for line in asked(database).runs()] == [
        ("r1", "succeeded", (NO_BEGINNING,))
    ]


@pytest.mark.parametrize(
    ("payload", "gap"), [(b"\xff\xff", DAMAGED), (pack_plain([99, [], "9.9"]), TOO_NEW), (b"", DAMAGED)]
)
async def test_a_record_that_cannot_be_read_is_a_gap(chronicle, database, payload, gap):
    await chronicle.begin("r1")
    await chronicle.bus.append(chronicle.subjects.own(RunId("r1")), payload)
    await chronicle.end("r1")

    await chronicle.into(database)

    assert [(line.state, line.gaps) for line in asked(database).runs()] == [("succeeded", (gap,))]


# --- another log -----------------------------------------------------------------------------------------------------


async def test_a_history_that_is_deleted_is_made_anew(chronicle, opened, tmp_path):
    for seed in range(5):
        await chronicle.live(f"r{seed}", seed)
    before, after = opened(tmp_path / "one.db"), opened(tmp_path / "two.db")
    await chronicle.into(before)

    await chronicle.into(after)

    assert everything(before) == everything(after)


async def test_rebuilding_makes_the_same_history(chronicle, database):
    for seed in range(5):
        await chronicle.live(f"r{seed}", seed)
    await chronicle.into(database)
    before = everything(database)

    await chronicle.into(database, rebuild=True)

    assert everything(database) == before


async def test_a_log_that_was_made_anew_is_noticed_and_read_beside_what_is_known(chronicle, database, monkeypatch):
    await chronicle.begin("r1")
    await chronicle.end("r1")
    await chronicle.into(database)
    await chronicle.forget(["r1"])
    await chronicle.begin("r2")

    async def later(_):
        return "another time"

    monkeypatch.setattr(chronicle.bus, "origin", later)
    done = await chronicle.into(database)

    assert [line.run for line in asked(database).runs()] == ["r2", "r1"]
    assert done.remarks == ("The server's log was made anew: what the history knows from the one before stays.",)
    assert (await chronicle.into(database)).remarks == ()


async def test_a_log_that_was_set_back_is_read_anew(chronicle, database):
    await chronicle.begin("r1")
    await chronicle.into(database)
    with database.writing() as connection:
        connection.execute(text("UPDATE positions SET seq = 1000"))

    done = await chronicle.into(database)

    assert done.remarks == ("The server's log was set back, to a backup perhaps: the history is read anew from it.",)
    assert [(line.run, line.state) for line in asked(database).runs()] == [("r1", "running")]


# --- odd names -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["größe:1", "a.b*c>:1", f"{'long' * 100}:1", "nul\0:1", "half\udcff:1", "back\\x00:1"])
async def test_names_and_texts_of_all_kinds_come_through(chronicle, database, monkeypatch, name):
    monkeypatch.setattr(catchup, "PORTION", 1)
    dag, task = DagId(name), TaskId(name.partition(":")[0])
    await chronicle.begin("r1")
    await chronicle.tell("r1", DagStarted(key="k", dag=dag), StopRequested(reason=name, by=name))
    claimed = TaskStarted(task=task, attempt=1, execution=1, worker=WORKER, host=name)
    done = TaskSucceeded(task=task, attempt=1, execution=1, provenance=WHO)

    await chronicle.tell("r1", claimed, done, dag=dag)
    await chronicle.into(database)

    run = asked(database).run("r1").run
    [found] = [each for each in run.dags.values() if each.id != MAIN]
    assert [task.state for task in found.tasks.values()] == ["succeeded"]
    assert +found.counts == {"succeeded": 1}


# --- pruning ---------------------------------------------------------------------------------------------------------


async def test_pruned_runs_are_gone_and_do_not_come_back(chronicle, database):
    await chronicle.begin("r1")
    await chronicle.tell("r1", CLAIMED, DONE, dag=MAIN)
    await chronicle.end("r1")
    await chronicle.begin("r2")
    await chronicle.into(database)

    removed = prune(database, "nflow", before=1e12, now=1.0)
    await chronicle.tell("r1", StopRequested(reason="late", by="p"))
    await chronicle.into(database)
    await chronicle.into(database, rebuild=True)

    assert removed == 1
    assert [line.run for line in asked(database).runs()] == ["r2"]
    left = everything(database)
    assert (left["executions"], left["attempts"], left["tasks"], len(left["dags"])) == ([], [], [], 1)


async def test_young_runs_are_not_pruned(chronicle, database):
    await chronicle.begin("r1")
    await chronicle.end("r1")
    await chronicle.into(database)

    assert prune(database, "nflow", before=0.0, now=1.0) == 0
    assert len(asked(database).runs()) == 1


async def test_a_pruned_run_that_is_retried_comes_back_with_a_gap(chronicle, database):
    await chronicle.begin("r1")
    await chronicle.end("r1", Status.FAILED)
    await chronicle.into(database)
    prune(database, "nflow", before=1e12, now=1.0)

    await chronicle.tell("r1", RunRetried(number=1, by="p", dags=(MAIN,)))
    await chronicle.tell("r1", RunFinished(status=Status.SUCCEEDED, opening=1))
    await chronicle.into(database)

    [line] = asked(database).runs()
    assert (line.state, line.gaps, asdict(line)["retried"]) == ("succeeded", (NO_BEGINNING,), 1)
