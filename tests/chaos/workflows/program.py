"""A program with children and grandchildren."""

from ledger import note

from nflow.models import Dag, Retry
from nflow.tasks import BashTask


def begin(data, store, signal, context):
    note("start", context)


def end(status, data, store, signal, context):
    if status == 1:
        note("end", context)


main = Dag("main", retry=Retry(attempts=5, pause=0.1))
main.define(
    {
        BashTask(
            "family",
            "sleep 0.7 & sh -c 'sleep 0.5 & sleep 0.6; wait' & wait",
            check=True,
            callback_init=begin,
            callback_finally=end,
        ): None
    }
)
