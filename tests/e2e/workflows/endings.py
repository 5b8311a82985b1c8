"""A task that ends badly, in one of many ways."""

import os
import signal as signals
import sys
import threading

from gates import begin

from nflow.models import Dag, Option, Parameters
from nflow.tasks import PythonTask

parameters = Parameters(
    [Option("folder", help="Where the ledger and the gates are."), Option("how", help="In which way it ends.")]
)


def raise_error(data):
    raise ValueError("the beam is down")


def leave_at_once(data):
    os._exit(3)


def leave_a_child_behind(data):
    if os.fork() == 0:
        signals.pause()
    os._exit(3)


def leave_a_program_behind(data):
    os.posix_spawn("/bin/sleep", ["sleep", "infinity"], os.environ)
    os._exit(3)


def be_killed(data):
    os.kill(os.getpid(), signals.SIGKILL)


def sys_exit(data):
    sys.exit("enough")


def return_number(data):
    return 5


def leave_thread(data):
    data["thread"] = threading.Lock()


def exhaust_stack(data):
    return exhaust_stack(data)


WAYS = {
    way.__name__: way
    for way in (
        raise_error,
        leave_at_once,
        leave_a_child_behind,
        leave_a_program_behind,
        be_killed,
        sys_exit,
        return_number,
        leave_thread,
        exhaust_stack,
    )
}


def work(data, store, signal, context):
    begin(store, context)
    return WAYS[store.get("how")](data)


main = Dag("main")
main.define({PythonTask("bad", work): None})
