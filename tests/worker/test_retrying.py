"""Runs that have ended and go on: workers, drivers and clients on a bus in memory."""

import asyncio
from collections import Counter
from dataclasses import replace

import pytest

from nflow.bus.memory import MemoryBus
from nflow.bus.port import LEASE
from nflow.core.dataset import Dataset, TaskInput
from nflow.core.events import (
    DagFinished,
    DagReopened,
    DagStarted,
    RunFinished,
    RunRetried,
    Status,
    StopRequested,
    TaskFailed,
    TaskStarted,
    TaskSucceeded,
)
from nflow.core.ids import DagId
from nflow.core.retry import RetrySpec
from nflow.core.spec import OnFailure
from nflow.engine.upkeep.sweep import DAY, Retention, Sweep
from nflow.errors import UsageError
from nflow.runs import Runs
from nflow.wire.messages import pack_events, pack_input
from nflow.wire.values import encode
from tests.worker.crew import Crew, dag_of

GIVEN = pack_input(TaskInput(datasets=(Dataset(history=("given",)),)))


class Broken:
    """A script that fails until its cause is mended."""

    def __init__(self):
        self.mended = False

    async def __call__(self, scene):
        if not self.mended:
            raise ValueError("broken")


class FrailBus(MemoryBus):
    """A bus that dies at a chosen write, with all who use it."""

    writes_left: int | None = None
    fatal: bytes | None = None  #: what is in a write that it does not live to see

    async def append(self, subject, payload, **options):
        if self.fatal is not None and self.fatal in payload:
            self.writes_left = 0
        if self._is_last():
            await asyncio.Event().wait()
        return await super().append(subject, payload, **options)

    def post_job(self, *args):
        if not self._is_last():
            super().post_job(*args)

    def _is_last(self):
        if self.writes_left is None:
            return False
        self.writes_left -= 1
        if self.writes_left == -1:
            self.kill()
        return self.writes_left < 0


@pytest.fixture
def client(site):
    return Runs(site.client)


@pytest.fixture
def broken(site):
    """What the tasks `b` and `y` do."""
    site.scripts["b"] = site.scripts["y"] = broken = Broken()
    return broken


async def ended(site, run, opening=0):
    ends = await site.has(run, RunFinished, times=opening + 1)
    [status] = [end.status for end in ends if end.opening == opening]
    return status


async def failed_run(site, broken, **dags):
    """A run that has failed, and whose cause is mended."""
    run = await site.submit(**(dags or {"main": "a>b>c"}))
    assert await ended(site, run) is Status.FAILED
    await site.clock.advance(0.0)
    broken.mended = True
    return run


async def policed(site, schema, **policy):
    """A dag whose tasks have a policy for failures."""
    spec = dag_of("main", schema, await site.client.blobs.put_code(b"code"))
    return replace(spec, tasks=tuple(replace(task, **policy) for task in spec.tasks))


async def kept(site, run):
    """The entry of a run that was to keep its data."""
    await site.clock.advance(0.0)
    return replace(await site.client.index.get(run), dropped="")


# --- what begins again, and what does not ----------------------------------------------------------------------------


async def test_what_failed_begins_again_and_what_succeeded_counts(site, client, broken):
    crew = await site.crew()
    run = await failed_run(site, broken)

    number = await client.retry(run)

    assert await ended(site, run, number) is Status.SUCCEEDED
    assert crew.played == ["a", "b", "b", "c"]


async def test_who_was_overtaken_by_a_retry_that_is_over_is_refused(site, client, broken):
    crew = await site.crew()
    run = await failed_run(site, broken)
    past = await client.past(run)
    assert await ended(site, run, await client.retry(run)) is Status.SUCCEEDED
    await site.clock.advance(0.0)

    with pytest.raises(UsageError, match="was retried a moment ago"):
        await client.reopen(past, tasks=["a"], by="somebody else")

    assert crew.played == ["a", "b", "b", "c"]


