"""The client for programs with an event loop, on a bus in memory."""

import asyncio
import logging
import sys
from datetime import UTC, datetime
from types import ModuleType

import pytest

from nflow.client import AsyncClient
from nflow.core.dataset import Dataset
from nflow.core.events import StopRequested, TaskSucceeded
from nflow.errors import CallTimedOut, RunFailed, RunNotFound, UsageError, WorkflowArgumentError, WorkflowNotFound
from nflow.models import Option, Parameters
from nflow.wire.lines import Line, pack_lines
from nflow.wire.values import encode
from tests.client.conftest import Held, chain
from tests.worker.test_retrying import Broken

FILE = '''
"""Looks at a sample."""
from nflow.models import Dag, Option, Parameters
from nflow.tasks import PythonTask

parameters = Parameters([Option("count", type=int), Option("name", default="none")])
dag = Dag("look")
dag.define({PythonTask("a"): PythonTask("b")})
'''


async def all_of(iterator):
    async with asyncio.timeout(20):
        return [each async for each in iterator]


def words(events):
    return [f"{event.place or event.kind} {event.what}" for event in events if not event.is_detail]


@pytest.fixture
def workflow_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "look_at.py"
    file.write_text(FILE)
    return file


# --- starting ---


async def test_a_dag_that_was_just_made_runs_and_its_result_is_told(client, crew):
    run = await client.start(chain("a", "b"))

    result = await client.wait(run, timeout=20)

    assert (result.run, result.workflow, result.status, result.tasks) == (run, "scan", "succeeded", {"succeeded": 2})
    assert result.require_success() is result


@pytest.mark.parametrize("name", ["look_at", "look_at.py"])
async def test_a_workflow_file_is_started_by_its_name_or_path(client, crew, workflow_file, name):
    run = await client.start(name, {"count": 3}, keep_data=True)

    await client.wait(run, timeout=20)

    assert (await client.find(run)).workflow == "look_at"
    assert await client.get(run, "count") == 3


async def test_a_module_is_started_with_what_its_file_says(client, crew, workflow_file):
    module = ModuleType("look_at")
    module.__file__ = str(workflow_file)

    run = await client.start(module, {"count": "7"}, keep_data=True)

    await client.wait(run, timeout=20)
    assert await client.get(run, "count") == 7


async def test_what_a_notebook_has_defined_is_started_as_it_is_in_memory(client, crew, monkeypatch):
    notebook = ModuleType("__main__")
    dag = chain("a")
    vars(notebook).update(dag=dag, parameters=Parameters([Option("depth", type=int)]), _5=chain("b"))
    monkeypatch.setitem(sys.modules, "__main__", notebook)

    run = await client.start(notebook, {"depth": 2}, keep_data=True)

    await client.wait(run, timeout=20)
    assert crew.played == ["a"]
    assert ((await client.find(run)).workflow, await client.get(run, "depth")) == ("notebook", 2)


async def test_what_cannot_be_started_is_told_and_nothing_is(client, workflow_file):
    with pytest.raises(WorkflowNotFound, match="look_at"):
        await client.start("look_att")
    with pytest.raises(WorkflowArgumentError, match="'count'"):
        await client.start("look_at")

    assert await client.runs() == []


async def test_a_start_that_no_worker_is_there_for_is_warned_of(client, caplog):
    with caplog.at_level(logging.WARNING, "nflow.client"):
        run = await client.start(chain("a"))

    assert caplog.messages == [
        f"scan ({run}): No worker is there yet, and the run waits for one. Start it: nflow worker"
    ]


async def test_the_workflows_that_are_found_by_name_are_listed(client, workflow_file):
    [found] = await client.workflows()

    assert (found.name, found.purpose, [each.name for each in found.parameters]) == (
        "look_at",
        "Looks at a sample.",
        ["count", "name"],
    )


# --- runs ---


