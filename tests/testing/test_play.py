"""A workflow played inside a test: what its author can ask of it, and that it leaves nothing behind."""

import asyncio
import logging
import os
import sys
import threading
import types

import numpy as np
import pytest

from nflow.errors import DirectedAcyclicGraphInvalid, NotShippable, WorkflowArgumentError, WorkflowNotFound
from nflow.models import AbortWorkflow, Action, BaseTask, Dag, DataStoreDocumentSection, Retry, StopTask
from nflow.tasks import BashTask, PythonTask
from nflow.testing import Stuck, play

SCAN = """
'''Averages frames.'''
from nflow.models import Dag, Option, Parameters
from nflow.tasks import PythonTask

calls = []


def collect(data, store, signal, context):
    calls.append(context.task_name)
    print("collecting", calls)
    data["frames"] = list(range(store.get("frames")))


def average(data, store, signal, context):
    calls.append(context.task_name)
    print("averaging", calls)
    data["mean"] = sum(data["frames"]) / len(data["frames"])
    store.set("result.mean", data["mean"])


parameters = Parameters([Option("frames", default=3, type=int)])
main = Dag("main")
main.define({PythonTask("collect", collect): PythonTask("average", average)})
"""


@pytest.fixture
def scan(tmp_path):
    path = tmp_path / "scan.py"
    path.write_text(SCAN)
    return path


def dag_of(callback, **kwargs):
    """A dag of one task."""
    dag = Dag("main")
    dag.define({PythonTask("work", callback, **kwargs): None})
    return dag


def test_a_run_tells_outcomes_data_and_store(scan):
    played = play(scan, frames="5")

    assert played.status == "succeeded"
    assert [(task.dag, task.name, task.state) for task in played.tasks] == [
        ("main:1", "collect", "succeeded"),
        ("main:1", "average", "succeeded"),
    ]
    assert played["average"].data == {"frames": [0, 1, 2, 3, 4], "mean": 2.0}
    assert played["main:1/collect"].data == {"frames": [0, 1, 2, 3, 4]}
    assert played.store == {"frames": 5, "result": {"mean": 2.0}}
    assert played.check() is played


def test_nothing_is_printed_and_what_tasks_print_is_told(scan, capsys):
    before = sys.stdout, sys.stderr

    played = play(scan)

    assert capsys.readouterr() == ("", "")
    assert (sys.stdout, sys.stderr) == before
    assert played["collect"].output == "collecting ['collect']\n"


def test_each_task_of_a_file_has_fresh_globals(scan):
    assert play(scan).output == "collecting ['collect']\naveraging ['average']\n"


def test_a_module_is_played_as_it_is_with_what_a_test_has_patched(monkeypatch):
    detector = types.ModuleType("detector_workflow")
    exec(
        SCAN.replace('list(range(store.get("frames")))', "read()").replace("calls = []", "def read(): return []"),
        vars(detector),
    )
    monkeypatch.setitem(sys.modules, "detector_workflow", detector)
    monkeypatch.setattr(detector, "calls", [], raising=False)
    monkeypatch.setattr(detector, "read", lambda: [4, 6])

    assert play(detector)["average"].data["mean"] == 5.0


def test_a_failure_is_told_with_what_was_raised():
    def divide(data, store, signal, context):
        print("so far")
        return 1 / 0

    played = play(dag_of(divide))

    assert played.status == "failed"
    assert played["work"].state == "failed"
    assert played["work"].error.type == "ZeroDivisionError"
    with pytest.raises(AssertionError, match="so far") as complaint:
        played.check()
    assert "return 1 / 0" in str(complaint.value)