async def test_the_index_says_that_it_goes_on_and_then_how_it_ended(site, client, broken):
    crew = await site.crew()
    run = await failed_run(site, broken)
    states = []
    site.client.bus.watch(site.client.subjects.kv("runs", run), lambda record: states.append(record.payload))

    await client.retry(run)
    await ended(site, run, 1)
    await site.clock.advance(0.0)

    assert [b"succeeded" in state for state in states][-2:] == [False, True]
    entry = await site.client.index.get(run)
    assert (entry.state, entry.reason) == ("succeeded", "")
    assert entry.ended is not None
    assert not crew.engine.holdings


async def test_of_ten_thousand_tasks_with_one_failed_one_runs_again(site, client, broken):
    crew = await site.crew(slots=100)
    schema = " ".join([*(f"t{number}" for number in range(9_999)), "b"])
    run = await site.submit(main=await policed(site, schema, on_failure=OnFailure.SKIP_SUCCESSORS))
    assert (await site.has(run, RunFinished, seconds=600.0))[0].status is Status.FAILED
    crew.played.clear()
    broken.mended = True

    number = await client.retry(run)

    assert await ended(site, run, number) is Status.SUCCEEDED
    assert crew.played == ["b"]
    end = (await site.of(run, DagFinished))[-1]
    assert (end.succeeded, end.failed, end.opening) == (10_000, 0, 1)


async def test_what_was_stopped_goes_on(site, client):
    held = asyncio.Event()

    async def hold(scene):
        await scene.slot.stopped.wait() if not held.is_set() else None

    site.scripts["b"] = hold
    crew = await site.crew()
    run = await site.submit(main="a>b>c")
    await site.until(lambda: "b" in crew.played)
    await client.stop(run)
    assert await ended(site, run) is Status.STOPPED
    held.set()

    number = await client.retry(run)

    assert await ended(site, run, number) is Status.SUCCEEDED
    assert crew.played == ["a", "b", "c"]


async def test_a_stop_with_a_grace_does_not_reach_what_was_begun_again(site, client, broken):
    """The worker remembers the stop of the dag run, and has not heard yet that it was reopened."""
    crew = await site.crew()
    run = await failed_run(site, broken)
    subject = site.client.subjects.stop(run, DagId("main:1"))
    await site.client.bus.append(subject, pack_events([StopRequested(reason="late", by="ada", grace=0.0)]))
    await site.clock.advance(0.0)
    site.server.loses = lambda record: record.subject == subject

    number = await client.retry(run)

    assert await ended(site, run, number) is Status.SUCCEEDED
    assert all(slot.signals == [] for slot in crew.slots)


async def test_a_run_that_was_stopped_while_it_waited_runs_as_a_whole(site, client):
    run = await site.submit(main="a>b")
    await client.stop(run)
    crew = await site.crew()
    assert await ended(site, run) is Status.STOPPED

    number = await client.retry(run)

    assert await ended(site, run, number) is Status.SUCCEEDED
    assert crew.played == ["a", "b"]


async def test_what_was_skipped_because_of_a_failure_runs_when_there_is_none(site, client, broken):
    crew = await site.crew()
    run = await failed_run(site, broken, main=await policed(site, "a>b>c", on_failure=OnFailure.SKIP_SUCCESSORS))

    number = await client.retry(run)

    assert await ended(site, run, number) is Status.SUCCEEDED
    assert crew.played == ["a", "b", "b", "c"]


async def test_it_may_fail_again_and_go_on_again(site, client, broken):
    crew = await site.crew()
    run = await failed_run(site, broken)
    broken.mended = False
    assert await ended(site, run, await client.retry(run)) is Status.FAILED
    broken.mended = True

    number = await client.retry(run)

    assert number == 2
    assert await ended(site, run, number) is Status.SUCCEEDED
    assert [event.attempt for event in await site.of(run, TaskStarted) if event.task == "b"] == [1, 2, 3]
    assert crew.played == ["a", "b", "b", "b", "c"]


async def test_attempts_are_counted_anew(site, client, broken):
    await site.crew()
    run = await failed_run(site, broken, main=await policed(site, "b", retry=RetrySpec(attempts=2)))
    broken.mended = False

    await client.retry(run)

    assert await ended(site, run, 1) is Status.FAILED
    assert [event.attempt for event in await site.of(run, TaskFailed)] == [1, 2, 3, 4]


