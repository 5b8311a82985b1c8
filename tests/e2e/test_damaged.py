"""The log of a run damaged by hand: that run is set aside with its reason, and nothing else is disturbed."""

import pytest

from nflow.bus.nats import NatsBus
from nflow.core.events import Event, Status, TaskStarted
from nflow.core.ids import DagId, RunId, TaskId, WorkerId
from nflow.wire.messages import pack_events
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
        assert [letter.subject.rpartition(".")[2] for letter in letters.records] == [run]
        assert not worker.ended
        assert not [line for line in worker.err if "Traceback" in line]