def test_skipped_stopped_and_aborted_tasks_are_told():
    def choose(data, store, signal, context):
        return Action(data, limit=["stop"])

    def stop(data, store, signal, context):
        raise StopTask("enough", skip_successors=False)

    def abort(data, store, signal, context):
        raise AbortWorkflow("no beam")

    tasks = [PythonTask(name, callback) for name, callback in [("choose", choose), ("stop", stop), ("abort", abort)]]
    dag = Dag("main")
    dag.define({tasks[0]: [tasks[1], PythonTask("other")], tasks[1]: tasks[2], tasks[2]: PythonTask("after")})

    played = play(dag)

    assert (played.status, played.reason) == ("stopped", "no beam")
    assert {task.name: task.state for task in played.tasks} == {
        "choose": "succeeded",
        "other": "skipped",
        "stop": "succeeded",
        "abort": "aborted",
        "after": "cancelled",
    }
    assert played["stop"].reason == "enough"
    assert played.order == ["choose", "stop", "abort"]


def test_parameters_of_dags_alone_are_found_in_the_store():
    def work(data, store, signal, context):
        data["sample"] = store.get("sample")

    assert play(dag_of(work), sample="B7")["work"].data == {"sample": "B7"}


def test_sub_dags_are_played_and_their_tasks_are_told_apart():
    def start(data, store, signal, context):
        for number in range(3):
            data["number"] = number
            signal.start_dag("sub", data=data)
        data["joined"] = signal.join_dags()

    def double(data, store, signal, context):
        data["image"] = np.full((100, 100), 2 * data["number"])

    main, sub = dag_of(start), Dag("sub", autostart=False)
    sub.define({PythonTask("double", double): None})

    played = play([main, sub])

    assert [task.dag for task in played.of("double")] == ["sub:1", "sub:2", "sub:3"]
    assert played["sub:3/double"].data["image"].mean() == 4
    assert played["work"].data["joined"] is True
    with pytest.raises(KeyError, match="3 tasks are called 'double': sub:1/double"):
        played["double"]


def test_a_wrong_name_of_a_task_is_told_with_a_right_one():
    with pytest.raises(KeyError, match="Did you mean 'work'"):
        play(dag_of(None))["wrok"]


def test_an_hour_of_waiting_takes_no_time():
    def wait(data, store, signal, context):
        data["over"] = signal.join_dags([signal.start_dag("sub")], timeout=3600)
        signal.stop_dag("sub")

    def wait_longer(data, store, signal, context):
        looks = 0
        while not signal.is_stopped:
            looks += 1
        data["looks"] = looks

    main, sub = dag_of(wait), Dag("sub", autostart=False)
    sub.define({PythonTask("wait_longer", wait_longer): None})

    played = play([main, sub])

    assert played["work"].data["over"] is False
    assert played["wait_longer"].data["looks"] > 0


def test_an_hour_between_two_attempts_takes_no_time():
    def measure(data, store, signal, context):
        store.increment("tries")
        print("try", store.get("tries"))
        if store.get("tries") < 3:
            raise ConnectionError("no answer from the detector")

    played = play(dag_of(measure, retry=Retry(attempts=3, pause=3600))).check()

    assert played["work"].attempts == 3
    assert played["work"].output == "try 1\ntry 2\ntry 3\n"


def test_the_last_attempt_tells_how_a_task_failed():
    def measure(data, store, signal, context):
        store.increment("tries")
        raise ConnectionError(f"no answer to question {store.get('tries')}")

    played = play(dag_of(measure, retry=Retry(attempts=2)))

    assert played.status == "failed"
    assert played["work"].error.message == "no answer to question 2"


@pytest.mark.parametrize(
    ("policy", "after", "beside", "status"),
    [
        ("stop_workflow", "cancelled", {"cancelled", "succeeded"}, "failed"),
        ("stop_dag", "cancelled", {"succeeded"}, "failed"),
        ("skip_successors", "skipped", {"succeeded"}, "failed"),
    ],
)
def test_a_failure_spares_whom_its_policy_spares(policy, after, beside, status):
    def fail(data, store, signal, context):
        raise ValueError("no beam")

    main, other = Dag("main"), Dag("other")
    main.define({PythonTask("fail", fail, on_failure=policy): PythonTask("after")})
    other.define({PythonTask("first"): PythonTask("beside")})

    played = play([main, other])

    assert played["after"].state == after
    assert played["beside"].state in beside
    assert played.status == status