async def test_a_successor_that_begins_again_gets_what_its_predecessors_handed_on(site, client, broken):
    received = []

    async def join(scene):
        received.append([dataset.history for dataset in scene.job.input.datasets])

    site.scripts["c"] = join
    await site.crew()
    run = await failed_run(site, broken, main="a>c b>c")

    await client.retry(run)

    assert await ended(site, run, 1) is Status.SUCCEEDED
    assert received == [[("a",), ("b",)]]


# --- from a task on --------------------------------------------------------------------------------------------------


async def test_a_task_is_done_again_with_all_that_follows_it(site, client, broken):
    broken.mended = True
    crew = await site.crew()
    run = await site.submit(main="a>b>c a>d")
    await ended(site, run)
    await site.client.index.put(await kept(site, run))

    number = await client.retry(run, tasks=["b"])

    assert await ended(site, run, number) is Status.SUCCEEDED
    assert Counter(crew.played) == {"a": 1, "b": 2, "c": 2, "d": 1}


async def test_a_dag_run_that_failed_runs_again_with_its_input_and_its_parent_does_not(site, client, broken):
    given = []

    async def start(scene):
        await scene.call("start_dag", ("sub", "key", GIVEN))

    async def look(scene):
        given.append(scene.job.input.datasets[0].history)

    site.scripts |= {"a": start, "x": look}
    crew = await site.crew()
    run = await failed_run(site, broken, main="a", sub="x>y")
    crew.played.clear()

    number = await client.retry(run, tasks=["sub:1/x"])

    assert await ended(site, run, number) is Status.SUCCEEDED
    assert crew.played == ["x", "y"]
    assert given == [("given",), ("given",)]
    assert [event.dag for event in await site.of(run, DagStarted)] == ["main:1", "sub:1"]


async def test_of_a_dag_run_that_succeeded_the_input_is_looked_up_again(site, client, broken):
    given = []

    async def start(scene):
        await scene.call("start_dag", ("sub", "key", GIVEN))

    async def look(scene):
        given.append(scene.job.input.datasets[0].history)

    site.scripts |= {"a": start, "x": look}
    await site.crew()
    run = await failed_run(site, broken, main="a>b", sub="x")

    number = await client.retry(run, tasks=["x"])

    assert await ended(site, run, number) is Status.SUCCEEDED
    assert given == [("given",), ("given",)]


async def test_a_task_that_is_done_again_starts_other_dag_runs_and_those_of_before_count_no_more(site, client, broken):
    """They may be given other data this time; those that failed with the old data must not fail the run again."""

    async def start(scene):
        suffix = f"@{scene.job.renewed}" if scene.job.renewed else ""
        await scene.call("start_dag", ("sub", f"key{suffix}", None))

    site.scripts["a"] = start
    crew = await site.crew()
    run = await failed_run(site, broken, main="a", sub="x>y")

    number = await client.retry(run, tasks=["a"])

    assert await ended(site, run, number) is Status.SUCCEEDED
    assert [event.dag for event in await site.of(run, DagStarted)] == ["main:1", "sub:1", "sub:2"]
    assert crew.played == ["a", "x", "y", "a", "x", "y"]
    assert [event.dag for event in await site.of(run, DagFinished)] == ["main:1", "sub:1", "main:1", "sub:2"]


async def test_a_request_that_was_refused_as_the_run_ended_may_be_made_again(site, client, broken):
    async def start(scene):
        if not broken.mended:
            await client.stop(scene.job.run)
            await scene.slot.stopped.wait()
        if await scene.call("start_dag", ("sub", "key", None)) is None:
            raise ValueError("refused")

    site.scripts["a"] = start
    crew = await site.crew()
    run = await failed_run(site, broken, main="a", sub="x")

    number = await client.retry(run)

    assert await ended(site, run, number) is Status.SUCCEEDED
    assert crew.played == ["a", "a", "x"]


# --- parameters, data, refusals --------------------------------------------------------------------------------------


