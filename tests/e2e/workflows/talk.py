"""A task that prints, complains and logs, and one that has the last word without an end of line."""

import logging
import sys

from gates import begin

from nflow.models import Dag, Option, Parameters
from nflow.tasks import PythonTask

parameters = Parameters(
    [
        Option("folder", help="Where the ledger and the gates are."),
        Option("lines", default=2000, type=int, help="How many lines to write on each stream."),
    ]
)


def talk(data, store, signal, context):
    begin(store, context)
    log = logging.getLogger("station.talk")
    for number in range(store.get("lines")):
        print(f"out {number} ääh")
        print(f"err {number}", file=sys.stderr)
        if number % 10 == 0:
            log.warning("log %d\nits second line", number)
    for _ in range(20):
        log.warning("a long line follows")
        print("x" * 100_000)  # more than a pipe holds


def last_word(data, store, signal, context):
    log = logging.getLogger("station.talk")
    log.warning("about to say the last word")
    sys.stdout.write("the last word")


first, second = PythonTask("talk", talk), PythonTask("last_word", last_word)

main = Dag("main")
main.define({first: second})
