"""The log of a run damaged by hand: that run is set aside with its reason, and nothing else is disturbed."""

import json

import pytest

from nflow.bus.nats import NatsBus
from nflow.core.events import (
    DagFinished,
    DagStarted,
    Event,
    OwnerChanged,
    Provenance,
    RemoteError,
    Status,
    TaskFailed,
    TaskStarted,
)
from nflow.core.ids import DagId, RunId, TaskId, WorkerId
from nflow.core.jobs import TaskJob, WorkflowJob
from nflow.wire.frames import pack_plain
from nflow.wire.messages import pack_events, unpack_job
from tests.e2e.station import Station

GARBAGE = b"\xff\x00 no message"
MAIN = DagId("main:1")


def foreign() -> Event:
    """An event of a task that the dag does not have."""
    return TaskStarted(task=TaskId("elsewhere"), attempt=1, execution=1, worker=WorkerId("w"), host="h")


def places(bus: NatsBus, run: RunId) -> dict[str, str]:
    subject = f"{bus.namespace}.event.{run}"
    return {
        "workflow": f"{subject}._._log",
        "requests": f"{subject}._._ask",
        "owner": f"{subject}._._owner",
        "dag": f"{subject}.main=3A1._log",
        "stop": f"{subject}.main=3A1._stop",
        "dag owner": f"{subject}.main=3A1._owner",
        "task that runs": f"{subject}.main=3A1.second",
        "task that waits": f"{subject}.main=3A1.third",
    }


@pytest.mark.parametrize("payload", [GARBAGE, pack_events([foreign()])], ids=["garbage", "foreign"])
@pytest.mark.parametrize(
    "place", ["workflow", "requests", "owner", "dag", "stop", "dag owner", "task that runs", "task that waits"]
)
async def test_a_run_whose_log_is_damaged_is_set_aside_and_its_neighbour_goes_on(
    station: Station, place: str, payload: bytes
):
    worker = await station.worker(slots=2)
    gate = station.gate("second")
    run, neighbour = await station.submit("gated"), await station.submit("gated")
    bus = (await station.client()).engine.bus
    async with station.following(run) as story, station.following(neighbour) as other:
        await story.begun("second")
        await other.begun("second")
        watching = await station.nflow("start", "--wait", *station.workflow("gated"))
        subject = places(bus, run)[place]

        seq = await bus.append(subject, payload)
        finished = await story.finished()

        gate.open()
        await other.succeeds()
        assert finished.status is Status.FAILED
        assert f"record {seq}" in finished.reason
        assert subject in finished.reason
        assert await watching.end() == 0
        letters = await bus.read(f"{bus.namespace}.dead.>")
        assert [letter.subject.split(".")[3] for letter in letters.records] == [run]
        assert not worker.ended
        assert not [line for line in worker.err if "Traceback" in line]


async def test_events_that_contradict_each_other_hang_nothing(station: Station):
    """A second outcome of a task, and an end of a dag whose tasks run."""
    await station.worker()
    gate = station.gate("second")
    run, neighbour = await station.submit("gated"), await station.submit("gated")
    bus = (await station.client()).engine.bus
    async with station.following(run) as story, station.following(neighbour) as other:
        await story.begun("second")
        who = Provenance(worker=WorkerId("w"), host="h", pid=1, start=0.0, end=0.0)
        boom = RemoteError(type="Boom", message="forged")
        failed = TaskFailed(task=TaskId("first"), attempt=1, execution=1, error=boom, provenance=who)
        await bus.append(f"{bus.namespace}.event.{run}.main=3A1.first", pack_events([failed]))
        await bus.append(
            f"{bus.namespace}.event.{run}._.main=3A1", pack_events([DagFinished(dag=MAIN, status=Status.FAILED)])
        )
        gate.open()

        assert (await story.finished()).status is Status.FAILED
        await other.succeeds()