async def test_runs_are_listed_the_newest_first_and_chosen_by_what_they_are(client, crew, site):
    site.scripts["bad"] = Broken()
    good = await client.start(chain("a"))
    await client.wait(good, timeout=20)
    await site.clock.advance(10.0)
    bad = await client.start(chain("bad", dag="other"))
    await client.wait(bad, timeout=20)

    async def chosen(**by):
        return [entry.run for entry in await client.runs(**by)]

    assert await chosen() == [bad, good]
    assert await chosen(status="failed") == await chosen(workflow="other") == await chosen(limit=1) == [bad]
    assert await chosen(status=["succeeded", "failed"]) == [bad, good]
    later = (await client.find(bad)).submitted
    assert await chosen(since=later) == [bad]
    assert await chosen(since=datetime.fromtimestamp(later - 1, UTC)) == [bad]


async def test_a_failed_run_tells_its_failures_and_a_program_may_insist_on_success(client, crew, site):
    site.scripts["b"] = Broken()

    result = await client.wait(await client.start(chain("a", "b")), timeout=20)

    assert result.status == "failed"
    assert [(each.dag, each.task, each.type, each.message) for each in result.failures] == [
        ("scan:1", "b", "ValueError", "broken")
    ]
    with pytest.raises(RunFailed, match=rf"Run {result.run} \(scan\) is failed: .*b.*failed"):
        result.require_success()


async def test_whoever_waits_no_longer_is_told_that_the_run_goes_on(client, crew, site):
    site.scripts["a"] = held = Held()
    run = await client.start(chain("a"))

    with pytest.raises(CallTimedOut, match=rf"Run {run} \(scan\) goes on after 0\.01 s"):
        await client.wait(run, timeout=0.01)

    held.go_on.set()
    assert (await client.wait(run, timeout=20)).succeeded


async def test_how_far_a_run_is_can_be_asked_while_it_goes_on(client, crew, site):
    site.scripts["b"] = held = Held()
    run = await client.start(chain("a", "b"))
    await held.begun.wait()

    result = await client.result(run)

    assert (result.status, result.tasks, result.seconds) == ("running", {"succeeded": 1}, None)


async def test_a_run_is_stopped_in_the_name_of_whoever_asked(client, crew, site, monkeypatch):
    monkeypatch.setenv("LOGNAME", "ada")
    site.scripts["a"] = held = Held()
    run = await client.start(chain("a"))
    await held.begun.wait()

    await client.stop(run, grace=0)

    assert (await client.wait(run, timeout=20)).status == "stopped"
    asked = (await site.of(run, StopRequested))[0]
    assert (asked.by, asked.reason, asked.grace) == ("ada", "stopped by ada", 0.0)


async def test_a_run_that_has_ended_cannot_be_stopped(client, crew):
    run = await client.start(chain("a"))
    await client.wait(run, timeout=20)

    with pytest.raises(UsageError, match=f"Run {run} .scan. has succeeded already"):
        await client.stop(run)


async def test_a_run_that_was_retried_is_waited_for_until_its_new_end(client, crew, site):
    site.scripts["b"] = broken = Broken()
    run = await client.start(chain("a", "b"))
    await client.wait(run, timeout=20)
    broken.mended = True

    await client.retry(run)

    assert (await client.wait(run, timeout=20)).succeeded
    assert crew.played == ["a", "b", "b"]


async def test_what_is_asked_between_a_retry_and_its_beginning_is_not_answered_with_the_old_end(client, crew, site):
    site.scripts["a"] = Broken()
    run = await client.start(chain("a"))
    await client.wait(run, timeout=20)
    await crew.drain()

    await client.retry(run)

    assert (await client.result(run)).status == "waiting"
    with pytest.raises(CallTimedOut):
        await client.wait(run, timeout=0.01)