async def test_a_parameter_has_its_new_value_when_tasks_begin_again(site, client, broken):
    await site.crew()
    run = await failed_run(site, broken)

    await client.retry(run, parameters={"limit": encode(7)})

    await ended(site, run, 1)
    [retried] = await site.of(run, RunRetried)
    assert retried.parameters == {"limit": encode(7).inline()}
    assert (retried.number, retried.dags, retried.by) == (1, ("main:1",), "a person")


async def test_a_run_that_goes_on_is_refused(site, client, broken):
    run = await site.submit(main="a")
    crew = await site.crew("w1", "workflow")
    await site.has(run, DagStarted)

    with pytest.raises(UsageError, match=f"still going on. Stop it first: nflow stop {run}"):
        await client.retry(run)

    crew.die()


async def test_a_run_whose_data_are_gone_is_refused(site, client):
    await site.crew()
    run = await site.submit(main="a")
    await ended(site, run)
    await site.clock.advance(0.0)

    with pytest.raises(UsageError, match="its data went when it ended"):
        await client.retry(run, tasks=["a"])


async def test_a_run_in_which_every_task_succeeded_is_refused_without_a_task(site, client):
    await site.crew()
    run = await site.submit(main="a")
    await ended(site, run)
    await site.client.index.put(await kept(site, run))

    with pytest.raises(UsageError, match="name the first one: --from TASK"):
        await client.retry(run)


@pytest.mark.parametrize(
    ("task", "told"),
    [
        ("reduc", "No task 'reduc' in run run1 (test). Did you mean 'reduce'?"),
        ("nix", "No task 'nix' in run run1 (test). There are: main:1/b, main:1/reduce, other:1/reduce"),
        ("reduce", "2 tasks of run run1 (test) are called 'reduce'. Name one: main:1/reduce, other:1/reduce"),
    ],
)
async def test_a_task_that_is_not_there_or_not_alone_is_told(site, client, broken, task, told):
    async def start(scene):
        await scene.call("start_dag", ("other", "key", None))
        raise ValueError("broken")

    site.scripts["b"] = start
    await site.crew()
    run = await failed_run(site, broken, main="b>reduce", other="reduce")

    with pytest.raises(UsageError) as refused:
        await client.retry(run, tasks=[task])

    assert str(refused.value) == told


async def test_a_run_that_goes_on_keeps_its_data_however_old_its_end_is(site, client, broken):
    crew = await site.crew()
    run = await failed_run(site, broken)
    await site.client.store.set(run, "key", encode(1).inline())
    crew.die()
    await site.clock.advance(30 * DAY)
    await client.retry(run)

    await Sweep(site.client, Retention(), site.clock.time()).run()

    assert await site.client.store.get(run, "key") == encode(1).inline()
    await site.crew("w2")
    assert await ended(site, run, 1) is Status.SUCCEEDED


# --- at the same time, and in between --------------------------------------------------------------------------------


async def test_of_two_who_retry_at_once_one_does_and_the_other_is_told(site, client, broken):
    crew = await site.crew()
    run = await failed_run(site, broken)

    told = await asyncio.gather(client.retry(run), client.retry(run), return_exceptions=True)

    refused = [str(each) for each in told if isinstance(each, UsageError)]
    assert 1 in told
    assert refused == [f"Run {run} (test) was retried a moment ago, and is about to go on."]
    assert await ended(site, run, 1) is Status.SUCCEEDED
    assert crew.played == ["a", "b", "b", "c"]


async def test_whoever_waits_is_told_of_the_new_end(site, client, broken):
    await site.crew()
    run = await failed_run(site, broken)
    assert (await client.wait(run)).status is Status.FAILED

    number = await client.retry(run)
    waiting = asyncio.ensure_future(client.wait(run, opening=number))
    await ended(site, run, number)

    assert (await waiting).status is Status.SUCCEEDED
    assert (await client.wait(run)).status is Status.SUCCEEDED


async def test_a_stop_that_is_given_right_after_holds(site, client, broken):
    crew = await site.crew()
    run = await failed_run(site, broken)
    crew.die()
    await client.retry(run)
    second = await site.crew("w2", "workflow")
    await site.has(run, RunRetried)

    await client.stop(run)
    await second.serve("dag", "task")

    assert await ended(site, run, 1) is Status.STOPPED
    assert second.played == []


