"""The workflows that are measured, as their users would write them."""


def chain(steps: int) -> str:
    """Tasks that do nothing, one after the other."""
    return f"""
from nflow.models import Dag
from nflow.tasks import PythonTask


def nothing(data, store, signal, context):
    pass


tasks = [PythonTask(name=f"task_{{n}}", callback=nothing) for n in range({steps})]
dag = Dag("main_dag")
dag.define({{first: second for first, second in zip(tasks, [*tasks[1:], None])}})
"""


def fan_out(width: int) -> str:
    """Tasks that do nothing, all at once, between a first one and one that joins them."""
    return f"""
from nflow.models import Dag
from nflow.tasks import PythonTask


def nothing(data, store, signal, context):
    pass


first = PythonTask(name="first", callback=nothing)
last = PythonTask(name="last", callback=nothing)
tasks = [PythonTask(name=f"task_{{n}}", callback=nothing) for n in range({width})]
dag = Dag("main_dag")
dag.define({{first: tasks, **dict.fromkeys(tasks, last)}})
"""


#: Writes down when its first line ran.
FIRST_LINE = """
import time
from pathlib import Path

from nflow.models import Dag, Option, Parameters
from nflow.tasks import PythonTask

parameters = Parameters([Option("out")])


def note(data, store, signal, context):
    at = time.time()
    Path(store.get("out")).write_text(repr(at))


dag = Dag("main_dag")
dag.define({PythonTask(name="note", callback=note): None})
"""


#: Asks again and again whether it is to stop, and reads a byte of mapped memory as often, in turns.
IS_STOPPED = """
import mmap
import time
from pathlib import Path

from nflow.models import Dag, Option, Parameters
from nflow.tasks import PythonTask

parameters = Parameters([Option("out"), Option("times", type=int)])


def ask(data, store, signal, context):
    times, flag, lines = range(store.get("times")), mmap.mmap(-1, 1), []
    for _ in range(7):
        start = time.perf_counter()
        for _ in times:
            signal.is_stopped
        middle = time.perf_counter()
        for _ in times:
            flag[0]
        end = time.perf_counter()
        lines.append(f"{(middle - start) / len(times)} {(end - middle) / len(times)}")
    Path(store.get("out")).write_text("\\n".join(lines))


dag = Dag("main_dag")
dag.define({PythonTask(name="ask", callback=ask): None})
"""


#: Its first execution says that it runs, and never ends; a second one ends at once.
ENDLESS = """
import socket
from pathlib import Path

from nflow.models import Dag, Option, Parameters
from nflow.tasks import PythonTask

parameters = Parameters([Option("mark")])


def wait_once(data, store, signal, context):
    mark = Path(store.get("mark"))
    if mark.exists():
        return
    mark.touch()
    ours, theirs = socket.socketpair()
    ours.recv(1)  # nobody ever writes


dag = Dag("main_dag")
dag.define({PythonTask(name="wait_once", callback=wait_once): None})
"""


#: One task makes a value, the next one takes it; written down: when the first one ended and the second one began, and
#: the seconds until the second one had the value.
VALUE = """
import time
from pathlib import Path

import numpy as np

from nflow.models import Dag, Option, Parameters
from nflow.tasks import PythonTask

parameters = Parameters([Option("out"), Option("size", type=int)])


def make(data, store, signal, context):
    out = Path(store.get("out"))
    data["value"] = np.arange(store.get("size") // 8)
    data["value"][0] = time.time_ns()  # else a worker may have it at hand from the run before
    out.write_text(f"{time.time()}")


def take(data, store, signal, context):
    at = time.time()
    value = data["value"]
    seconds = time.time() - at
    with Path(store.get("out")).open("a") as out:
        out.write(f" {at} {seconds}")
    assert value[-1] == len(value) - 1


dag = Dag("main_dag")
dag.define({PythonTask(name="make", callback=make): PythonTask(name="take", callback=take)})
"""


#: Prints so many megabytes as fast as its pipe takes them, and writes down how long that took.
FLOOD = """
import os
import time
from pathlib import Path

from nflow.models import Dag, Option, Parameters
from nflow.tasks import PythonTask

parameters = Parameters([Option("out"), Option("megabytes", type=int)])


def flood(data, store, signal, context):
    some = (b"x" * 99 + b"\\n") * 640
    began = time.monotonic()
    for _ in range(store.get("megabytes") * 1_000_000 // len(some)):
        rest = memoryview(some)
        while rest:
            rest = rest[os.write(1, rest):]
    Path(store.get("out")).write_text(repr(time.monotonic() - began))


dag = Dag("main_dag")
dag.define({PythonTask(name="flood", callback=flood): None})
"""

#: Prints what time it is, at a steady pace.
CLOCK = """
import time

from nflow.models import Dag, Option, Parameters
from nflow.tasks import PythonTask

parameters = Parameters([Option("lines", type=int)])


def tell(data, store, signal, context):
    for _ in range(store.get("lines")):
        time.sleep(0.005)
        print(time.time())


dag = Dag("main_dag")
dag.define({PythonTask(name="tell", callback=tell): None})
"""