async def test_a_retry_takes_values_of_any_kind_and_refuses_parameters_that_are_not_there(client, crew, workflow_file):
    run = await client.start("look_at", {"count": 1}, keep_data=True)
    await client.wait(run, timeout=20)
    with pytest.raises(WorkflowArgumentError, match="Did you mean 'count'"):
        await client.retry(run, tasks=["b"], parameters={"coumt": 2})

    await client.retry(run, tasks=["b"], parameters={"count": 2, "name": ("a", 1)})

    await client.wait(run, timeout=20)
    assert (await client.get(run, "count"), await client.get(run, "name")) == (2, "('a', 1)")


async def test_a_retry_does_not_run_the_program_again_that_made_the_workflow(client, crew, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scan.py").write_text("raise SystemExit('it ran again')")
    notebook = ModuleType("__main__")
    notebook.__file__ = str(tmp_path / "scan.py")
    vars(notebook).update(dag=chain("a"), parameters=Parameters([Option("depth", type=int)]))
    monkeypatch.setitem(sys.modules, "__main__", notebook)
    run = await client.start(notebook, {"depth": 2}, keep_data=True)
    await client.wait(run, timeout=20)

    await client.retry(run, tasks=["a"], parameters={"depth": 3})

    await client.wait(run, timeout=20)
    assert await client.get(run, "depth") == 3


async def test_a_run_is_found_by_a_beginning_and_as_the_last_one(client):
    run = await client.start(chain("a"))

    assert (await client.find(run[:12])).run == (await client.find("@last")).run == run
    with pytest.raises(RunNotFound, match="No run begins with 'zzz'"):
        await client.find("zzz")


# --- what happens ---


async def test_the_events_of_a_run_come_in_order_until_its_end(client, crew):
    run = await client.start(chain("a", "b"))

    events = await all_of(client.events(run))

    assert words(events) == [
        "run started",
        "scan:1 started",
        "scan:1/a started",
        "scan:1/a succeeded",
        "scan:1/b started",
        "scan:1/b succeeded",
        "scan:1 succeeded",
        "run succeeded",
    ]


async def test_an_iteration_goes_on_behind_the_event_that_was_seen_last(client, crew):
    run = await client.start(chain("a", "b"))
    events = await all_of(client.events(run))
    middle = events[4].seq

    rest = await all_of(client.events(run, after=middle))

    assert rest == [event for event in events if event.seq > middle]


async def test_events_until_now_end_though_the_run_goes_on(client, crew, site):
    site.scripts["a"] = held = Held()
    run = await client.start(chain("a"))
    await held.begun.wait()

    events = await all_of(client.events(run, follow=False))

    assert words(events)[-1] == "scan:1/a started"


async def test_the_events_of_a_retried_run_go_on_to_its_new_end(client, crew, site):
    site.scripts["a"] = broken = Broken()
    run = await client.start(chain("a"))
    await client.wait(run, timeout=20)
    broken.mended = True
    await client.retry(run)

    events = await all_of(client.events(run))

    assert [each for each in words(events) if each.startswith("run ")] == [
        "run started",
        "run stop asked for",
        "run failed",
        "run retried",
        "run succeeded",
    ]


async def test_the_events_of_all_runs_are_those_from_now_on(client, crew):
    await client.wait(await client.start(chain("a")), timeout=20)
    seen = []
    following = asyncio.ensure_future(anext(events := client.events()))
    await asyncio.sleep(0)  # lets it ask where the events end by now
    run = await client.start(chain("b"))

    async with asyncio.timeout(20):
        seen.append(await following)
        async for event in events:
            seen.append(event)
            if event.kind == "run" and event.what == "succeeded":
                break
    await events.aclose()

    assert {event.run for event in seen} == {run}
    assert "scan:1/b succeeded" in words(seen)


async def test_a_reader_that_is_cancelled_leaves_the_client_as_it_was(client, crew, site):
    site.scripts["a"] = held = Held()
    run = await client.start(chain("a"))
    reading = [asyncio.ensure_future(all_of(client.events(run))) for _ in range(3)]
    await held.begun.wait()

    for each in reading[:2]:
        each.cancel()
    held.go_on.set()

    assert words(await reading[2])[-1] == "run succeeded"
    assert [each.cancelled() for each in reading] == [True, True, False]


async def test_many_users_of_a_service_share_one_client(client, crew, site):
    async def user(number):
        run = await client.start(chain("a", "b"))
        events = await all_of(client.events(run))
        return run, words(events)[-1], (await client.wait(run, timeout=20)).status

    async with asyncio.timeout(60):
        told = await asyncio.gather(*map(user, range(50)))

    assert len({run for run, _, _ in told}) == 50
    assert {(last, status) for _, last, status in told} == {("run succeeded", "succeeded")}


# --- logs and data ---


async def test_the_lines_of_a_task_come_until_the_end_of_the_run(client, crew, site):
    async def speak(scene):
        place = site.client.subjects.lines(scene.job.run, scene.job.dag, scene.job.task)
        lines = [Line(at=1.0, stream="out", text=f"{scene.job.name} {n}") for n in (1, 2)]
        await site.client.bus.append(place, pack_lines(lines, attempt=1))

    site.scripts |= {"a": speak, "b": speak}
    run = await client.start(chain("a", "b"))

    lines = await all_of(client.logs(run))

    assert [(line.dag, line.task, line.attempt, line.text) for line in lines] == [
        ("scan:1", "a", 1, "a 1"),
        ("scan:1", "a", 1, "a 2"),
        ("scan:1", "b", 1, "b 1"),
        ("scan:1", "b", 1, "b 2"),
    ]
    for place in ("b", "scan/b", "scan:1/b"):
        assert [line.text for line in await all_of(client.logs(run, place))] == ["b 1", "b 2"]
    assert await all_of(client.logs(run, "scan:2/b")) == []


async def test_what_a_task_handed_on_is_read_while_it_is_kept(client, crew, site):
    async def make(scene):
        values = {"image": encode([1, 2], "it").inline()}
        return TaskSucceeded(
            task=scene.job.task, attempt=1, execution=1, output=Dataset(values=values), provenance=scene.provenance
        )

    site.scripts["a"] = make
    kept, dropped = await client.start(chain("a"), keep_data=True), await client.start(chain("a"))
    await client.wait(kept, timeout=20)
    await client.wait(dropped, timeout=20)

    assert await client.output(kept, "scan/a") == await client.output(kept, "scan:1/a") == {"image": [1, 2]}
    with pytest.raises(UsageError, match="its data were dropped when it ended"):
        await client.output(dropped, "scan/a")
    with pytest.raises(UsageError, match="No task 'scan/c' has succeeded"):
        await client.output(kept, "scan/c")
    with pytest.raises(UsageError, match="Write main_dag:1/a"):
        await client.output(kept, "a")


async def test_the_store_of_a_run_is_read_by_key(client, crew):
    run = await client.start(chain("a"), keep_data=True)
    await client.wait(run, timeout=20)
    await crew.engine.store.set(run, "sample.name", encode("LaB6", "it").inline())

    assert await client.get(run, "sample.name") == "LaB6"
    assert await client.get(run, "sample") == {"name": "LaB6"}
    assert (await client.get(run, "sample.mass"), await client.get(run, "sample.mass", 1.5)) == (None, 1.5)
    assert await client.keys(run) == await client.keys(run, "sample") == ["sample.name"]
    assert await client.get(run, "name", section="meta") == "scan"


# --- the client itself ---


async def test_a_client_that_was_not_entered_says_how_it_is_used():
    client = AsyncClient()

    with pytest.raises(UsageError, match="async with"):
        await client.runs()


def test_a_setting_that_there_is_not_is_refused_before_anything_is_connected():
    with pytest.raises(UsageError, match=r"server\.tokem"):
        AsyncClient(settings={"server.tokem": "x"})
