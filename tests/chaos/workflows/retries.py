"""A task that fails twice and then succeeds."""

from ledger import NotYet, noted, step

from nflow.models import Dag, Retry
from nflow.tasks import PythonTask


def hesitate(data, store, signal, context):
    with noted(context):
        store.increment("tries")
        if store.get("tries") < 3:
            raise NotYet("once more")


main = Dag("main", retry=Retry(attempts=8, pause=0.2, factor=1.5))
main.define({PythonTask("hesitate", hesitate): PythonTask("after", step)})
