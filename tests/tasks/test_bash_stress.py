"""Programs that write much, do not want to end, or have many children: no hang, no orphan, no line lost."""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from nflow.errors import ProgramTimedOut
from nflow.models import StopTask
from nflow.programs import ending, program
from nflow.programs.program import death_by_thread
from nflow.programs.streams import Output
from nflow.tasks import BashTask

from .stage import Witness

MB = 1_000_000

#: Each generation ignores SIGTERM, and the third has left the process group; the last line says that all are there.
THREE_GENERATIONS = """
trap '' TERM
exec 9>{path}
sh -c "setsid sh -c 'echo there; sleep 1000; sleep 1000' & sleep 1000; sleep 1000" &
sleep 1000
sleep 1000
"""

#: A daemon has left the process group, and its parent is gone.
DAEMON = """
exec 9>{path}
(setsid sh -c "trap '' TERM; echo there; sleep 1000; sleep 1000" &)
sleep 1000
"""


@pytest.fixture
def witness(tmp_path) -> Iterator[Witness]:
    witness = Witness(tmp_path)
    yield witness
    witness.close()


@pytest.fixture
def short_grace(monkeypatch):
    monkeypatch.setattr(ending, "GRACE", 0.3)


def test_a_program_that_has_to_end_does_not_go_on_for_all_the_lines_that_it_has_written(stage, monkeypatch):
    monkeypatch.setattr(program, "LAST_LINES", 0.2)
    counter = Counter()

    def take_long(line, *_):
        counter(line)
        sum(range(200_000))

    with pytest.raises(ProgramTimedOut):
        stage.run(BashTask("work", "yes", timeout=0.2, callback_stdout=take_long))

    assert 0 < counter.lines < 10_000, "a single chunk has more lines than that"


class Counter:
    def __init__(self):
        self.lines = self.bytes = 0

    def __call__(self, line, *_):
        self.lines += 1
        self.bytes += len(line)


def writing(size, *, to="1"):
    return f"yes {'x' * 99} | head -c {size} >&{to}"


@pytest.mark.parametrize("size", [10 * MB, pytest.param(100 * MB, marks=pytest.mark.slow)])
def test_much_output_on_both_streams_at_once_is_all_read(stage, size):
    out, err = Counter(), Counter()
    script = f"{writing(size, to='2')} & {writing(size)}; wait"

    stage.run(BashTask("work", script, callback_stdout=out, callback_stderr=err))

    assert (out.lines, out.bytes) == (err.lines, err.bytes) == (size / 100, size)


def test_one_stream_may_fill_while_the_other_is_silent(stage):
    err = Counter()

    stage.run(BashTask("work", f"{writing(MB, to='2')}; echo done", callback_stdout=stage.out, callback_stderr=err))

    assert stage.lines == ["done\n"]
    assert err.bytes == MB


