"""Slots as they are: real processes, real pipes, and tasks that behave badly."""

import asyncio
import gc
import os
import select
import signal
import threading
from pathlib import Path

import pytest

from nflow.core.events import TaskFailed, TaskSucceeded
from nflow.errors import NflowError, StorageFull
from nflow.programs.strays import end_strays
from nflow.worker.process import spawn
from nflow.worker.slot import SlotDied


def open_files() -> int:
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


async def ended(pid: int) -> None:
    """Return when a process that is no child of ours has ended."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    loop, gone = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(fd, gone.set)
    try:
        async with asyncio.timeout(10):
            await gone.wait()
    finally:
        loop.remove_reader(fd)
        os.close(fd)


async def test_one_process_runs_one_task_after_another(bench):
    def work(data, store, signal, context):
        data["pid"] = os.getpid()

    slot = await bench.slot()

    outcomes = [await bench.run(work, on=slot) for _ in range(3)]

    assert [type(outcome) for outcome in outcomes] == [TaskSucceeded] * 3
    assert {outcome.provenance.pid for outcome in outcomes} == {slot.pid}
    assert slot.tasks_done == 3


async def test_each_task_gets_fresh_globals(bench):
    seen: list[int] = []

    def work(data, store, signal, context):
        seen.append(1)
        data["seen"] = len(seen)

    slot = await bench.slot()

    outcomes = [await bench.run(work, on=slot) for _ in range(2)]

    assert outcomes[0].output.values == outcomes[1].output.values


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (lambda: os._exit(3), "ended itself with exit code 3"),
        (lambda: os.kill(os.getpid(), 9), "SIGKILL"),
        (lambda: os.kill(os.getpid(), 11), "SIGSEGV"),
        (lambda: os.kill(os.getpid(), 40), "signal 40"),
        (lambda: os.closerange(3, 200), "SIGKILL"),
    ],
)
async def test_a_process_that_dies_is_told_from_a_task_that_fails(bench, end, reason):
    def work(data, store, signal, context):
        end()
        threading.Event().wait()

    slot = await bench.slot()

    with pytest.raises(SlotDied, match=reason):
        await bench.run(work, on=slot)

    assert not slot.alive
    with pytest.raises(SlotDied, match=reason):
        await bench.run(work, on=slot)


async def test_a_process_that_was_killed_before_its_task_is_no_use(bench):
    slot = await bench.slot()

    slot.process.send_signal(signal.SIGKILL)

    with pytest.raises(SlotDied):
        await bench.run(lambda data, store, signal, context: None, on=slot)


async def test_death_is_seen_although_a_forked_child_holds_the_pipe(bench):
    """As when the kernel kills the largest process for want of memory, and leaves its pool of workers."""

    def work(data, store, signal, context):
        child = os.fork()
        if child:
            print(child, flush=True)
            os._exit(9)
        os.setsid()  # out of reach of its group's signals, and with the pipe in its hands
        threading.Event().wait()

    with pytest.raises(SlotDied, match="exit code 9"):
        await bench.run(work)

    os.kill(int(bench.text()[0]), signal.SIGKILL)


async def test_what_a_task_has_started_dies_with_its_process(bench):
    def work(data, store, signal, context):
        import subprocess

        print(subprocess.Popen(["sleep", "3600"]).pid, flush=True)
        os._exit(1)

    with pytest.raises(SlotDied):
        await bench.run(work)

    await ended(int(bench.text()[0]))


async def test_an_outcome_that_was_sent_counts_although_the_process_died_right_after(bench):
    def work(data, store, signal, context):
        from nflow.slot.pipe import Pipe

        send = Pipe.send

        def last_words(pipe, kind, *parts, **options):
            sent = send(pipe, kind, *parts, **options)
            if kind == "done":
                os._exit(1)
            return sent

        Pipe.send = last_words

    slot = await bench.slot()

    assert isinstance(await bench.run(work, on=slot), TaskSucceeded)
    assert (await slot.end()).exit_code == 1


async def test_noise_on_stdout_is_output_and_nothing_else(bench):
    def work(data, store, signal, context):
        os.write(1, b"\x00\xff\x93\xa4done\xc0" * 1000 + b"\n")
        os.write(2, bytes(range(256)) * 10)

    assert isinstance(await bench.run(work), TaskSucceeded)
    assert "done" in bench.text()[0]


async def test_what_was_printed_before_the_end_is_there_at_the_end(bench):
    def work(data, store, signal, context):
        for number in range(3000):
            print(f"line {number}")
        print("no end of line", end="")

    await bench.run(work)

    assert bench.text() == [*(f"line {number}" for number in range(3000)), "no end of line"]


async def test_a_log_record_of_any_length_is_no_trouble(bench):
    def work(data, store, signal, context):
        import logging

        logging.getLogger("user").warning("x" * 3_000_000)

    assert isinstance(await bench.run(work), TaskSucceeded)
    assert [line.logger for line in bench.lines if line.stream == "log"] == ["user"]


async def test_a_huge_message_of_an_error_is_cut(bench):
    def work(data, store, signal, context):
        raise ValueError("x" * 5_000_000)

    failed = await bench.run(work)

    assert len(failed.error.message) < 10_000
    assert len(failed.error.traceback) < 20_000


async def test_an_error_that_cannot_be_told_is_still_a_failure(bench):
    def work(data, store, signal, context):
        class Mute(Exception):
            def __str__(self):
                raise RuntimeError("no words")

        raise Mute

    failed = await bench.run(work)

    assert isinstance(failed, TaskFailed)
    assert failed.error.type == "Mute"


async def test_a_call_is_answered_with_its_value_or_its_error(bench):
    async def call(name, arguments):
        if name == "store_get":
            raise StorageFull("no room")

    def work(data, store, signal, context):
        try:
            store.get("number")
        except NflowError as error:
            print(type(error).__name__, error)

    await bench.run(work, call=call)

    assert bench.text() == ["StorageFull no room"]


async def test_a_call_that_breaks_in_the_worker_is_answered_too(bench, caplog):
    async def call(name, arguments):
        raise ExceptionGroup("several", [ValueError("odd")])

    failed = await bench.run(lambda data, store, signal, context: store.get("number"), call=call)

    assert isinstance(failed, TaskFailed)
    assert "store_get" in failed.error.message
    assert "what a task asked for failed" in caplog.text


async def test_an_answer_that_fits_into_no_frame_is_an_error_for_the_task(bench, caplog):
    async def call(name, arguments):
        return object()

    failed = await bench.run(lambda data, store, signal, context: store.get("number"), call=call)

    assert isinstance(failed, TaskFailed)


async def test_threads_of_a_task_call_and_log_at_once(bench):
    calls: list[int] = []

    async def call(name, arguments):
        calls.append(len(arguments[1][0][1]))

    def work(data, store, signal, context):
        import logging
        from concurrent.futures import ThreadPoolExecutor

        def one(number):
            logging.getLogger("t").warning("w%d %s", number, "y" * 100_000)
            store.set(f"key{number}", "x" * 300_000)

        with ThreadPoolExecutor(8) as threads:
            list(threads.map(one, range(40)))

    outcome = await bench.run(work, call=_blobs(call))

    assert isinstance(outcome, TaskSucceeded), outcome
    assert len(bench.text("log")) == 40


def _blobs(call):
    from nflow.core.dataset import BLOB, Ref
    from nflow.wire.digest import DIGEST_LENGTH
    from nflow.wire.tree import pack_ref

    async def answer(name, arguments):
        if name == "put_blob":
            type_, size_bytes, channel = arguments
            await channel.receive(size_bytes + DIGEST_LENGTH)
            return pack_ref(Ref(scheme=BLOB, where="b", size_bytes=size_bytes, digest="", type=type_))
        return await call(name, arguments)

    return answer


async def test_a_process_whose_task_left_a_calling_thread_takes_no_other(bench):
    """The thread would take the next task's request for the answer that it waits for."""

    async def never(name, arguments):
        slot.flag_stop()  # the task may end now
        await asyncio.Event().wait()

    def work(data, store, signal, context):
        import threading

        threading.Thread(target=store.get, args=["number"], daemon=True).start()
        while not signal.is_stopped:
            pass

    slot = await bench.slot()

    await bench.run(work, on=slot, call=never)

    assert not slot.alive
    assert (await slot.end()).exit_code == -signal.SIGKILL


