"""A task that writes all kinds of things."""

import logging
import sys

from nflow.models import Dag, Option, Parameters
from nflow.tasks import PythonTask

parameters = Parameters([Option("lines", default=0, type=int)])


def speak(data, store, signal, context):
    print("x" * 5000)
    print("ünïcødé 日本語 😀")
    print("[bold]no markup[/bold] :smile:")
    print("\x1b[31mred\x1b[0m and a tab\there")
    for number in range(store.get("lines")):
        print("line", number)
    sys.stdout.flush()
    print("to stderr", file=sys.stderr)
    logging.getLogger("mine").warning("a warning")
    print("no end of line", end="")


first = PythonTask(name="first", callback=speak)

dag = Dag("main")
dag.define({first: None})
