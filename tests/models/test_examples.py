"""The examples are workflows that load, plan and compute what they say: here played task by task, without an engine."""

from copy import deepcopy
from pathlib import Path

import pytest

from nflow.models import MultiTaskData, TaskContext
from nflow.models.execution import Succeeded, run_task
from nflow.models.plan import plan_workflow
from nflow.models.workflow import load

EXAMPLES = Path(__file__).parents[2] / "examples"


class Store:
    """A store that is a dict of whole keys."""

    def __init__(self):
        self.values = {}

    def get(self, key, default=None):
        return self.values.get(key, default)

    def set(self, key, value):
        self.values[key] = value
        return True

    def push(self, key, value):
        return self.extend(key, [value])

    def extend(self, key, values):
        self.values.setdefault(key, []).extend(values)
        return True


class Player:
    """Runs the dags of a workflow one task after the other; it is also their signal."""

    is_stopped = False

    def __init__(self, name):
        self.workflow = load(EXAMPLES / f"{name}.py")
        self.store = Store()
        self.counts = {}

    def play(self):
        for dag in self.workflow.dags.values():
            if dag.autostart:
                self.start_dag(dag)

    def start_dag(self, dag, *, data=None):
        self.counts[dag.name] = self.counts.get(dag.name, 0) + 1
        running = f"{dag.name}:{self.counts[dag.name]}"
        graph = self.workflow.dags[dag.name].graph()
        results = {}
        for index, task in enumerate(graph.tasks):  # the examples name their tasks in an order that can be run
            given = MultiTaskData() if data is None else data
            parents = [(parent, slot) for (parent, child), slot in graph.links.items() if child == index]
            if parents:
                given = MultiTaskData()
            for parent, slot in parents:
                given.add_dataset(graph.tasks[parent].name, deepcopy(results[parent]), aliases=[slot] if slot else None)
            ending = run_task(
                task, given, self.store, self, TaskContext(task.name, running, self.workflow.name, "1", "host")
            )
            assert isinstance(ending, Succeeded), ending
            results[index] = ending.data
        return running

    def join_dags(self, names=None):
        return True


@pytest.mark.parametrize("name", ["sequence", "parallel", "multi_data", "sub_dag", "data_store"])
def test_every_example_can_be_read_and_planned(name):
    workflow = load(EXAMPLES / f"{name}.py")

    spec = plan_workflow(workflow, lambda task: "digest", python="py311", engine="test")

    assert spec.name == name
    assert workflow.doc
    assert all(dag.tasks for dag in spec.dags.values())


def test_the_sequence_counts_to_three(capsys):
    Player("sequence").play()

    assert [line for line in capsys.readouterr().out.splitlines() if "#" in line] == [
        "This is task #1",
        "This is task #2",
        "This is task #3",
    ]


def test_the_join_of_the_parallel_lanes_gets_data_from_all_of_them(capsys):
    Player("parallel").play()

    lines = [line for line in capsys.readouterr().out.splitlines() if "join_task has data" in line]
    assert [line.split(", ")[-1] for line in lines] == ["lane1_task", "lane2_task", "lane3_task"]


def test_the_numbers_of_multi_data_are_right(capsys):
    Player("multi_data").play()

    assert sorted(capsys.readouterr().out.splitlines()) == [
        "print_task_1: The value is: 5",
        "print_task_2: The value is: 25",
        "print_task_3: The value is: 125",
        "print_task_4: The value is: -120",
    ]


def test_the_sub_dag_gets_five_images(capsys):
    Player("sub_dag").play()

    out = capsys.readouterr().out
    assert out.count("(100, 100)") == 5
    assert "sub_dag:5 received" in out


def test_the_store_keeps_what_the_tasks_put_there(capsys):
    Player("data_store").play()

    out = capsys.readouterr().out
    assert "The number is: 5\n" in out
    assert "(100, 100)" in out
    assert "['file_a.spec', 'file_b.spec', ['nested_a', 'nested_b'], 'file_c.spec', 'file_d.spec']" in out
