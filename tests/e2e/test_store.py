"""One store for all tasks of a run, on either backend, while workers die."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.station import Station
from tests.servers import Mongo

PATIENCE = 300.0


@pytest.fixture(params=["nats", "mongodb"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The settings of a store."""
    if request.param == "nats":
        yield {"NFLOW_STORE_URL": "nats"}
        return
    (tmp_path / "mongo").mkdir()
    mongo = Mongo(tmp_path / "mongo", login=True).start()
    yield {"NFLOW_STORE_URL": mongo.url}
    mongo.kill()


@pytest.mark.parametrize(
    ("tasks", "times"), [(8, 20), pytest.param(64, 200, marks=[pytest.mark.slow, pytest.mark.timeout(400)])]
)
async def test_what_tasks_push_and_add_counts_once_though_a_worker_is_killed(
    station: Station, backend: dict[str, str], tasks: int, times: int
):
    workers = [await station.nflow("worker", "--slots", "2", **backend) for _ in range(2)]
    for worker in workers:
        await worker.until_says(" serves ")
    gate = station.gate("push")
    run = await station.submit("pushes", variables=backend, tasks=tasks, times=times)
    async with station.following(run) as story:
        await story.begun("push", times=4)  # two in each worker: they have pushed half of theirs

        await workers[0].kill()
        gate.open()

        await story.succeeds(PATIENCE)
        count = tasks * times
        assert story.said("start") == [f"{count} pushed, in order, {count} counted"]
        assert len(station.ledger()) > tasks, "no task was repeated"


async def test_no_word_of_a_password_is_told(station: Station, tmp_path: Path):
    (tmp_path / "mongo").mkdir()
    mongo = Mongo(tmp_path / "mongo", login=True).start()
    try:
        worker = await station.nflow("worker", NFLOW_STORE_URL=mongo.url, NFLOW_STORE_TIMEOUT="1")
        await worker.until_says(" serves ")
        run = await station.submit("pushes", variables={"NFLOW_STORE_URL": mongo.url}, tasks=1, times=2)
        mongo.kill()
        async with station.following(run) as story:
            await story.finished()
            told = [str(story), worker.story, *(line.text for _, line in story.lines)]
    finally:
        mongo.kill()

    assert not any(mongo.password in text for text in told)


ANYTHING = [
    "empty comes back",
    "odd keys comes back",
    "numbers comes back",
    "texts comes back",
    "others comes back",
    "number keys comes back",
    "True 2 1 the innermost",
    "'file' is refused: NotShippable, True, True",
    "'generator' is refused: NotShippable, True, True",
    "'far too deep' is refused: NotShippable, True, True",
    "'' is refused: StoreTypeError, True, True",
    "'.' is refused: StoreTypeError, True, True",
    "'a..b' is refused: StoreTypeError, True, True",
    "'5' is refused: StoreTypeError, True, True",
    "'xxxxx' is refused: StoreTypeError, True, True",
    "'x.x.x' is refused: StoreTypeError, True, True",
    "[] True",
]


async def test_whatever_people_store_comes_back_or_is_refused_with_its_key(station: Station, backend: dict[str, str]):
    worker = await station.nflow("worker", "--slots", "1", **backend)
    await worker.until_says(" serves ")
    run = await station.submit("anything", variables=backend)

    async with station.following(run) as story:
        await story.succeeds()

        assert story.said("store_all") == ANYTHING