@pytest.mark.parametrize("place", ["workflow", "requests", "task that ran", "task that runs", "dag owner"])
async def test_a_record_that_was_deleted_hangs_nobody_when_another_worker_takes_over(station: Station, place: str):
    first = await station.worker()
    gate = station.gate("second")
    run = await station.submit("gated")
    bus = (await station.client()).engine.bus
    async with station.following(run) as story:
        await story.begun("second")
        subject = places(bus, run).get(place, f"{bus.namespace}.event.{run}.main=3A1.first")
        if record := await bus.last(subject):
            await bus._jetstream.call("STREAM.MSG.DELETE.nflow_events", {"seq": record.seq})

        await first.kill()
        await station.worker()
        gate.open()

        finished = await story.finished()
        assert finished.status is Status.SUCCEEDED or "record" in finished.reason


@pytest.mark.parametrize("damage", ["removed", "replaced"])
async def test_a_run_whose_spec_is_gone_fails_with_that_reason(station: Station, damage: str):
    run = await station.submit("gated")
    bus = (await station.client()).engine.bus
    [record] = (await bus.read("nflow.job.workflow.>")).records
    job = unpack_job(record.payload)
    assert isinstance(job, WorkflowJob)
    blob = f"{bus.namespace}.blob._code.{job.spec}"
    await bus.purge(f"{blob}.*")
    if damage == "replaced":
        await bus.append(f"{blob}.0", GARBAGE)

    worker = await station.worker()
    async with station.following(run) as story:
        finished = await story.finished()

    assert finished.status is Status.FAILED
    assert "Submit the run again" in finished.reason
    assert not worker.ended


async def test_a_task_whose_code_is_gone_fails_with_that_reason(station: Station):
    worker = await station.worker()
    gate = station.gate("first")
    run = await station.submit("gated")
    bus = (await station.client()).engine.bus
    async with station.following(run) as story:
        await story.begun("first")
        [record] = (await bus.read("nflow.job.task.>")).records
        job = unpack_job(record.payload)
        assert isinstance(job, TaskJob)
        await worker.kill()
        await bus.purge(f"{bus.namespace}.blob._code.{job.code}.*")
        await station.worker()
        gate.open()

        assert (await story.finished()).status is Status.FAILED
        assert story.failure().type == "BlobLost"


@pytest.mark.parametrize("kind", ["workflow", "dag", "task"])
async def test_a_job_that_was_overwritten_by_hand_ends_as_failed_with_a_dead_letter(station: Station, kind: str):
    bus = (await station.client()).engine.bus
    before = {"workflow": "", "dag": "workflow", "task": "workflow,dag"}[kind]
    if before:
        await station.worker(before)
    run = await station.submit("gated")
    async with station.following(run) as story:
        if before:
            await story.has(DagStarted if kind == "dag" else OwnerChanged, times=1 if kind == "dag" else 2)
        subject = await waiting_job(station, kind)

        await bus.purge(subject)
        await bus.append(subject, GARBAGE)
        worker = await station.worker()

        finished = await story.finished()
        assert finished.status is Status.FAILED
        letters = await bus.read(f"{bus.namespace}.dead.>")
        assert [letter.subject.split(".")[2:4] for letter in letters.records] == [[kind, run]]
        assert not worker.ended


async def waiting_job(station: Station, kind: str) -> str:
    """The subject of the only job of that kind, once it waits."""
    bus = (await station.client()).engine.bus
    while not (found := (await bus.read(f"{bus.namespace}.job.{kind}.>")).records):
        await station.heartbeats(1)
    return found[0].subject


async def test_listings_pass_over_entries_that_somebody_has_broken(station: Station):
    await station.worker()
    run = await station.submit("gated")
    async with station.following(run) as story:
        await story.succeeds()
    bus = (await station.client()).engine.bus
    for bucket in ("runs", "workers"):
        await bus.append(f"$KV.{bus.namespace}_{bucket}.broken", GARBAGE)
        await bus.append(f"$KV.{bus.namespace}_{bucket}.foreign", pack_plain({"run": 1, "worker": 2}))
        await bus.append(f"$KV.{bus.namespace}_{bucket}.list", pack_plain([1, 2]))

    status, workers, doctor = [await station.nflow(*line) for line in (("status",), ("workers", "--json"), ("doctor",))]

    assert await status.end() == 0
    assert [line.split()[:3] for line in status.out[1:]] == [[run, "gated", "succeeded"]]
    assert await workers.end() == 0
    assert len(json.loads("\n".join(workers.out))) == 1
    assert await doctor.end() == 0, doctor.story
