"""Six tasks in a row, which outlive the death of their slots; the last looks whether all came before it."""

from itertools import pairwise

from ledger import noted, step

from nflow.models import Dag, Retry
from nflow.tasks import PythonTask

NAMES = ["one", "two", "three", "four", "five"]


def judge(data, store, signal, context):
    with noted(context):
        if data["path"] != NAMES:
            raise RuntimeError(f"the path was {data['path']}")


tasks = [*(PythonTask(name, step) for name in NAMES), PythonTask("judge", judge)]

main = Dag("main", retry=Retry(attempts=5, pause=0.1))
main.define(dict(pairwise(tasks)))