async def test_a_process_whose_task_left_a_thread_takes_no_other(bench):
    """It would print among what the next task prints."""
    slot = await bench.slot()

    def leave(data, store, signal, context):
        import threading

        threading.Thread(target=threading.Event().wait).start()

    event = await bench.run(leave, on=slot)

    assert isinstance(event, TaskSucceeded)
    assert not slot.alive


async def test_threads_that_were_joined_and_daemons_cost_no_process(bench):
    slot = await bench.slot()

    def join(data, store, signal, context):
        import threading

        threading.Thread(target=threading.Event().wait, daemon=True).start()
        joined = threading.Thread(target=print)
        joined.start()
        joined.join()

    await bench.run(join, on=slot)

    assert slot.alive


async def test_a_thread_that_outlives_its_task_cannot_speak_for_the_next_one(bench):
    calls: list[str] = []

    async def call(name, arguments):
        calls.append(arguments[1][0][0])

    def first(data, store, signal, context):
        import builtins
        import threading

        def late():
            go.wait()
            try:
                store.set("late", 1)
            except NflowError as error:
                print(f"refused: {error}", flush=True)
            done.set()

        builtins.go, builtins.done = go, done = threading.Event(), threading.Event()
        threading.Thread(target=late, daemon=True).start()

    def second(data, store, signal, context):
        import builtins

        builtins.go.set()
        builtins.done.wait()
        store.set("second", 1)

    slot = await bench.slot()

    await bench.run(first, on=slot, call=call)
    await bench.run(second, on=slot, call=call)

    assert calls == ["second"]
    assert bench.text()[0].startswith("refused: The task is over")