def test_tasks_that_wait_for_each_other_are_told_instead_of_waited_for():
    def start(data, store, signal, context):
        signal.join_dags([signal.start_dag("sub")])

    def wait_for_the_first(data, store, signal, context):
        signal.join_dags(["main:1"])

    main, sub = dag_of(start), Dag("sub", autostart=False)
    sub.define({PythonTask("sub", wait_for_the_first): None})

    with pytest.raises(Stuck, match="wait for each other"):
        play([main, sub])


def test_tasks_run_one_at_a_time_and_in_the_same_order_each_time():
    def look(data, store, signal, context):
        store.push("began", context.task_name)
        before = list(store.get("began"))
        data["alone"] = store.get("began") == before

    dag = Dag("main")
    dag.define({PythonTask(f"t{number}", look): None for number in range(20)})

    orders = [play(dag).store["began"] for _ in range(3)]

    assert orders[0] == orders[1] == orders[2]


def test_programs_and_loggers_of_tasks_print_nothing_either(capfd):
    def log(data, store, signal, context):
        logging.getLogger("scan").info("logged")

    dag = Dag("main")
    dag.define({BashTask("list", "echo out; echo err >&2"): PythonTask("log", log)})

    played = play(dag)

    assert capfd.readouterr() == ("", "")
    assert sorted(played["list"].output.splitlines()) == ["err", "out"]


def test_the_meta_section_is_there_and_the_context_too():
    def work(data, store, signal, context):
        data["context"] = context.to_dict()
        data["log"] = store.get(f"log.{context.dag_name}.tasks.work.queue", section=DataStoreDocumentSection.Meta)

    played = play(dag_of(work, queue="gpu"))

    assert played["work"].data["log"] == "gpu"
    assert played["work"].data["context"]["dag_name"] == "main:1"


def test_a_workflow_is_played_from_within_a_running_loop(scan):
    async def main():
        return play(scan)

    assert asyncio.run(main()).status == "succeeded"


def test_a_task_of_a_class_of_ones_own_is_played():
    class Count(BaseTask):
        def __init__(self, name, upto, **options):
            super().__init__(name, **options)
            self.upto = upto

        def run(self, data, store, signal, context, **kwargs):
            data["count"] = self.upto

    dag = Dag("main")
    dag.define({Count("count", 3): None})

    assert play(dag)["count"].data == {"count": 3}


def test_what_a_start_would_refuse_is_refused(scan):
    lock = threading.Lock()
    with pytest.raises(WorkflowArgumentError, match="Did you mean 'frames'"):
        play(scan, frame=3)
    with pytest.raises(NotShippable, match="work"):
        play(dag_of(lambda data, store, signal, context: lock.acquire()))
    with pytest.raises(WorkflowNotFound):
        play(scan.with_name("scna.py"))
    loop = Dag("loop", schema={(a := PythonTask("a")): a})
    with pytest.raises(DirectedAcyclicGraphInvalid):
        play(loop)


def test_nothing_is_left_behind(scan):
    play(scan)
    threads, files, path = threading.active_count(), os.listdir("/proc/self/fd"), sys.path[:]  # noqa: PTH208

    play(scan)

    assert len(os.listdir("/proc/self/fd")) <= len(files) + 1  # noqa: PTH208
    assert threading.active_count() <= threads
    assert sys.path == path


def test_the_fixture_finds_workflows_beside_the_test_and_tells_the_story_of_a_failure(pytester, scan):
    pytester.makepyfile(scan=SCAN)
    pytester.makepyfile(
        """
        def test_it(play):
            assert play("scan", frames=1).status == "failed"
        """
    )

    result = pytester.runpytest("-p", "no:asyncio", *(() if _is_installed() else ("-p", "nflow.fixtures")))

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*Captured nflow call*", "scan succeeded", "*collecting*"])


def _is_installed():
    from importlib.metadata import entry_points

    return any(entry.value == "nflow.fixtures" for entry in entry_points(group="pytest11"))
