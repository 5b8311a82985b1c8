"""A worker at work: drivers, claims, slots and calls together, on a bus in memory and a clock that tests move."""

import asyncio
import signal
from dataclasses import replace
from types import SimpleNamespace

import pytest

from nflow.bus.port import LEASE
from nflow.core.dataset import BLOB, Dataset, Ref
from nflow.core.events import (
    DagFinished,
    DagStarted,
    OwnerChanged,
    RemoteError,
    RunFinished,
    Status,
    StopRequested,
    TaskCancelled,
    TaskFailed,
    TaskReleased,
    TaskSkipped,
    TaskStarted,
    TaskSucceeded,
)
from nflow.core.ids import DagId
from nflow.core.jobs import TaskJob
from nflow.core.retry import RetrySpec
from nflow.engine.dead_letters.letters import DeadLetter, DeadLetters
from nflow.engine.runs import RunEntry
from nflow.wire.messages import pack_events, pack_job, unpack_events, unpack_job, unpack_message
from nflow.worker.execution import PATIENCE
from nflow.worker.reception import MOST_TRIES
from tests.worker.crew import Scene, dag_of


class Gate:
    """A script that waits until it is opened."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self._open = asyncio.Event()

    def open(self) -> None:
        self._open.set()

    async def __call__(self, scene: Scene) -> None:
        self.reached.set()
        await self._open.wait()


@pytest.fixture
def gate() -> Gate:
    return Gate()


def nothing_is_left(crew) -> bool:
    """Whether a worker has let go of everything that it had of its runs."""
    return not (crew.engine.holdings or crew.executing or any(crew.driving.values())) and crew.pool.lent == 0


async def test_an_outcome_waits_until_what_its_task_printed_is_stored(site):
    crew = await site.crew()
    printed, stored = asyncio.Event(), asyncio.Event()

    async def posted(subject: str) -> None:
        assert subject == "nflow.log.run1.main=3A1.a"
        printed.set()
        await stored.wait()

    crew.bus.posted = posted
    run = await site.submit(main="a")
    await site.until(printed.is_set)
    assert await site.of(run, TaskSucceeded) == []

    stored.set()

    await site.has(run, TaskSucceeded)


async def test_an_outcome_does_not_wait_for_ever_for_lines(site, monkeypatch):
    monkeypatch.setattr("nflow.worker.execution.LAST_WORDS", 0.01)
    crew = await site.crew()
    crew.bus.posted = lambda subject: asyncio.Event().wait()

    run = await site.submit(main="a")

    async with asyncio.timeout(10):
        await site.comes(run, TaskSucceeded)


async def jobs_left(site):
    return (await site.client.bus.read("nflow.job.>")).records


async def test_a_run_goes_through_its_tasks_to_its_end(site):
    crew = await site.crew()

    run = await site.submit(main="a>b>c")

    [finished] = await site.has(run, RunFinished)
    assert finished.status is Status.SUCCEEDED
    assert crew.played == ["a", "b", "c"]
    await site.until(lambda: nothing_is_left(crew))
    assert await jobs_left(site) == []
    assert (await site.client.index.get(run)).state == "succeeded"


async def test_a_wide_dag_is_dispatched_and_joined(site):
    crew = await site.crew(slots=4)

    run = await site.submit(main=" ".join(f"root>t{number}>end" for number in range(600)))

    await site.has(run, RunFinished)
    assert crew.played[0] == "root"
    assert crew.played[-1] == "end"
    assert len(crew.played) == 602


async def test_a_run_without_dags_ends_at_once(site):
    await site.crew()

    run = await site.submit()

    [finished] = await site.has(run, RunFinished)
    assert finished.status is Status.SUCCEEDED


async def test_a_worker_that_worked_for_months_keeps_nothing_of_its_runs(site):
    crew = await site.crew()
    await site.has(await site.submit(main="a>b", sub="c"), RunFinished)
    await site.until(lambda: nothing_is_left(crew))
    listening = [
        crew.bus._watching,
        crew.engine.reconciler._checks,
        crew.bus._reconnected,
    ]  # leaks would show
    before = list(map(len, listening))

    for _ in range(5):
        await site.has(await site.submit(main="a>b", sub="c"), RunFinished)
    await site.until(lambda: nothing_is_left(crew))

    assert list(map(len, listening)) == before


async def test_sub_dags_are_joined_ten_deep_on_one_slot(site):
    async def deeper(scene: Scene) -> None:
        depth = int(scene.job.name[1:])
        if depth < 10:
            name = await scene.call("start_dag", (f"d{depth + 1}", f"key{depth}", None))
            await scene.call("join_dags", ([name], None))

    site.scripts |= {f"t{depth}": deeper for depth in range(11)}
    crew = await site.crew()

    run = await site.submit(main="t0", **{f"d{depth}": f"t{depth}" for depth in range(1, 11)})

    [finished] = await site.has(run, RunFinished)
    assert finished.status is Status.SUCCEEDED
    assert crew.played == [f"t{depth}" for depth in range(11)]
    await site.until(lambda: nothing_is_left(crew))


async def test_a_task_that_joins_any_learns_which_dags_are_over(site):
    gate, told = asyncio.Event(), []

    async def slow(scene: Scene) -> None:
        if scene.job.dag == "sub:1":
            await gate.wait()

    async def begin(scene: Scene) -> None:
        for number in range(2):
            await scene.call("start_dag", ("sub", f"key{number}", None))
        told.append(await scene.call("join_any", (["sub:1", "sub:2", "unknown:1"], None)))
        told.append(await scene.call("join_any", (["sub:1", "sub:2"], None)))
        told.append(await scene.call("running", (["sub:1", "sub:2"],)))
        gate.set()
        told.append(await scene.call("join_any", (["sub:1"], None)))
        told.append(await scene.call("join_any", ([], None)))

    site.scripts |= {"a": begin, "b": slow}
    await site.crew(slots=3)

    [finished] = await site.has(await site.submit(main="a", sub="b"), RunFinished)

    assert finished.status is Status.SUCCEEDED
    assert told == [["unknown:1"], ["sub:2"], ["sub:1"], ["sub:1"], []]


async def test_a_join_with_a_time_limit_tells_whether_the_dags_are_over(site):
    gate, told = asyncio.Event(), []

    async def begin(scene: Scene) -> None:
        await scene.call("start_dag", ("sub", "key", None))
        told.append(await scene.call("join_dags", (["sub:1"], 0.0)))
        told.append(await scene.call("join_any", (["sub:1"], 0.0)))
        gate.set()
        told.append(await scene.call("join_dags", (["sub:1"], 10.0)))

    async def wait(scene: Scene) -> None:
        await gate.wait()

    site.scripts |= {"a": begin, "b": wait}
    crew = await site.crew()

    [finished] = await site.has(await site.submit(main="a", sub="b>c"), RunFinished)

    assert finished.status is Status.SUCCEEDED
    assert told == [False, [], True]
    await site.until(lambda: nothing_is_left(crew))


@pytest.mark.parametrize("call", ["join_dags", "join_any"])
async def test_a_task_cannot_wait_for_its_own_dag(site, call):
    async def begin(scene: Scene) -> None:
        await scene.call(call, (["main:1"], None))

    site.scripts["a"] = begin
    await site.crew()

    [failed] = await site.has(await site.submit(main="a"), TaskFailed)

    assert failed.error.type == "JoinRefused"
    assert "'a' would wait for its own dag 'main:1'" in failed.error.message


async def test_a_repeated_request_gets_the_dag_that_it_got_before(site):
    names = []

    async def ask(scene: Scene) -> None:
        names.extend([await scene.call("start_dag", ("sub", "same", None)) for _ in range(2)])

    site.scripts["a"] = ask
    await site.crew()

    run = await site.submit(main="a", sub="b")

    await site.has(run, RunFinished)
    assert names == ["sub:1", "sub:1"]


async def test_a_dag_that_is_not_defined_is_an_error_of_the_task_that_asked_for_it(site):
    async def ask(scene: Scene) -> None:
        await scene.call("start_dag", ("nix", "key", None))

    site.scripts["a"] = ask
    await site.crew()

    run = await site.submit(main="a")

    [failed] = await site.has(run, TaskFailed)
    assert failed.error.type == "DagNameUnknown"
    [finished] = await site.has(run, RunFinished)
    assert finished.status is Status.FAILED


async def test_a_failed_task_ends_the_run_and_cancels_what_waits(site):
    async def fail(scene: Scene) -> None:
        raise ValueError("no beam")

    site.scripts["b"] = fail
    await site.crew()

    run = await site.submit(main="a>b>c")

    [finished] = await site.has(run, RunFinished)
    assert finished.status is Status.FAILED
    assert "no beam" in finished.reason or "main:1" in finished.reason
    assert [event.task for event in await site.of(run, TaskCancelled)] == ["c"]
    assert (await site.of(run, StopRequested))[0].status is Status.FAILED


async def test_the_workflow_hears_of_a_failure_before_it_hears_of_the_end(site):
    async def fail(scene: Scene) -> None:
        raise ValueError

    site.scripts["a"] = fail
    await site.crew()

    run = await site.submit(main="a")

    await site.has(run, RunFinished)
    told = [type(event) for event in await site.events(run) if isinstance(event, StopRequested | DagFinished)]
    assert told[0] is StopRequested
    assert DagFinished in told


# --- who dies, and when ----------------------------------------------------------------------------------------------


async def test_a_dead_workers_task_is_run_again_elsewhere(site, gate):
    site.scripts["b"] = gate
    first = await site.crew("w1")
    run = await site.submit(main="a>b")
    await gate.reached.wait()
    second = await site.crew("w2")

    first.die()
    gate.open()

    await site.has(run, RunFinished)
    assert second.played == ["b"]
    assert [event.execution for event in await site.of(run, TaskStarted) if event.task == "b"] == [1, 2]
    assert [event.task for event in await site.of(run, TaskSucceeded)] == ["a", "b"]
    assert await jobs_left(site) == []


async def test_a_dead_driver_is_replaced_and_nothing_runs_twice(site, gate):
    site.scripts["b"] = gate
    driver = await site.crew("d1", "workflow", "dag")
    tasks = await site.crew("t", "task")
    run = await site.submit(main="a>b>c")
    await gate.reached.wait()
    await site.crew("d2", "workflow", "dag")

    driver.die()
    gate.open()

    [finished] = await site.has(run, RunFinished)
    assert finished.status is Status.SUCCEEDED
    assert tasks.played == ["a", "b", "c"]
    assert [event.worker for event in await site.of(run, OwnerChanged)].count("d2") == 2


async def test_a_failed_task_is_tried_again_though_its_driver_died_in_the_pause(site):
    attempts = []

    async def fail_once(scene: Scene) -> None:
        attempts.append((scene.job.attempt, scene.execution))
        if scene.job.attempt == 1:
            raise ConnectionError("no answer")

    site.scripts["a"] = fail_once
    driver = await site.crew("driver", "workflow", "dag")
    await site.crew("worker", "task")
    spec = dag_of("main", "a>b", await site.client.blobs.put_code(b"code"))
    first, *others = spec.tasks
    first = replace(first, retry=RetrySpec(attempts=2, pause=0.5))
    run = await site.submit(main=replace(spec, tasks=(first, *others)))
    await site.has(run, TaskFailed)

    driver.die()
    await site.crew("heir", "workflow", "dag")

    [finished] = await site.has(run, RunFinished)
    assert finished.status is Status.SUCCEEDED
    assert attempts == [(1, 1), (2, 1)]
    assert len(await site.of(run, TaskSucceeded)) == 2


async def test_a_stop_ends_the_pause_between_two_attempts(site):
    async def fail(scene: Scene) -> None:
        raise ConnectionError("no answer")

    site.scripts["a"] = fail
    await site.crew()
    spec = dag_of("main", "a>b", await site.client.blobs.put_code(b"code"))
    first, *others = spec.tasks
    run = await site.submit(
        main=replace(spec, tasks=(replace(first, retry=RetrySpec(attempts=2, pause=3600.0)), *others))
    )
    await site.has(run, TaskFailed)

    await site.client.bus.append(site.client.subjects.ask(run), pack_events([StopRequested(reason="lunch", by="ada")]))

    [finished] = await site.has(run, RunFinished)
    assert finished.status is Status.STOPPED
    assert {event.task for event in await site.of(run, TaskCancelled)} == {"a", "b"}


async def test_an_outage_doubles_no_task(site, gate):
    site.scripts["a"] = gate
    crews = [await site.crew(f"w{number}") for number in range(2)]
    run = await site.submit(main="a>b")
    await gate.reached.wait()

    site.server.stop()
    await site.clock.advance(10.0)
    site.server.start()
    await site.clock.advance(1.0)
    gate.open()

    await site.has(run, RunFinished)
    assert sorted(crews[0].played + crews[1].played) == ["a", "b"]


async def test_a_worker_that_was_cut_off_too_long_stands_down_and_its_late_outcome_is_refused(site, gate):
    site.scripts["a"] = gate
    first = await site.crew("w1", "task")
    await site.crew("d", "workflow", "dag")
    run = await site.submit(main="a")
    await gate.reached.wait()
    second = await site.crew("w2", "task")

    first.bus.cut()
    await site.has(run, TaskStarted, times=2)
    first.bus.mend()
    await site.until(lambda: nothing_is_left(first))
    assert first.slots[0].signals[0] is signal.SIGKILL
    gate.open()

    await site.has(run, RunFinished)
    assert [event.execution for event in await site.of(run, TaskSucceeded)] == [2]
    assert nothing_is_left(first)
    await site.until(lambda: nothing_is_left(second))


async def test_a_worker_that_was_cut_off_goes_on_where_nobody_has_taken_over(site, gate):
    site.scripts["a"] = gate
    crew = await site.crew("w1")
    run = await site.submit(main="a")
    await gate.reached.wait()

    crew.bus.cut()
    await site.clock.advance(3 * LEASE)
    crew.bus.mend()
    await site.clock.advance(3 * LEASE)
    gate.open()

    await site.has(run, RunFinished)
    assert crew.played == ["a"]
    assert len(await site.of(run, TaskSucceeded)) == 1


async def test_the_same_job_stored_again_does_not_run_again(site, gate):
    site.scripts["a"] = gate
    crew = await site.crew("w1")
    other = await site.crew("w2", "task")
    run = await site.submit(main="a>b")
    await gate.reached.wait()
    [record] = [each for each in await jobs_left(site) if ".task." in each.subject]

    await site.client.bus.withdraw(record.subject)
    await site.client.bus.enqueue(record.subject, record.payload)
    await site.clock.advance(3 * LEASE)
    gate.open()
    await site.has(run, RunFinished)
    await site.client.bus.enqueue(record.subject, record.payload)
    await site.clock.advance(3 * LEASE)

    assert sorted(crew.played + other.played) == ["a", "b"]
    assert await jobs_left(site) == []
    assert nothing_is_left(crew)
    assert nothing_is_left(other)


async def test_an_attempt_that_kills_its_workers_is_failed(site):
    async def kill(scene: Scene) -> None:
        site.crews[-1].die()

    site.scripts["a"] = kill
    await site.crew("d", "workflow", "dag")
    run = await site.submit(main="a")
    for number in range(3):
        await site.crew(f"w{number}", "task")
        await site.until(lambda: bool(site.crews[-1].played))

    await site.crew("w3", "task")

    [failed] = await site.has(run, TaskFailed)
    assert failed.error.type == "WorkerLost"
    assert "vanished 3 times" in failed.error.message
    assert site.crews[-1].played == []


# --- slots that fail -------------------------------------------------------------------------------------------------


async def test_a_slot_that_dies_fails_its_task(site):
    async def die(scene: Scene) -> None:
        scene.slot.signal_group(signal.SIGSEGV)
        await asyncio.Event().wait()

    site.scripts["a"] = die
    await site.crew()

    run = await site.submit(main="a")

    [failed] = await site.has(run, TaskFailed)
    assert failed.error.message == "The process of the task was killed by SIGSEGV."


async def test_a_worker_that_cannot_start_slots_leaves_its_tasks_to_others(site):
    crew = await site.crew("w1")
    crew.start_error = OSError("no more processes")
    run = await site.submit(main="a")
    await site.has(run, TaskReleased, times=2)

    other = await site.crew("w2")

    [finished] = await site.has(run, RunFinished)
    assert finished.status is Status.SUCCEEDED
    assert crew.played + other.played == ["a"]
    assert {event.lost for event in await site.of(run, TaskStarted)} == {0}


async def test_a_task_that_no_worker_can_run_fails_in_the_end(site):
    crew = await site.crew("w1")
    crew.start_error = OSError("no more processes")

    run = await site.submit(main="a>b")

    [finished] = await site.has(run, RunFinished, seconds=5 * MOST_TRIES)
    assert finished.status is Status.FAILED
    [failed] = await site.of(run, TaskFailed)
    assert "no more processes" in failed.error.message
    [letter] = (await site.client.bus.read(site.client.subjects.dead_letters())).records
    assert "no more processes" in unpack_message(letter.payload, DeadLetter).reason
    await site.until(lambda: nothing_is_left(crew))


async def test_an_outcome_that_fits_into_no_message_is_a_failure(site):
    async def wide(scene: Scene) -> TaskSucceeded:
        ref = Ref(scheme=BLOB, where="w" * 100, size_bytes=1, digest="d" * 32, type="str")
        output = Dataset(values={f"key{number}": ref for number in range(10_000)})
        return TaskSucceeded(
            task=scene.job.task, attempt=1, execution=scene.execution, output=output, provenance=scene.provenance
        )

    site.scripts["a"] = wide
    crew = await site.crew()

    run = await site.submit(main="a")

    [failed] = await site.has(run, TaskFailed)
    assert failed.error.type == "TooLarge"
    assert crew.played == ["a"]


async def test_an_outcome_waits_for_room_on_a_full_server(site, gate):
    site.scripts["a"] = gate
    crew = await site.crew()
    run = await site.submit(main="a")
    await gate.reached.wait()
    refused = asyncio.Event()

    def is_full(subject: str) -> bool:
        refused.set()
        return True

    site.server.is_full = is_full
    gate.open()
    await refused.wait()
    site.server.is_full = lambda _: False

    await site.comes(run, RunFinished)
    assert crew.played == ["a"]


async def test_input_that_is_lost_does_not_spoil_the_slot_for_the_next_task(site):
    """Once, the code of the task counted as known to the slot although it had never got there."""
    crew = await site.crew("w1")
    code = await site.client.blobs.put_code(b"code")
    lost = Ref(scheme=BLOB, where="nflow.blob.r.gone", size_bytes=3, digest="x", type="input")
    jobs = [
        TaskJob(
            run="r",
            workflow="t",
            dag=DagId("main:1"),
            task=name,
            name=name,
            attempt=1,
            queue="task",
            code=code,
            input_blob=blob,
        )
        for name, blob in (("a", lost), ("b", None))
    ]

    for job in jobs:
        subject = site.client.subjects.job_task("task", "py", job.run, job.dag, job.task, 1)
        await site.client.bus.enqueue(subject, pack_job(job))
        await site.clock.advance(0.1)

    [failed] = await site.has("r", TaskFailed)
    assert (failed.task, failed.error.type) == ("a", "BlobLost")
    assert crew.played == ["b"]
    assert len(crew.slots) == 1


# --- jobs that are broken --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["task", "dag", "workflow"])
async def test_broken_jobs_stop_nobody(site, kind):
    """Once, a worker that had turned away as many as it had slots never asked for more."""
    crew = await site.crew()
    subjects = site.client.subjects
    for number in range(5):
        subject = {
            "task": subjects.job_task("task", "py", f"b{number}", "main:1", "a", 1),
            "dag": subjects.job_dag("dag", f"b{number}", "main:1"),
            "workflow": subjects.job_workflow("workflow", f"b{number}"),
        }[kind]
        await site.client.bus.enqueue(subject, b"\xc1 broken")
        await site.clock.advance(0.1)

    run = await site.submit(main="a")

    await site.has(run, RunFinished)
    letters = (await site.client.bus.read(subjects.dead_letters())).records
    assert len(letters) == 5
    await site.until(lambda: nothing_is_left(crew))
    assert await jobs_left(site) == []


async def test_a_job_in_a_queue_of_another_kind_is_laid_down(site):
    await site.crew("t", "task")
    job = TaskJob(run="r", workflow="t", dag="d:1", task="a", name="a", attempt=1, queue="task", code="c")
    subject = site.client.subjects.job_dag("dag", "r", "d:1")
    await site.client.bus.enqueue(subject, pack_job(job))

    await site.crew("d", "dag")

    await site.clock.advance(1.0)
    [letter] = (await site.client.bus.read(site.client.subjects.dead_letters())).records
    assert unpack_message(letter.payload, DeadLetter).subject == subject


async def letters_of(site) -> list[DeadLetter]:
    return [letter async for letter in DeadLetters(site.client).all()]


def is_over(site, run) -> bool:
    """Whether its log says so, whatever else is in it."""
    subject = site.client.subjects.own(run)
    last = site.server.stream(subject).last(subject)
    return last is not None and isinstance(unpack_events(last.payload)[-1], RunFinished)


async def test_a_broken_job_under_an_odd_subject_is_laid_down_too(site):
    """Once, such a subject made its worker forget the job, which came back for ever."""
    crew = await site.crew()
    subject = "nflow.job.task.task.py.5.r.d.t.x.and.more"

    await site.client.bus.append(subject, b"\xc1 broken")
    await site.clock.advance(10.0)

    [letter] = await letters_of(site)
    assert (letter.subject, letter.payload, letter.worker) == (subject, b"\xc1 broken", "w1")
    assert nothing_is_left(crew)
    assert await jobs_left(site) == []


@pytest.mark.parametrize("kind", ["task", "dag", "workflow"])
async def test_a_run_whose_job_is_broken_fails_instead_of_waiting_for_ever(site, kind):
    """Once, it hung until a person stopped it."""
    kinds = ["workflow", "dag", "task"]
    run = await site.submit(main="a>b")
    entry = RunEntry(run=run, workflow="test", state="waiting", queue="workflow", submitted=0.0)
    await site.client.index.announce(entry)
    before = kinds[: kinds.index(kind)]
    if before:
        await site.crew("before", *before)
    await site.until(lambda: job_of(site, kind) is not None)
    subject = job_of(site, kind)
    await site.client.bus.withdraw(subject)
    await site.client.bus.enqueue(subject, b"\xc1 broken")

    crew = await site.crew("after", *kinds[kinds.index(kind) :])

    [finished] = await site.has(run, RunFinished)
    assert finished.status is Status.FAILED
    [letter] = await letters_of(site)
    assert (letter.subject, letter.kind) == (subject, kind)
    assert (await site.client.index.get(run)).state == "failed"
    await site.until(lambda: nothing_is_left(crew))
    assert await jobs_left(site) == []


def job_of(site, kind: str) -> str | None:
    """The subject of the job of that kind."""
    records = site.server.stream("nflow.job.x").read(f"nflow.job.{kind}.>", 0, 1).records
    return records[0].subject if records else None


async def test_bytes_of_a_stranger_end_no_work_that_is_due(site, gate):
    site.scripts["a"] = gate
    await site.crew()
    run = await site.submit(main="a>b")
    await gate.reached.wait()
    subjects = site.client.subjects
    for subject in (
        subjects.job_task("task", "py", run, DagId("main:1"), "a", 2),
        subjects.job_task("task", "py", run, DagId("main:1"), "b", 2),
        subjects.job_task("task", "py", run, DagId("main:1"), "z", 1),
        subjects.job_task("task", "py", run, DagId("other:1"), "a", 1),
        subjects.job_dag("dag", run, DagId("main:2")),
        subjects.job_workflow("task", run),
    ):
        await site.client.bus.enqueue(subject, b"\xc1 broken")
    await site.clock.advance(5.0)

    gate.open()

    finished = await site.comes(run, RunFinished)
    assert finished.status is Status.SUCCEEDED


async def test_a_job_that_is_laid_down_a_second_time_has_one_letter(site, gate):
    """Its worker was cut off between the letter and the removal of the job."""
    await site.crew()
    subject = site.client.subjects.job_task("task", "py", "r", "main:1", "a", 1)
    await site.client.bus.enqueue(subject, b"\xc1 broken")
    [job] = await jobs_left(site)
    letters = DeadLetters(site.client)
    held = SimpleNamespace(subject=subject, payload=job.payload, seq=job.seq, deliveries=1)

    await letters.put(held, "once", host="h")
    await site.clock.advance(10.0)

    [letter] = await letters_of(site)
    assert letter.reason == "once"
    assert await jobs_left(site) == []


@pytest.mark.parametrize(
    ("error", "letters"),
    [
        (RemoteError(type="MissingModule", message="Task 'a' needs the module 'epics', which is not installed"), 1),
        (RemoteError(type="BrokenMessage", message="Task 'a' cannot be opened: EOFError: "), 1),
        (RemoteError(type="BlobLost", message="The value of 'image' is lost"), 0),
        (RemoteError(type="ValueError", message="Task 'a' found no peak"), 0),
    ],
)
async def test_a_task_whose_code_cannot_be_opened_fails_and_is_kept_with_the_dead_letters(site, error, letters):
    async def fail(scene: Scene) -> TaskFailed:
        job = scene.job
        return TaskFailed(task=job.task, attempt=1, execution=scene.execution, error=error, provenance=scene.provenance)

    site.scripts["a"] = fail
    crew = await site.crew()

    run = await site.submit(main="a")

    [finished] = await site.has(run, RunFinished)
    assert finished.status is Status.FAILED
    found = await letters_of(site)
    assert [(letter.kind, letter.reason) for letter in found] == [("task", f"{error.type}: {error.message}")] * letters
    await site.until(lambda: nothing_is_left(crew))


async def test_a_task_whose_code_is_lost_is_kept_with_the_dead_letters(site):
    await site.crew()
    job = TaskJob(run="r", workflow="t", dag=DagId("d:1"), task="a", name="a", attempt=1, queue="task", code="gone")

    await site.client.bus.enqueue(site.client.subjects.job_task("task", "py", "r", job.dag, "a", 1), pack_job(job))

    [failed] = await site.has("r", TaskFailed)
    assert failed.error.type == "BlobLost"
    await site.clock.advance(1.0)
    [letter] = await letters_of(site)
    assert letter.reason.startswith("BlobLost: The code gone of this workflow is gone")
    assert await DeadLetters(site.client).futility(letter) is not None


async def test_a_task_whose_own_record_is_broken_is_given_up_once(site):
    """Once, its job came back for ever, each time with one more letter."""
    run = await site.submit(main="a")
    driver = await site.crew("d", "workflow", "dag")
    await site.has(run, DagStarted)
    await site.until(lambda: site.server.stream("nflow.job.x").read("nflow.job.task.>", 0, 1).records != [])
    subject = site.client.subjects.task(run, DagId("main:1"), "a")
    seq = await site.client.bus.append(subject, b"\xc1")

    crew = await site.crew()

    await site.until(lambda: is_over(site, run), seconds=120)
    await site.until(lambda: nothing_is_left(crew) and nothing_is_left(driver), seconds=100)
    [letter] = await letters_of(site)
    assert letter.kind == "dag"
    assert f"record {seq} of its log, on {subject}, is damaged" in letter.reason
    assert await jobs_left(site) == []


async def test_a_job_of_a_newer_nflow_waits_for_a_newer_worker(site):
    crew = await site.crew()
    subject = site.client.subjects.job_task("task", "py", "r", "d:1", "a", 1)
    job = TaskJob(run="r", workflow="t", dag="d:1", task="a", name="a", attempt=1, queue="task", code="c")
    payload = pack_job(job)
    newer = payload[:1] + b"\x63" + payload[2:]  # schema 99

    await site.client.bus.enqueue(subject, newer)
    await site.clock.advance(60.0)

    assert [record.subject for record in await jobs_left(site)] == [subject]
    assert (await site.client.bus.read(site.client.subjects.dead_letters())).records == []
    assert nothing_is_left(crew)


async def test_a_run_whose_spec_is_lost_fails_in_the_end_and_its_dag_too(site):
    crew = await site.crew("w", "workflow")
    run = await site.submit(main="a")
    await site.has(run, DagStarted)
    await site.client.bus.purge("nflow.blob._code.>")

    await site.crew("d", "dag")

    [finished] = await site.has(run, DagFinished, seconds=120)
    assert finished.status is Status.FAILED
    [ended] = await site.has(run, RunFinished)
    assert ended.status is Status.FAILED
    await site.until(lambda: nothing_is_left(crew))


async def test_a_run_that_nobody_can_drive_is_failed(site):
    run = await site.submit(main="a")
    await site.client.bus.purge("nflow.blob._code.>")

    await site.crew()

    [finished] = await site.has(run, RunFinished, seconds=120)
    assert finished.status is Status.FAILED
    assert "code" in finished.reason
    assert (await site.client.index.get(run)).state == "failed"


async def test_a_full_server_costs_no_run(site):
    site.server.is_full = lambda subject: subject.startswith("nflow.event")
    run = await site.submit(main="a>b")
    await site.crew()
    await site.clock.advance(3 * 2.0 * MOST_TRIES)

    site.server.is_full = lambda _: False

    [finished] = await site.has(run, RunFinished)
    assert finished.status is Status.SUCCEEDED


async def test_a_broken_event_fails_the_driver_and_not_the_worker(site, gate):
    site.scripts["a"] = gate
    crew = await site.crew()
    run = await site.submit(main="a>b")
    other = await site.submit(main="c")
    await gate.reached.wait()

    await site.client.bus.append(site.client.subjects.task(run, DagId("main:1"), "a"), b"\xc1")
    gate.open()

    await site.has(other, RunFinished)
    page = await site.client.bus.read(site.client.subjects.dead_letters())
    for _ in range(100):
        if page.records:
            break
        await site.clock.advance(1.0)
        page = await site.client.bus.read(site.client.subjects.dead_letters())
    assert page.records
    await site.until(lambda: nothing_is_left(crew), seconds=100)


# --- stopping --------------------------------------------------------------------------------------------------------


async def stop(site, run, *, grace=None):
    event = StopRequested(reason="enough", by="a person", grace=grace)
    await site.client.bus.append(site.client.subjects.ask(run), pack_events([event]))


async def test_a_stop_reaches_a_running_task_and_cancels_the_others(site):
    async def obey(scene: Scene) -> None:
        await scene.slot.stopped.wait()

    site.scripts["a"] = obey
    crew = await site.crew()
    run = await site.submit(main="a>b c")
    await site.until(lambda: crew.played == ["a"])

    await stop(site, run)

    [finished] = await site.has(run, RunFinished)
    assert finished.status is Status.STOPPED
    assert crew.played == ["a"]
    assert sorted(event.task for event in await site.of(run, TaskCancelled)) == ["b", "c"]
    assert await jobs_left(site) == []


async def test_a_task_that_does_not_end_in_its_grace_is_killed_and_counts_as_cancelled(site, gate):
    site.scripts["a"] = gate
    await site.crew()
    run = await site.submit(main="a")
    await gate.reached.wait()

    coming = asyncio.ensure_future(site.comes(run, RunFinished))
    await stop(site, run, grace=0.0)

    finished = await coming
    assert finished.status is Status.STOPPED
    [cancelled] = await site.of(run, TaskCancelled)
    assert cancelled.provenance is not None
    assert "enough" in cancelled.reason


async def test_a_task_that_dies_by_itself_in_its_grace_has_failed(site):
    async def die(scene: Scene) -> None:
        await scene.slot.stopped.wait()
        scene.slot.signal_group(signal.SIGSEGV)
        await asyncio.Event().wait()

    site.scripts["a"] = die
    crew = await site.crew()
    run = await site.submit(main="a")
    await site.until(lambda: crew.played == ["a"])

    await stop(site, run, grace=60.0)

    [failed] = await site.has(run, TaskFailed)
    assert "SIGSEGV" in failed.error.message


async def test_a_second_stop_with_less_patience_ends_a_task_that_the_first_only_told(site, gate):
    site.scripts["a"] = gate
    crew = await site.crew()
    run = await site.submit(main="a")
    await gate.reached.wait()
    await stop(site, run)
    await site.until(crew.slots[0].stopped.is_set)
    coming = asyncio.ensure_future(site.comes(run, RunFinished))

    impatient = StopRequested(reason="now", by="a person", grace=0.0)
    await site.client.bus.append(site.client.subjects.stop(run, DagId("main:1")), pack_events([impatient]))

    await coming
    [cancelled] = await site.of(run, TaskCancelled)
    assert "now" in cancelled.reason


async def test_a_stop_that_came_while_its_push_was_lost_is_found_by_the_tick(site):
    async def obey(scene: Scene) -> None:
        await scene.slot.stopped.wait()

    site.scripts["a"] = obey
    crew = await site.crew()
    run = await site.submit(main="a")
    await site.until(lambda: crew.played == ["a"])

    site.server.loses = lambda _: True
    await stop(site, run)
    for _ in range(5):
        await crew.engine.reconciler.tick()
        await site.clock.advance(0.1)

    await site.has(run, RunFinished)
    assert crew.engine.reconciler.repaired > 0


@pytest.mark.parametrize("lost", [0.3, 0.7, 1.0])
async def test_a_run_ends_although_pushes_are_lost(site, lost):
    import random

    chance = random.Random(7)
    site.server.loses = lambda record: chance.random() < lost
    crew = await site.crew(slots=2)

    run = await site.submit(main="a>b>e a>c>e a>d>e")

    for _ in range(40):
        await crew.engine.reconciler.tick()
        await site.clock.advance(0.1)
        if await site.of(run, RunFinished):
            break
    assert sorted(crew.played) == ["a", "b", "c", "d", "e"]
    assert len(await site.of(run, RunFinished)) == 1
    assert await site.of(run, TaskSkipped) == []


# --- leaving ---------------------------------------------------------------------------------------------------------


async def test_a_draining_worker_ends_what_runs_and_takes_nothing_new(site, gate):
    site.scripts["a"] = gate
    crew = await site.crew("w1")
    run = await site.submit(main="a>b")
    await gate.reached.wait()

    draining = asyncio.ensure_future(crew.drain())
    await site.clock.advance(0.1)
    other = await site.crew("w2")
    gate.open()
    await site.has(run, RunFinished)

    await draining
    assert crew.played == ["a"]
    assert other.played == ["b"]
    assert nothing_is_left(crew)
    assert len(await site.of(run, TaskSucceeded)) == 2


async def test_a_driver_that_is_handed_back_is_driven_elsewhere_at_once(site, gate):
    site.scripts["a"] = gate
    crew = await site.crew("d1", "workflow", "dag")
    await site.crew("t", "task")
    await site.crew("d2", "workflow", "dag")
    run = await site.submit(main="a")
    await gate.reached.wait()
    began = site.clock.time()
    owners = len(await site.of(run, OwnerChanged))

    leaving = crew if len(crew.driving["workflow"]) else site.crews[-1]
    await leaving.drain()
    await site.has(run, OwnerChanged, times=owners + 1)

    assert site.clock.time() - began < 1.0
    gate.open()
    await site.has(run, RunFinished)


async def test_a_job_that_was_on_its_way_when_the_worker_drained_is_given_back_at_once(site):
    crew = await site.crew("w1")
    run = await site.submit(main="a")

    await crew.drain()
    intake = await crew.take("workflow", "workflow", crew.driving["workflow"].on_job)
    intake.want(1)
    await site.clock.advance(0.0)
    intake.close()
    other = await site.crew("w2")

    await site.has(run, RunFinished)
    assert other.played == ["a"]
    assert nothing_is_left(crew)


@pytest.mark.parametrize("drain_first", [True, False])
async def test_a_task_that_came_in_the_very_moment_of_the_drain_is_given_back(site, drain_first):
    crew = await site.crew("w1", "task")
    await site.crew("d", "workflow", "dag")
    run = await site.submit(main="a")
    taken = []

    def on_job(job):
        if drain_first:
            taken.append(asyncio.ensure_future(crew.drain()))
        crew.executing.on_job(job)
        if not drain_first:
            taken.append(asyncio.ensure_future(crew.drain()))

    for intake in crew.executing._intakes:
        intake.close()
    (await crew.take("task", "task", on_job)).want(1)
    await site.until(lambda: bool(taken))
    async with asyncio.timeout(5):
        await taken[0]

    await site.crew("w2", "task")
    await site.has(run, RunFinished)
    assert crew.played == []
    assert nothing_is_left(crew)


async def test_what_runs_is_given_back_when_the_worker_is_stopped(site):
    async def first_time(scene: Scene) -> None:
        if scene.execution == 1:
            await asyncio.Event().wait()

    site.scripts["a"] = first_time
    crew = await site.crew("w1")
    run = await site.submit(main="a")
    await site.until(lambda: crew.played == ["a"])

    crew.executing.stop()
    async with asyncio.timeout(5):
        await crew.drain()
    other = await site.crew("w2")

    [finished] = await site.has(run, RunFinished)
    assert finished.status is Status.SUCCEEDED
    assert crew.slots[0].signals[0] is signal.SIGTERM
    assert other.played == ["a"]
    assert [(event.execution, event.lost) for event in await site.of(run, TaskStarted)] == [(1, 0), (2, 0)]


async def test_a_task_that_waits_for_a_slot_is_given_back_when_the_worker_drains(site, gate):
    site.scripts |= {"a": gate, "b": gate}
    crew = await site.crew("w1", "task", slots=1)
    crew.executing._pace.took(0.0)
    for _ in range(200):
        crew.executing._pace.took(0.0)  # as after many short tasks: it claims ahead
    await site.crew("d", "workflow", "dag")
    run = await site.submit(main="a b")
    await site.has(run, TaskStarted, times=2)

    draining = asyncio.ensure_future(crew.drain())
    await site.has(run, TaskReleased)
    gate.open()
    await draining

    other = await site.crew("w2", "task")
    await site.has(run, RunFinished)
    assert sorted(crew.played + other.played) == ["a", "b"]


async def test_tasks_claimed_ahead_of_long_ones_are_given_back_once_and_not_again(site, gate):
    """Once, a worker that had been busy with short tasks claimed and released them each second beside a long one."""
    site.scripts |= dict.fromkeys("abcdef", gate)
    crew = await site.crew("w1", "task", slots=1)
    for _ in range(200):
        crew.executing._pace.took(0.0)
    await site.crew("d", "workflow", "dag")
    run = await site.submit(main="a b c d e f")
    await site.has(run, TaskStarted, times=6)

    loop = asyncio.get_running_loop()
    released = asyncio.Event()
    loop.call_later(2.5 * PATIENCE, released.set)
    await released.wait()
    await site.clock.advance(1.0)

    assert len(await site.of(run, TaskReleased)) == 5
    assert len(await site.of(run, TaskStarted)) == 6
    gate.open()
    await site.has(run, RunFinished)
    assert sorted(crew.played) == list("abcdef")


async def test_several_queues_share_the_slots(site, gate):
    site.scripts |= dict.fromkeys("abcdef", gate)
    await site.crew("d", "workflow", "dag")
    spec_of = {"q1": "abc", "q2": "def"}
    code = await site.client.blobs.put_code(b"code")
    crew = await site.crew("w1", "task", slots=2, queues=("q1", "q2"))
    dag = dag_of("main", "a b c d e f", code)
    tasks = tuple(
        replace(task, queue=queue) for task in dag.tasks for queue, names in spec_of.items() if task.name in names
    )
    run = await site.submit(main=replace(dag, tasks=tasks))
    await gate.reached.wait()
    await site.clock.advance(1.0)

    assert len(await site.of(run, TaskStarted)) == 2
    assert len(crew.executing) == 2
    gate.open()
    await site.has(run, RunFinished)


def test_payloads_of_jobs_are_what_tests_think_they_are():
    job = TaskJob(run="r", workflow="t", dag="d:1", task="a", name="a", attempt=1, queue="task", code="c")

    assert unpack_job(pack_job(job)) == job