async def test_a_forked_process_cannot_use_the_pipe_of_its_task(bench):
    calls: list[str] = []

    async def call(name, arguments):
        calls.append(arguments[1][0][0])

    def work(data, store, signal, context):
        import logging
        import sys

        child = os.fork()
        if not child:
            try:
                logging.getLogger("forked").warning("logged in a fork")
                store.set("from the fork", 1)
            except NflowError as error:
                print(error)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(0)
        os.waitpid(child, 0)
        store.set("from the task", 1)

    assert isinstance(await bench.run(work, call=call), TaskSucceeded)

    assert calls == ["from the task"]
    assert "forked" in bench.text()[0]
    assert bench.text("err") == ["WARNING forked: logged in a fork"]


async def test_a_forked_process_that_comes_back_from_its_task_does_not_speak_for_it(bench):
    def work(data, store, signal, context):
        if not os.fork():
            return
        os.wait()
        print("the parent")

    slot = await bench.slot()

    assert isinstance(await bench.run(work, on=slot), TaskSucceeded)
    assert isinstance(await bench.run(lambda data, store, signal, context: print("the next"), on=slot), TaskSucceeded)
    assert bench.text() == ["the parent", "the next"]


async def test_attributes_of_classes_are_fresh_for_each_task(bench):
    class Cache:
        hits = 0

    def work(data, store, signal, context):
        Cache.hits += 1
        print(Cache.hits)

    slot = await bench.slot()
    await bench.run(work, on=slot)
    await bench.run(work, on=slot)

    assert bench.text() == ["1", "1"]


