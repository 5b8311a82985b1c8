"""Large values between tasks: through real slots, their worker, and what keeps them."""

import asyncio
import os
import signal
from dataclasses import asdict
from pathlib import Path

import pytest

from nflow.blobs.cache import SMALL_BYTES
from nflow.blobs.port import PIECE_BYTES
from nflow.blobs.terms import Terms
from nflow.bus.memory import MemoryBus
from nflow.core.dataset import BLOB, FILE, INLINE, Dataset, TaskInput
from nflow.core.events import TaskFailed, TaskSucceeded
from nflow.core.ids import RunId, WorkerId
from nflow.engine.engine import Engine
from nflow.errors import NflowError, StorageFull
from nflow.store.kv import KvStore
from nflow.worker.calls import TaskCalls
from nflow.worker.pool import Pool
from nflow.worker.runwatches import RunWatches
from nflow.worker.slot import SlotDied
from tests.worker.conftest import no_calls, task_job

np = pytest.importorskip("numpy")


class Hall:
    """A worker's engine, slots, and the calls between them."""

    def __init__(self, server, bench, terms: Terms, cache_size: int) -> None:
        self.bus = MemoryBus(server)
        self.engine = Engine(self.bus, WorkerId("me"), KvStore(self.bus), terms=terms, cache_size=cache_size)
        self.called: list[str] = []
        self._bench = bench
        bench.terms = asdict(terms)
        self._calls = TaskCalls(
            self.engine, Pool(1, bench.slot, tasks_per_slot=1), RunWatches(self.engine), task_job("work")
        )

    async def call(self, name, arguments):
        self.called.append(name)
        return await self._calls(name, arguments)

    async def run(self, callback, *given: Dataset, on=None):
        """What comes of a task that is given these."""
        task_input = TaskInput(datasets=given or (Dataset(),), aliases={str(n): n for n in range(len(given))})
        return await self._bench.run(callback, on=on, call=self.call, input=task_input)

    async def output(self, callback, *given: Dataset, on=None) -> Dataset:
        """What a task hands on."""
        ended = await self.run(callback, *given, on=on)
        assert isinstance(ended, TaskSucceeded), ended
        return ended.output

    async def chunks(self) -> int:
        return len((await self.bus.read("nflow.blob.>", limit=1_000_000)).records)


@pytest.fixture
async def hall_of(server, bench):
    halls = []

    def make(*, cache_size: int = 0, **terms: object) -> Hall:
        halls.append(Hall(server, bench, Terms(**terms), cache_size))
        return halls[-1]

    yield make
    for hall in halls:
        hall.engine.close()
        await hall.engine.cache.close()


@pytest.fixture(params=["server", "cache", "folder"])
def hall(request, hall_of, tmp_path) -> Hall:
    """By each way that a value can take."""
    match request.param:
        case "cache":
            return hall_of(cache_size=1 << 30)
        case "folder":
            return hall_of(folder=str(tmp_path))
    return hall_of()


def make_image(data, store, signal, context):
    import numpy as np

    data["image"] = np.arange(700_000, dtype="f8").reshape(700, 1000)


def look_at_image(data, store, signal, context):
    import numpy as np

    image = data["image"]
    assert image.flags.writeable
    assert np.array_equal(image, np.arange(700_000, dtype="f8").reshape(700, 1000))


async def test_an_array_comes_as_it_was_and_can_be_written_to(hall):
    made = await hall.output(make_image)

    looked = await asyncio.gather(*(hall.output(look_at_image, made) for _ in range(2)), return_exceptions=True)

    assert [each.values for each in looked] == [made.values] * 2


