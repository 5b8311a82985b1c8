"""A task that never looks whether it is to stop; told so, it does not even end when it is asked to."""

import signal as signals

from gates import begin

from nflow.models import Dag, Option, Parameters
from nflow.tasks import PythonTask

parameters = Parameters(
    [
        Option("folder", help="Where the ledger and the gate are."),
        Option("deaf", default=False, type=bool, help="Ignore SIGTERM too."),
    ]
)


def work(data, store, signal, context):
    if store.get("deaf"):
        signals.signal(signals.SIGTERM, signals.SIG_IGN)
    begin(store, context)


def clean_up(data, store, signal, context):
    begin(store, context)


stubborn, after = PythonTask("stubborn", work), PythonTask("after", clean_up)

main = Dag("main")
main.define({stubborn: after})