async def test_neighbours_of_two_workflows_are_not_mistaken_for_each_other(bench, tmp_path):
    def work(data, store, signal, context):
        import colorsys

        import helpers
        import helpers.deep

        print(helpers.WHO, helpers.deep.WHO, hasattr(colorsys, "rgb_to_hls"))

    slot = await bench.slot()
    for name in ("one", "two", "one"):
        package = tmp_path / name / "helpers"
        package.mkdir(parents=True, exist_ok=True)
        (package / "__init__.py").write_text(f"WHO = {name!r}")
        (package / "deep.py").write_text(f"WHO = {name!r}")
        (tmp_path / name / "colorsys.py").touch()
        assert isinstance(await bench.run(work, on=slot, folder=str(tmp_path / name)), TaskSucceeded)

    assert bench.text() == ["one one True", "two two True", "one one True"]


async def test_a_neighbour_comes_before_an_installed_module(bench, tmp_path):
    def work(data, store, signal, context):
        import hypothesis

        print(hypothesis.WHO)

    (tmp_path / "hypothesis.py").write_text("WHO = 'a neighbour'")

    assert isinstance(await bench.run(work, folder=str(tmp_path)), TaskSucceeded)
    assert bench.text() == ["a neighbour"]


@pytest.mark.parametrize("wrong", [["sub:1"], b"sub:1", 5])
async def test_what_is_no_name_of_a_dag_is_refused_before_it_is_written_down(bench, wrong):
    def work(data, store, signal, context):
        for call in (signal.stop_dag, signal.is_completed, signal.start_dag):
            try:
                call(wrong)
            except TypeError as error:
                print(error)

    assert isinstance(await bench.run(work), TaskSucceeded)
    assert bench.text() == [f"Give the name of a dag, as text such as 'sub_dag' or 'sub_dag:1', not {wrong!r}."] * 3


async def test_a_stop_that_comes_before_the_task_runs_is_seen_by_it(bench):
    slot = await bench.slot()

    slot.flag_stop()
    first = await bench.run(lambda data, store, signal, context: print(signal.is_stopped), on=slot)
    second = await bench.run(lambda data, store, signal, context: print(signal.is_stopped), on=slot)

    assert isinstance(first, TaskSucceeded)
    assert isinstance(second, TaskSucceeded)
    assert bench.text() == ["True", "False"]


async def test_a_task_can_wait_for_its_stop_beside_other_things(bench):
    def work(data, store, signal, context):
        print("begun", flush=True)
        readable, _, _ = select.select([signal], [], [], 20)
        print(readable == [signal], signal.is_stopped)

    slot = await bench.slot()
    running = asyncio.ensure_future(bench.run(work, on=slot))
    await bench.printed.wait()

    slot.flag_stop()

    assert isinstance(await running, TaskSucceeded)
    assert bench.text() == ["begun", "True True"]


async def test_a_stop_reaches_a_running_task(bench):
    def work(data, store, signal, context):
        print("begun", flush=True)
        while not signal.is_stopped:
            pass

    slot = await bench.slot()
    running = asyncio.ensure_future(bench.run(work, on=slot))
    await bench.printed.wait()

    slot.flag_stop()

    assert isinstance(await running, TaskSucceeded)


async def test_a_task_that_nobody_waits_for_any_more_is_ended(bench):
    def work(data, store, signal, context):
        print("begun", flush=True)
        threading.Event().wait()

    slot = await bench.slot()
    running = asyncio.ensure_future(bench.run(work, on=slot))
    await bench.printed.wait()

    running.cancel()

    assert (await slot.end()).exit_code == -signal.SIGKILL
    assert not slot.alive


async def test_a_process_that_cannot_be_started_leaves_nothing_behind():
    before = open_files()

    with pytest.raises(ValueError, match="null"):
        spawn({"A": "\0"})

    assert open_files() <= before