async def test_a_stop_that_is_given_before_any_worker_has_seen_the_retry_holds(site, client, broken):
    crew = await site.crew()
    run = await failed_run(site, broken)
    crew.die()
    await client.retry(run)

    await client.stop(run)
    second = await site.crew("w2")

    assert await ended(site, run, 1) is Status.STOPPED
    assert second.played == []
    assert await ended(site, run, await client.retry(run)) is Status.SUCCEEDED


async def test_a_run_whose_driver_died_in_the_moment_of_its_end_goes_on_at_once(site, client, broken):
    """The job of its last driver is in the queue, and in nobody's hands."""
    bus = FrailBus(site.server)
    crew = Crew(bus, "frail", site.scripts, slots=1)
    site.crews.append(crew)
    await crew.serve("workflow")
    await site.crew("w1", "dag", "task")

    bus.fatal = b"RunFinished"
    run = await site.submit(main="a>b>c")
    await site.has(run, DagFinished)
    finished = RunFinished(status=Status.FAILED, reason="task 'b' failed")
    await site.client.bus.append(site.client.subjects.own(run), pack_events([finished]))
    crew.die()
    broken.mended = True

    await client.retry(run)
    second = await site.crew("w2")

    assert await ended(site, run, 1) is Status.SUCCEEDED
    await site.clock.advance(2 * LEASE)
    assert [event.opening for event in await site.of(run, RunFinished)] == [0, 1]
    assert not second.engine.holdings


@pytest.mark.parametrize("writes", range(34))
async def test_wherever_the_worker_dies_another_one_brings_it_to_the_same_end(site, client, broken, writes):
    async def start(scene):
        await scene.call("start_dag", ("sub", "key", None))
        await broken(scene)

    site.scripts["b"] = start
    bus = FrailBus(site.server)
    crew = Crew(bus, "frail", site.scripts, slots=2)
    site.crews.append(crew)
    await crew.serve()
    await site.clock.advance(2.5)
    run = await failed_run(site, broken, main="a>b>c", sub="x>y")
    await client.retry(run)

    bus.writes_left = writes
    for _ in range(5):
        await site.clock.advance(0.0)
    crew.die()
    await site.crew("w2", slots=2)

    assert await ended(site, run, 1) is Status.SUCCEEDED
    done = Counter((event.task, event.attempt) for event in await site.of(run, TaskSucceeded))
    assert set(done.values()) == {1}
    assert Counter(task for task, _ in done) == {"a": 1, "b": 1, "c": 1, "x": 1, "y": 1}
    assert len(await site.of(run, RunRetried)) == 1
    assert len(await site.of(run, DagReopened)) == 2


@pytest.mark.parametrize("writes", range(36))
async def test_wherever_the_worker_dies_what_is_done_again_is_done_once(site, client, broken, writes):
    async def start(scene):
        suffix = f"@{scene.job.renewed}" if scene.job.renewed else ""
        await scene.call("start_dag", ("sub", f"key{suffix}", None))

    site.scripts["a"] = start
    bus = FrailBus(site.server)
    crew = Crew(bus, "frail", site.scripts, slots=2)
    site.crews.append(crew)
    await crew.serve()
    await site.clock.advance(2.5)
    run = await failed_run(site, broken, main="r>a>c", sub="x>y")
    await client.retry(run, tasks=["a"], parameters={"limit": encode(7)})

    bus.writes_left = writes
    for _ in range(5):
        await site.clock.advance(0.0)
    crew.die()
    await site.crew("w2", slots=2)

    assert await ended(site, run, 1) is Status.SUCCEEDED
    ends = [(event.dag, event.opening) for event in await site.of(run, DagFinished) if event.status is Status.SUCCEEDED]
    assert sorted(ends)[-2:] == [("main:1", 1), ("sub:2", 0)]
    assert [event.dag for event in await site.of(run, DagStarted)] == ["main:1", "sub:1", "sub:2"]
    done = Counter(event.task for event in await site.of(run, TaskSucceeded))
    assert (done["r"], done["x"], done["y"], done["a"]) == (1, 2, 1, 2)
    assert len(await site.of(run, RunRetried)) == len(await site.of(run, DagReopened)) == 1
