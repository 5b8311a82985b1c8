"""Who did what and when, as tasks read it from the meta section."""

import pytest

from nflow.core.dataset import Ref
from nflow.core.events import DagFinished, Provenance, RunStarted, Status, TaskStarted, TaskSucceeded
from nflow.core.ids import DagId, RunId, TaskId
from nflow.core.jobs import TaskJob
from nflow.core.spec import DagSpec, TaskSpec, WorkflowSpec
from nflow.engine.provenance import provenance_of
from nflow.engine.runs import RunEntry
from nflow.wire.messages import pack_events, pack_spec
from nflow.wire.values import decode

RUN, DAG, TASK = RunId("r"), DagId("main:1"), TaskId("a")
JOB = TaskJob(run=RUN, workflow="scan", dag=DAG, task=TASK, name="a", attempt=1, queue="q", code="c")


@pytest.fixture
async def told(engine, bus):
    """A run that has been through one task, and how to ask for what is known of it."""
    subjects = engine.subjects
    provenance = Provenance(worker="w1", host="node", pid=42, start=1.0, end=2.0, peak_memory_bytes=7)
    dag = DagSpec(name="main", tasks=(TaskSpec(id=TASK, name="a", code="c", queue="gpu"),))
    spec = await engine.blobs.put_code(
        pack_spec(WorkflowSpec(name="scan", dags={"main": dag}, python="py", engine="0"))
    )
    await engine.index.put(RunEntry(run=RUN, workflow="scan", state="running", queue="urgent", submitted=0.5))
    await bus.append(subjects.own(RUN), pack_events([RunStarted(workflow="scan", spec=spec, engine="0")]))
    await bus.append(
        subjects.task(RUN, DAG, TASK),
        pack_events([TaskStarted(task="a", attempt=1, execution=1, worker="w1", host="n")]),
    )
    await bus.append(
        subjects.task(RUN, DAG, TASK),
        pack_events([TaskSucceeded(task="a", attempt=1, execution=1, provenance=provenance)]),
    )
    await bus.append(subjects.dag_finished(RUN, DAG), pack_events([DagFinished(dag=DAG, status=Status.SUCCEEDED)]))

    async def ask(key):
        found = await provenance_of(engine, JOB, key)
        return decode(found.where) if isinstance(found, Ref) else found

    return ask


async def test_a_task_finds_who_did_its_work(told):
    assert await told("log.main:1.tasks.a.worker") == "w1"
    assert await told("log.main:1.tasks.a.host") == "node"
    assert await told("log.main:1.tasks.a.pid") == 42
    assert await told("log.main:1.tasks.a.peak_memory") == 7
    assert await told("log.main:1.tasks.a.duration") >= 0.0


async def test_a_run_has_a_name_and_a_start_and_its_dags_an_end(told):
    assert await told("name") == "scan"
    assert (await told("start_time")) <= (await told("log.main:1.end_time"))


async def test_a_run_and_a_task_tell_the_queue_they_waited_in(told):
    assert await told("queue") == "urgent"
    assert await told("log.main:1.tasks.a.queue") == "gpu"


async def test_what_is_not_known_is_none(told):
    assert await told("log.other:1.tasks") is None
    assert await told("nix") is None


async def test_what_the_log_tells_is_known_when_the_spec_is_gone(told, engine, bus):
    await bus.purge(engine.subjects.codes())

    assert await told("log.main:1.tasks.a.worker") == "w1"
    assert await told("log.main:1.tasks.a.queue") is None
