"""From dags to specs: order, ids, flags, and one piece of code for each distinct callable."""

from itertools import pairwise

import pytest

from nflow.core.spec import DagSpec, Edge, TaskSpec
from nflow.errors import DirectedAcyclicGraphUndefined, NotShippable
from nflow.models import BaseTask, Dag, Parameters
from nflow.models.place import place_of
from nflow.models.plan import plan, plan_workflow
from nflow.models.workflow import Workflow, load
from nflow.tasks import PythonTask


def work(data, store, signal, context):
    pass


def other_work(data, store, signal, context):
    pass


class Shipper:
    """Notes what it was asked to ship."""

    def __init__(self):
        self.tasks = []

    def __call__(self, task):
        self.tasks.append(task.name)
        return f"code-{len(self.tasks)}"


def planned(schema, **options):
    dag = Dag("main", **options)
    dag.define(schema)
    return plan(dag, Shipper())


def test_a_spec_has_everything_that_the_engine_must_know():
    first = PythonTask("first", work, queue="fast", force_run=True)
    second = PythonTask("second", work, propagate_skip=False)

    spec = planned({first: {second: "left"}}, autostart=False, queue="dags")

    assert spec == DagSpec(
        name="main",
        autostart=False,
        queue="dags",
        tasks=(
            TaskSpec(id="first", name="first", code="code-1", queue="fast", force_run=True),
            TaskSpec(id="second", name="second", code="code-1", propagate_skip=False),
        ),
        edges=(Edge(parent="first", child="second", slot="left"),),
    )


@pytest.mark.parametrize(
    ("names", "ids"),
    [
        (["a", "b"], ["a", "b"]),
        (["a", "a", "a"], ["a", "a#2", "a#3"]),
        (["a", "a", "a#2"], ["a", "a#2", "a#2#2"]),
        (["a#2", "a", "a"], ["a#2", "a", "a#3"]),
    ],
)
def test_tasks_of_one_name_get_ids_of_their_own(names, ids):
    spec = planned({PythonTask(name): None for name in names})

    assert [task.id for task in spec.tasks] == ids
    assert [task.name for task in spec.tasks] == names


def test_edges_between_tasks_of_one_name_join_the_right_ones():
    one, two, end = PythonTask("a"), PythonTask("a"), PythonTask("b")

    spec = planned({one: two, two: end})

    assert [(edge.parent, edge.child) for edge in spec.edges] == [("a", "a#2"), ("a#2", "b")]


def test_code_that_tasks_share_is_shipped_once():
    ship = Shipper()
    dag = Dag("main")
    dag.define(
        {PythonTask("a", work): [PythonTask("b", other_work), PythonTask("c", work, queue="x"), PythonTask("d")]}
    )

    spec = plan(dag, ship)

    assert ship.tasks == ["a", "b", "d"]
    assert [task.code for task in spec.tasks] == ["code-1", "code-2", "code-1", "code-3"]


def test_tasks_with_different_state_are_shipped_each():
    class Wait(BaseTask):
        def __init__(self, name, seconds):
            super().__init__(name)
            self.seconds = [seconds]

    ship = Shipper()
    dag = Dag("main")
    dag.define({Wait("a", 1): [Wait("b", 1), Wait("c", 2)]})

    plan(dag, ship)

    assert ship.tasks == ["a", "b", "c"]


def test_values_that_live_only_while_a_task_is_shipped_are_not_mistaken_for_each_other():
    class Fresh(BaseTask):
        def __getstate__(self):
            return {"made": object()}  # gone, and its id free for the next one, unless somebody keeps it

    ship = Shipper()
    dag = Dag("main")
    dag.define({Fresh(f"task_{number}"): None for number in range(50)})

    plan(dag, ship)

    assert len(ship.tasks) == 50


def test_a_large_dag_is_planned_with_one_piece_of_code():
    tasks = [PythonTask(f"task_{number}", work) for number in range(10_000)]
    ship = Shipper()
    dag = Dag("main")
    dag.define(dict(pairwise(tasks)))

    spec = plan(dag, ship)

    assert (len(spec.tasks), len(spec.edges), len(ship.tasks)) == (10_000, 9_999, 1)


def test_a_workflow_whose_first_dag_has_no_schema_cannot_be_planned(tmp_path):
    path = tmp_path / "flow.py"
    path.write_text("from nflow.models import Dag\nmain = Dag('main')\n")

    with pytest.raises(DirectedAcyclicGraphUndefined, match=r"^flow.py, line 2: Dag 'main' has no schema. Call define"):
        plan_workflow(load(path), Shipper(), python="py311", engine="1")


def test_a_dag_without_a_schema_that_nobody_starts_is_left_out(tmp_path):
    path = tmp_path / "flow.py"
    path.write_text("from nflow.models import Dag\nmain = Dag('main', schema={})\nsub = Dag('sub', autostart=False)\n")

    spec = plan_workflow(load(path), Shipper(), python="py311", engine="1")

    assert list(spec.dags) == ["main"]


def test_a_dag_without_a_schema_cannot_be_planned():
    with pytest.raises(DirectedAcyclicGraphUndefined, match="'main'"):
        plan(Dag("main"), Shipper())


def test_a_task_that_cannot_be_shipped_is_told_with_the_line_that_made_it():
    class Shy(BaseTask):
        def __getstate__(self):
            raise OSError("no such device")

    class Listed(BaseTask):
        def __getstate__(self):
            return [self.name]

    def refuse(task):
        raise NotShippable(f"Task {task.name!r} cannot be sent.")

    for task, ship, complaint in (
        (PythonTask("a", work), refuse, "Task 'a' cannot be sent."),
        (Shy("b"), Shipper(), "Task 'b' cannot be sent to another process: OSError: no such device."),
        (Listed("c"), Shipper(), "Task 'c' cannot be sent to another process: Listed.__getstate__() returns ['c']."),
    ):
        with pytest.raises(NotShippable) as refusal:
            plan(Dag("main", schema={task: None}), ship)
        assert str(refusal.value).startswith(f"test_plan.py, line {place_of(task).line}: {complaint}")


def test_the_line_is_told_once_for_a_whole_workflow_too(tmp_path):
    def refuse(task):
        raise NotShippable("It cannot be sent.")

    dags = {"main": Dag("main", schema={PythonTask("a", work): None})}
    workflow = Workflow(name="flow", path=tmp_path / "flow.py", doc="", dags=dags, parameters=Parameters())

    with pytest.raises(NotShippable) as refusal:
        plan_workflow(workflow, refuse, python="py311", engine="1.0")

    assert str(refusal.value).count("test_plan.py, line") == 1


def test_dags_of_one_workflow_share_their_code(tmp_path):
    ship = Shipper()
    dags = {name: Dag(name, schema={PythonTask("task", work): None}) for name in ("one", "two")}
    workflow = Workflow(name="flow", path=tmp_path / "flow.py", doc="", dags=dags, parameters=Parameters())

    spec = plan_workflow(workflow, ship, python="py311", engine="1.0")

    assert ship.tasks == ["task"]
    assert list(spec.dags) == ["one", "two"]
    assert (spec.name, spec.python, spec.engine) == ("flow", "py311", "1.0")