@pytest.mark.parametrize("times", [15, pytest.param(1000, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
async def test_slots_leave_no_open_files_and_no_processes(bench, times):
    await bench.run(lambda data, store, signal, context: None)
    await bench.close()
    before = open_files()

    for number in range(times):
        slot = await bench.slot()
        await bench.run(lambda data, store, signal, context: print("x"), on=slot)
        (slot.kill if number % 2 else slot.process.kill)()
        await slot.end()
        bench.slots.clear()

    del slot
    assert open_files() <= before


# --- SIGTERM ---------------------------------------------------------------------------------------------------------


def waits(data, store, signal, context):
    try:
        print("waiting", flush=True)
        threading.Event().wait()
    except Exception:  # noqa: BLE001 - as users write it
        print("an error")
    finally:
        print("cleaning up")


def tells(status, data, store, signal, context):
    print(status.name)


@pytest.mark.parametrize(("is_stopped", "status"), [(True, "Stopped"), (False, "Error")])
async def test_a_task_that_is_to_end_has_time_to_clean_up(bench, is_stopped, status):
    slot = await bench.slot()
    running = asyncio.ensure_future(bench.run(waits, on=slot, callback_finally=tells))
    await bench.printed.wait()
    if is_stopped:
        slot.flag_stop()

    slot.signal_group(signal.SIGTERM)

    failed = await running
    assert isinstance(failed, TaskFailed)
    assert failed.error.type == "Terminated"
    assert bench.text() == ["waiting", "cleaning up", status]


async def test_a_task_that_cleans_up_is_not_interrupted_again(bench):
    def work(data, store, told, context):
        try:
            print("waiting", flush=True)
            threading.Event().wait()
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            print("cleaned up")

    slot = await bench.slot()
    running = asyncio.ensure_future(bench.run(work, on=slot))
    await bench.printed.wait()

    slot.signal_group(signal.SIGTERM)

    assert (await running).error.type == "Terminated"
    assert bench.text() == ["waiting", "cleaned up"]


async def test_a_slot_without_a_task_ends_at_once(bench):
    slot = await bench.slot()
    await bench.run(lambda data, store, told, context: signal.signal(signal.SIGTERM, signal.SIG_IGN), on=slot)

    slot.signal_group(signal.SIGTERM)

    assert (await slot.end()).exit_code == -signal.SIGTERM


async def test_a_slot_may_use_so_much_memory(bench):
    slot = await bench.slot(memory=256 * 1024**2)

    failed = await bench.run(lambda data, store, told, context: bytearray(512 * 1024**2), on=slot)

    assert (failed.error.type, failed.error.hint) == (
        "MemoryError",
        "A slot of this worker may use 256 MiB: worker.slot_memory.",
    )


async def test_a_slot_knows_the_end_of_what_its_task_wrote_and_what_it_holds(bench):
    def work(data, store, told, context):
        for number in range(100):
            print(number)

    slot = await bench.slot()

    await bench.run(work, on=slot)

    assert slot.last_lines == tuple(map(str, range(50, 100)))
    assert slot.memory_bytes > 10_000_000


# --- what leaves the process group -----------------------------------------------------------------------------------


def leaves_a_stray(data, store, signal, context):
    import subprocess

    script = "echo $$; while :; do sleep 3600; done"
    program = subprocess.Popen(["/bin/sh", "-c", script], start_new_session=True, stdout=subprocess.PIPE, text=True)
    print(program.stdout.readline(), flush=True)


async def test_what_has_left_the_group_of_its_task_is_found_by_its_execution(bench):
    slot = await bench.slot()
    await bench.run(leaves_a_stray, on=slot)
    stray = int(bench.text()[0])
    slot.kill()
    await slot.end()

    end_strays("run/main:1/work/1/2")
    is_found_by_another = not lives(stray)
    end_strays("run/main:1/work/1/1")

    assert not is_found_by_another
    await ended(stray)


def lives(pid: int) -> bool:
    return b"while" in Path("/proc", str(pid), "cmdline").read_bytes()