@pytest.mark.parametrize("size", [4096, PIECE_BYTES, 1024 * 1024, 3 * 1024 * 1024 + 1, SMALL_BYTES])
async def test_values_of_all_sizes_come_as_they_were(hall, size):
    def make(data, store, signal, context):
        data["bytes"], data["text"], data["array"] = b"ab" * (size // 2), "ü" * size, bytearray(size)

    def look(data, store, signal, context):
        assert data["bytes"] == b"ab" * (size // 2)
        assert data["text"] == "ü" * size
        assert data["array"] == bytearray(size)
        assert type(data["array"]) is bytearray

    slot = await hall._bench.slot()

    assert await hall.output(look, await hall.output(make, on=slot), on=slot)


async def test_an_array_that_ten_tasks_pass_on_is_stored_once(hall_of):
    hall = hall_of()
    slot = await hall._bench.slot()
    passed = first = await hall.output(make_image, on=slot)
    chunks, called = await hall.chunks(), list(hall.called)

    for number in range(10):
        look = look_at_image if number == 5 else (lambda data, store, signal, context: None)
        passed = await hall.output(look, passed, on=slot)

    assert passed.values == first.values
    assert await hall.chunks() == chunks
    assert [*called, "get_blob"] == hall.called


async def test_of_fifty_inputs_the_one_that_is_looked_at_moves(hall_of):
    hall = hall_of()
    slot = await hall._bench.slot()
    made = await hall.output(make_image, on=slot)
    del hall.called[:]

    def look_at_one(data, store, signal, context):
        assert data.get_by_alias("17")["image"][0, 1] == 1.0

    await hall.output(look_at_one, *[made] * 50, on=slot)

    assert hall.called == ["get_blob"]


async def test_a_value_of_the_folder_does_not_pass_through_the_worker(bench, tmp_path):
    bench.terms = asdict(Terms(folder=str(tmp_path)))

    made = await bench.run(make_image, call=no_calls)

    assert made.output.values["image"].scheme == FILE
    looked = await bench.run(look_at_image, call=no_calls, input=TaskInput(datasets=(made.output,)))
    assert isinstance(looked, TaskSucceeded), looked


async def test_a_copy_that_was_damaged_is_fetched_again(hall_of):
    hall = hall_of(cache_size=1 << 30)
    made = await hall.output(make_image)
    await hall.output(look_at_image, made)
    copy = hall.engine.cache.copy_of(made.values["image"])
    copy.path.write_bytes(bytes(copy.size_bytes))

    assert isinstance(await hall.run(look_at_image, made), TaskSucceeded)


async def test_a_copy_whose_file_was_removed_is_fetched_again(hall_of):
    hall = hall_of(cache_size=1 << 30)
    made = await hall.output(make_image)
    await hall.output(look_at_image, made)
    hall.engine.cache.copy_of(made.values["image"]).path.unlink()

    assert isinstance(await hall.run(look_at_image, made), TaskSucceeded)


async def test_a_value_that_is_gone_fails_the_task_with_its_name(hall_of):
    hall = hall_of(cache_size=1 << 30)
    made = await hall.output(make_image)
    await hall.engine.blobs.drop(RunId("run"))

    failed = await hall.run(look_at_image, made)

    assert failed.error.type == "BlobLost"
    assert "data['image'] (numpy, 5600" in failed.error.message


async def test_a_value_that_was_altered_fails_the_task_that_reads_it(hall_of):
    hall = hall_of()
    made = await hall.output(make_image)
    where = made.values["image"].where
    await hall.bus.purge(f"{where}.1")
    await hall.bus.append(f"{where}.1", bytes(PIECE_BYTES))

    failed = await hall.run(look_at_image, made)

    assert failed.error.type == "BlobLost"
    assert "damaged" in failed.error.message


async def test_a_value_over_the_limit_is_refused_at_the_task_that_made_it_before_it_is_sent(hall_of):
    hall = hall_of(max_value_size=5_000_000)

    failed = await hall.run(make_image)

    assert isinstance(failed, TaskFailed)
    assert failed.error.type == "ValueTooLarge"
    assert "data['image'] (numpy, 5600" in failed.error.message
    assert "limits.max_value_size" in failed.error.message
    assert hall.called == []


@pytest.mark.parametrize(("inline_size", "scheme"), [(100, BLOB), (2000, INLINE)])
async def test_what_a_message_may_carry_is_set(hall_of, inline_size, scheme):
    def make(data, store, signal, context):
        data["text"] = "x" * 1000

    made = await hall_of(inline_size=inline_size).output(make)

    assert made.values["text"].scheme == scheme


async def test_a_value_that_cannot_be_stored_fails_its_task_and_no_other(hall_of, server):
    hall = hall_of()
    server.is_full = lambda subject: ".blob." in subject
    slot = await hall._bench.slot()

    failed = await hall.run(make_image, on=slot)
    server.is_full = lambda subject: False

    assert failed.error.type == StorageFull.__name__
    assert await hall.output(look_at_image, await hall.output(make_image, on=slot), on=slot)


async def test_a_slot_that_is_killed_in_the_middle_of_a_value_dies_alone(hall_of, bench):
    hall = hall_of()
    slot = await bench.slot()
    begun = asyncio.Event()

    async def stall(name, arguments):
        begun.set()
        await asyncio.Event().wait()

    running = asyncio.ensure_future(bench.run(make_image, on=slot, call=stall))
    await begun.wait()
    slot.signal_group(signal.SIGKILL)

    with pytest.raises(SlotDied):
        await running
    assert isinstance(await hall.run(make_image), TaskSucceeded)


async def test_a_slot_that_dies_in_the_middle_of_a_value_is_no_error_of_its_worker(hall_of, caplog):
    hall = hall_of()

    def die(data, store, signal, context):
        import os
        import socket

        send = socket.socket.sendmsg

        def last_words(sock, parts):
            send(sock, [parts[0][:1000]])
            os._exit(9)

        socket.socket.sendmsg = last_words
        data["bytes"] = bytes(10_000_000)

    with pytest.raises(SlotDied, match="exit code 9"):
        await hall.run(die)

    assert hall.called == ["put_blob"]
    assert caplog.records == []


async def test_a_slot_that_is_killed_in_the_middle_of_a_read_dies_alone(hall_of, bench):
    hall = hall_of()
    made = await hall.output(make_image)
    slot = await bench.slot()
    begun = asyncio.Event()

    async def begin(name, arguments):
        *_, channel = arguments
        await channel.piece(bytes(1000))
        begun.set()
        await asyncio.Event().wait()

    given = TaskInput(datasets=(made,))
    running = asyncio.ensure_future(bench.run(look_at_image, on=slot, call=begin, input=given))
    await begun.wait()
    slot.signal_group(signal.SIGKILL)

    with pytest.raises(SlotDied):
        await running
    assert isinstance(await hall.run(look_at_image, made), TaskSucceeded)


async def test_an_exception_in_the_middle_of_a_value_costs_the_process_and_nothing_else(bench):
    """What is left of the value would be taken for the beginning of the next one."""

    async def interrupt(name, arguments):
        if name == "put_blob":
            os.kill(slot.pid, signal.SIGALRM)
        await asyncio.Event().wait()

    def work(data, store, signal_, context):
        import signal

        def on_alarm(*_):
            raise TimeoutError("too slow")

        signal.signal(signal.SIGALRM, on_alarm)
        for _ in range(2):
            try:
                store.set("big", bytes(50_000_000))
            except (TimeoutError, NflowError) as error:
                print(type(error).__name__, error)

    slot = await bench.slot()

    ended = await bench.run(work, on=slot, call=interrupt)

    assert isinstance(ended, TaskSucceeded)
    assert [line.partition(":")[0] for line in bench.text()] == [
        "TimeoutError too slow",
        "NflowError An exception has interrupted a large value on its way",
    ]
    assert not slot.alive


async def test_other_tasks_are_served_while_a_slow_one_takes_its_value(hall_of, bench):
    hall = hall_of()
    made = await hall.output(make_image)
    slow, stopped = await bench.slot(), asyncio.Event()

    async def fall_asleep(name, arguments):
        os.kill(slow.pid, signal.SIGSTOP)
        stopped.set()
        return await hall.call(name, arguments)

    given = TaskInput(datasets=(made,))
    waiting = asyncio.ensure_future(bench.run(look_at_image, on=slow, call=fall_asleep, input=given))
    await stopped.wait()
    quick = await asyncio.gather(*(hall.run(look_at_image, made) for _ in range(3)))
    still_waits = not waiting.done()
    os.kill(slow.pid, signal.SIGCONT)

    assert [type(each) for each in quick] == [TaskSucceeded] * 3
    assert still_waits
    assert isinstance(await waiting, TaskSucceeded)


async def test_nothing_of_a_run_is_left_in_the_folder_when_its_data_go(hall_of, tmp_path):
    hall = hall_of(folder=str(tmp_path))
    await hall.output(make_image)
    before = files_in(tmp_path)

    await hall.engine.blobs.drop(RunId("run"))

    assert [path.parent for path in before] == [tmp_path / "run"]
    assert files_in(tmp_path) == []


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
