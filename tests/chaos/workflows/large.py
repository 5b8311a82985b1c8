"""A value of a megabyte, which goes through a task that does not look at it to one that does."""

import hashlib
import random

from ledger import noted, step

from nflow.models import Dag, Retry
from nflow.tasks import PythonTask


def make(data, store, signal, context):
    with noted(context):
        data["image"] = random.randbytes(1 << 20)
        data["digest"] = hashlib.sha256(data["image"]).hexdigest()


def judge(data, store, signal, context):
    with noted(context):
        if hashlib.sha256(data["image"]).hexdigest() != data["digest"]:
            raise RuntimeError("the image has changed on its way")


make, passing, judging = PythonTask("make", make), PythonTask("pass", step), PythonTask("judge", judge)

main = Dag("main", retry=Retry(attempts=5, pause=0.1))
main.define({make: passing, passing: judging})
