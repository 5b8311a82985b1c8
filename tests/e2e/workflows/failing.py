"""A task that fails in each way there is: `how` says in which."""

import ctypes
import itertools
import os
import signal as signals
import subprocess
import sys

from nflow import Dag, Option, Parameters, PythonTask

parameters = Parameters([Option("how"), Option("folder")])


def raises():
    raise ValueError("no beam")


def exits():
    sys.exit(3)


def ends_its_process():
    os._exit(3)


def is_killed():
    os.kill(os.getpid(), signals.SIGKILL)


def crashes():
    ctypes.string_at(0)


def asks_for_too_much():
    bytearray(8 * 1024**3)


def eats_all_there_is():
    blocks = []
    while True:
        blocks.append(bytearray(10_000_000))


def returns_a_number():
    return 5


def loops():
    while True:
        pass


def hangs_in_compiled_code():
    sum(itertools.repeat(1))


def has_stubborn_children():
    script = "trap '' TERM; echo $$; sleep 3600 & echo $!; wait"
    with subprocess.Popen(["/bin/sh", "-c", script]) as program:
        program.wait()


WAYS = {
    way.__name__: way
    for way in (
        raises,
        exits,
        ends_its_process,
        is_killed,
        crashes,
        asks_for_too_much,
        eats_all_there_is,
        returns_a_number,
        loops,
        hangs_in_compiled_code,
        has_stubborn_children,
    )
}


def work(data, store, signal, context):
    for number in range(60):
        print("line", number, flush=True)
    how = store.get("how")
    if how == "hands_on_a_file":
        data["file"] = sys.stdin
        return None
    return WAYS[how]()


def last(status, data, store, signal, context):
    print("finally", status.name)


dag = Dag("main")
dag.define({PythonTask("work", work, callback_finally=last, timeout=2): None})
