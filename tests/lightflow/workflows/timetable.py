"""What tasks read of the times of their own run."""

from nflow.models import Dag, DataStoreDocumentSection
from nflow.tasks import PythonTask


def work(data, store, signal, context):
    store.set(f"done.{context.task_name}", True)


def read_times(data, store, signal, context):
    key = "log.{}.tasks".format(context.dag_name)  # noqa: UP032 - as it stands in many files
    log = store.get(key=key, section=DataStoreDocumentSection.Meta)
    for name, fields in log.items():
        if name == context.task_name:
            print(name, "still runs", "duration" in fields)
        else:
            print(name, fields["duration"] >= 0, fields["end_time"] >= fields["start_time"], bool(fields["worker"]))
            print("it waited in", fields["queue"])
    print("of", store.get("name", section=DataStoreDocumentSection.Meta), sorted(store.get("done")))


first, second, last = (
    PythonTask("first", work),
    PythonTask("second", work, queue="other"),
    PythonTask("last", read_times),
)

dag = Dag("main_dag")
dag.define({first: second, second: last})