def test_ten_megabytes_go_in_and_come_out(stage):
    given = bytes(range(256)) * (10 * MB // 256)
    task = BashTask("work", "cat", stdin=given, capture_stdout=True, callback_end=stage.end)

    stage.run(task)

    assert stage.ends == [(0, given, None)]


def test_a_line_of_ten_megabytes_is_one_line(stage):
    stage.run(BashTask("work", f"head -c {10 * MB} /dev/zero; echo", callback_stdout=stage.out))

    assert [len(line) for line in stage.lines] == [10 * MB + 1]


def test_lines_that_a_callback_takes_slowly_are_not_lost_by_a_stop(stage):
    def slowly(line, data, store, sign, context):
        stage.stop_at_a_line(line, data, store, sign, context)
        deadline = time.monotonic() + 0.001
        while time.monotonic() < deadline:
            pass

    stage.run(BashTask("work", "seq 200; exec sleep 1000", callback_stdout=slowly, callback_end=stage.end))

    assert stage.lines == [f"{number}\n" for number in range(1, 201)]
    assert stage.ends == [(-15, None, None)]


def test_stoptask_in_a_line_callback_ends_a_program_that_never_stops_writing(stage, witness):
    def refuse(*_):
        raise StopTask("seen enough")

    with pytest.raises(StopTask, match="seen enough"):
        stage.run(BashTask("work", f"exec 9>{witness.path}; yes", callback_stdout=refuse))

    assert witness.all_are_gone()


@pytest.mark.parametrize("callback", ["callback_process", "callback_stdout", "callback_stderr"])
def test_a_stop_that_comes_during_a_callback_ends_the_program_and_all_its_children(stage, witness, callback):
    script = f"exec 9>{witness.path}; sleep 1000 & echo x; echo x >&2; sleep 1000"
    stop = {callback: lambda *_: None if stage.sign.is_stopped else stage.sign.set()}

    stage.run(BashTask("work", script, callback_end=stage.end, **stop))

    assert witness.all_are_gone()
    assert stage.ends == [(-15, None, None)]


def test_a_stop_that_comes_during_callback_end_changes_nothing(stage):
    stage.run(BashTask("work", "true", callback_end=lambda *_: stage.sign.set()))

    assert stage.sign.is_stopped


@pytest.mark.parametrize("script", [THREE_GENERATIONS, DAEMON])
@pytest.mark.usefixtures("short_grace")
def test_a_stop_ends_those_too_who_ignore_it_or_have_left_the_group(stage, witness, script):
    task = BashTask(
        "work", script.format(path=witness.path), callback_stdout=stage.stop_at_a_line, callback_end=stage.end
    )

    stage.run(task)

    assert witness.all_are_gone()
    assert stage.lines == ["there\n"]
    assert len(stage.ends) == 1


@pytest.mark.usefixtures("short_grace")
def test_a_timeout_ends_those_too_who_ignore_it(stage, witness):
    task = BashTask("work", THREE_GENERATIONS.format(path=witness.path), timeout=0.2, callback_stdout=stage.out)

    with pytest.raises(ProgramTimedOut):
        stage.run(task)

    assert witness.all_are_gone()


@pytest.mark.usefixtures("short_grace")
def test_an_exception_ends_those_too_who_ignore_it(stage, witness):
    def refuse(*_):
        raise KeyError("x")

    with pytest.raises(KeyError):
        stage.run(BashTask("work", THREE_GENERATIONS.format(path=witness.path), callback_stdout=refuse))

    assert witness.all_are_gone()


def test_a_child_that_tidies_up_is_given_the_time_though_its_shell_is_gone(stage, tmp_path):
    script = """
    mkfifo f
    sh -c "exec 7<f; trap 'cat <&7; echo tidy; exit' TERM; echo there; sleep 1000 & wait" &
    exec 8>f  # `cat` ends when this shell has
    wait
    """

    stage.run(BashTask("work", script, cwd=tmp_path, callback_stdout=stage.stop_at_a_line, callback_end=stage.end))

    assert stage.lines == ["there\n", "tidy\n"]
    assert stage.ends == [(-15, None, None)]


def test_a_stop_ends_what_was_left_in_the_background_and_still_holds_a_stream(stage, witness, tmp_path):
    script = f"exec 9>{witness.path}; mkfifo f; (cat f; echo late; sleep 1000) & exec 8>f; echo early"

    def stop_when_late(line, data, store, sign, context):
        stage.lines.append(line)
        if line == "late\n":
            sign.set()

    stage.run(BashTask("work", script, cwd=tmp_path, callback_stdout=stop_when_late, callback_end=stage.end))

    assert witness.all_are_gone()
    assert stage.lines == ["early\n", "late\n"]
    assert stage.ends == [(0, None, None)]


#: It has left its group and closed all files but its streams, and its parent is gone: nobody can know of it.
STRANGER = """
import os, sys

parent_is_gone, parent = os.pipe()
if os.fork():
    os._exit(0)
os.close(parent)
os.read(parent_is_gone, 1)
os.setsid()
os.closerange(3, 1000)
print("there", flush=True)
print("last words", flush=True)
open(sys.argv[1]).read()
"""


def test_a_stranger_who_holds_a_stream_does_not_hold_up_a_stop(stage, tmp_path):
    leash = tmp_path / "leash"
    os.mkfifo(leash)
    holder = os.open(leash, os.O_RDWR)
    script = f'{sys.executable} -c "$STRANGER" {leash}; exec sleep 1000'
    task = BashTask(
        "work",
        script,
        env_update={"STRANGER": STRANGER},
        callback_stdout=stage.stop_at_a_line,
        callback_end=stage.end,
    )

    stage.run(task)

    assert stage.lines[0] == "there\n"
    assert len(stage.ends) == 1
    os.close(holder)


def test_what_is_still_in_a_pipe_is_read_though_somebody_holds_it_open():
    read_end, write_end = os.pipe()
    lines = []
    output = Output(os.fdopen(read_end, "rb", buffering=0), each_line=lines.append)
    os.write(write_end, b"a\nb\nc")

    output.read_rest()
    output.hand_out()

    assert lines == ["a\n", "b\n", "c"]
    assert not output.is_open
    os.close(write_end)


def test_nothing_more_is_read_while_lines_wait_to_be_handed_out():
    read_end, write_end = os.pipe()
    output = Output(os.fdopen(read_end, "rb", buffering=0), each_line=lambda line: None)

    os.write(write_end, b"a\n")
    first = output.read()
    os.write(write_end, b"bc\n")
    waiting = output.read()
    output.hand_out()
    second = output.read()

    assert (first, waiting, second) == (2, 0, 3)
    output.close()
    os.close(write_end)


def test_what_is_given_reaches_those_too_whom_the_program_leaves_in_the_background(stage, tmp_path):
    given = b"x" * MB
    script = "exec 7<&0; mkfifo f; (cat f; exec wc -c) <&7 & exec 8>f"  # the inner `cat` ends when the shell has

    stage.run(BashTask("work", script, cwd=tmp_path, stdin=given, callback_stdout=stage.out))

    assert [int(line) for line in stage.lines] == [MB]


# A process in the role of the slot

SLOT = """
import os, sys

import nflow.programs.lifeline

if sys.argv[2:] == ["as elsewhere"]:
    del os.pidfd_open
    nflow.programs.lifeline.HAS_LIFELINES = False

from nflow.models import MultiTaskData, TaskData
from nflow.tasks import BashTask

class Sign:
    is_stopped = False

def heard(line, *_):
    print(line, end="", flush=True)
    Sign.is_stopped = line == "stop\\n"

task = BashTask("work", sys.argv[1], callback_stdout=heard if "stop" in sys.argv[1] else None)
task.run(MultiTaskData(dataset=TaskData(), aliases=["x"]), None, Sign(), None)
print("ended", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def slot():
    started = []

    def start(script, *options):
        process = subprocess.Popen(
            [sys.executable, "-c", SLOT, script, *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()  # not read to its end: a program that outlives the slot holds it


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux kills it")
def test_a_slot_that_is_killed_takes_its_program_along(slot, witness):
    process = slot(f"exec 9>{witness.path}; trap '' TERM; sleep 1000 & echo there; sleep 1000")
    assert process.stdout.readline() == "there\n"

    os.killpg(process.pid, signal.SIGKILL)

    assert witness.all_are_gone()


def test_what_a_program_has_left_in_the_background_outlives_the_slot(slot, tmp_path):
    question, answer = tmp_path / "question", tmp_path / "answer"
    os.mkfifo(question)
    os.mkfifo(answer)
    process = slot(f"(read x <{question}; echo heard $x >{answer}) >&- 2>&- &")
    assert process.stdout.readline() == "ended\n"

    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    reader = os.open(answer, os.O_RDONLY | os.O_NONBLOCK)
    question.write_text("you\n")
    poll = select.poll()
    poll.register(reader, select.POLLIN)

    assert poll.poll(10_000)
    assert os.read(reader, 100) == b"heard you\n"
    os.close(reader)


def test_a_program_is_stopped_on_other_systems_than_linux_too(slot, witness):
    process = slot(f"exec 9>{witness.path}; echo stop; exec sleep 1000", "as elsewhere")

    assert process.stdout.readline() == "stop\n"
    assert process.stdout.readline() == "ended\n"
    assert witness.all_are_gone()


def test_where_the_system_cannot_tell_of_a_death_a_thread_does():
    process = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    death = death_by_thread(process)

    process.stdin.close()

    assert os.read(death, 1) == b""
    assert process.returncode == 0
    os.close(death)
