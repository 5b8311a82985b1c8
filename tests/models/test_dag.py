"""How a schema is read: every form of children, the order of things, and what is refused."""

import copy
import inspect
import pickle

import pytest

from nflow.errors import DirectedAcyclicGraphInvalid, DirectedAcyclicGraphUndefined, WorkflowDefinitionError
from nflow.models import BaseTask, Dag, Retry
from nflow.models.place import place_of
from nflow.models.policy import Policy, said_by
from nflow.tasks import PythonTask

A, B, C, D = (PythonTask(name) for name in "ABCD")


def links_of(schema):
    dag = Dag("main")
    dag.define(schema)
    graph = dag.graph()
    return {(graph.tasks[parent].name, graph.tasks[child].name): slot for (parent, child), slot in graph.links.items()}


def tasks_of(schema):
    dag = Dag("main")
    dag.define(schema)
    return [task.name for task in dag.graph().tasks]


@pytest.mark.parametrize(
    ("children", "links"),
    [
        pytest.param(B, {("A", "B"): None}, id="a task"),
        pytest.param([B, C], {("A", "B"): None, ("A", "C"): None}, id="a list"),
        pytest.param((B, C), {("A", "B"): None, ("A", "C"): None}, id="a tuple is a list"),
        pytest.param([B, B], {("A", "B"): None}, id="a child that is named twice"),
        pytest.param({B: "left", C: None}, {("A", "B"): "left", ("A", "C"): None}, id="a dict of slots"),
        pytest.param({B: ""}, {("A", "B"): None}, id="an empty slot is none"),
        pytest.param([None], {}, id="a list of None"),
    ],
)
def test_children_may_be_given_in_many_forms(children, links):
    assert links_of({A: children}) == links


@pytest.mark.parametrize("children", [None, [], (), {}, [None]])
def test_a_task_without_children_is_still_part_of_the_graph(children):
    assert tasks_of({A: children}) == ["A"]


def test_an_empty_schema_is_a_dag_that_ends_at_once():
    assert tasks_of({}) == []


def test_tasks_come_in_the_order_in_which_the_schema_first_names_them():
    assert tasks_of({B: [D, A], A: C}) == ["B", "D", "A", "C"]


def test_a_join_has_its_parents_in_the_order_of_the_schema():
    links = links_of({A: [B, C], C: D, B: D})

    assert [parent for parent, child in links if child == "D"] == ["C", "B"]


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        ({A: A}, "A -> A"),
        ({A: B, B: [C, D], D: B}, "B -> D -> B"),
    ],
)
def test_a_cycle_is_refused_and_named(schema, path):
    with pytest.raises(DirectedAcyclicGraphInvalid, match="Dag 'main' has a cycle") as refusal:
        Dag("main").define(schema)

    steps = str(refusal.value).split("cycle: ")[1].split(". ")[0].split(" -> ")
    assert set(steps) == set(path.split(" -> "))
    assert steps[0] == steps[-1]


def test_the_steps_of_a_cycle_are_named_from_parent_to_child():
    with pytest.raises(DirectedAcyclicGraphInvalid) as refusal:
        Dag("main").define({A: B, B: C, C: A})

    path = str(refusal.value).split("cycle: ")[1]
    assert any(step in path for step in ("A -> B -> C", "B -> C -> A", "C -> A -> B"))


def test_a_long_cycle_is_named_in_short():
    ring = [PythonTask(f"task_{number}") for number in range(1000)]

    with pytest.raises(DirectedAcyclicGraphInvalid) as refusal:
        Dag("main").define(dict(zip(ring, ring[1:] + ring[:1], strict=True)))

    assert " -> ... -> " in str(refusal.value)
    assert len(str(refusal.value)) < 300


def test_a_cycle_is_found_later_where_define_is_told_not_to_look():
    dag = Dag("main")
    dag.define({A: A}, validate=False)

    with pytest.raises(DirectedAcyclicGraphInvalid):
        dag.graph()


def test_a_schema_may_be_given_to_the_constructor():
    dag = Dag("main", schema={A: B})

    assert [task.name for task in dag.graph().tasks] == ["A", "B"]


def test_a_dag_without_a_schema_says_what_to_call():
    with pytest.raises(DirectedAcyclicGraphUndefined, match=r"define\(\)"):
        Dag("main").graph()


def test_a_schema_of_none_is_refused_at_once():
    with pytest.raises(DirectedAcyclicGraphUndefined):
        Dag("main").define(None)


@pytest.mark.parametrize(
    ("schema", "complaint"),
    [
        pytest.param([A, B], "must be a dict", id="a list"),
        pytest.param({"A": B}, "'A' as a parent, which is not a task", id="a name as a parent"),
        pytest.param({A: "B"}, "the children of 'A' are 'B'", id="a name as the child"),
        pytest.param({A: [B, "C"]}, "'C', a child of 'A', is not a task", id="a name among the children"),
        pytest.param({A: [[B, C]]}, "is not a task", id="a list in a list"),
        pytest.param({A: {B, C}}, "Give a task, a list", id="a set, which has no order"),
        pytest.param({A: {B: 3}}, "the slot between 'A' and 'B' is 3", id="a number as a slot"),
    ],
)
def test_what_is_not_a_task_is_refused_by_name(schema, complaint):
    with pytest.raises(WorkflowDefinitionError, match=complaint):
        Dag("main").define(schema)


@pytest.mark.parametrize(
    ("schema", "advice"),
    [
        pytest.param({None: A}, "Is a variable empty that should hold a task?", id="None as a parent"),
        pytest.param({"A": B}, "Write the task itself, not its name", id="a name as a parent"),
        pytest.param({A: "B"}, "Write the task itself, not its name", id="a name as the child"),
        pytest.param({PythonTask: A}, r"the class PythonTask .*PythonTask\('name'\)", id="a class as a parent"),
        pytest.param({A: PythonTask}, r"the class PythonTask.*PythonTask\('name'\)", id="a class as the child"),
        pytest.param({A: [len]}, r"the function len\(\), .*PythonTask\('len', len\)", id="a function"),
        pytest.param({A: [[B, C]]}, "Write one flat list of tasks", id="a list in a list"),
        pytest.param({A: {B, C}}, "a set has no order", id="a set"),
        pytest.param({A: (task for task in (B, C))}, "Make it a list first", id="a generator"),
    ],
)
def test_it_is_said_what_to_write_instead(schema, advice):
    with pytest.raises(WorkflowDefinitionError, match=advice):
        Dag("main").define(schema)


def test_what_is_not_a_task_is_shown_in_short():
    with pytest.raises(WorkflowDefinitionError) as refusal:
        Dag("main").define({A: [b"x" * 10_000]})

    assert len(str(refusal.value)) < 200


@pytest.mark.parametrize("name", ["", None, 5])
def test_a_dag_needs_a_name(name):
    with pytest.raises(WorkflowDefinitionError, match="needs a name"):
        Dag(name)


def test_a_dag_that_a_callback_refers_to_travels_without_its_graph():
    dag = Dag("sub", autostart=False, queue="fast")
    dag.define({PythonTask(f"task_{number}"): None for number in range(1000)})

    packed = pickle.dumps(dag)

    assert len(packed) < 200
    travelled = pickle.loads(packed)
    assert (travelled.name, travelled.autostart, travelled.queue) == ("sub", False, "fast")
    with pytest.raises(DirectedAcyclicGraphUndefined):
        travelled.graph()


# --- a schema that changes, and a dag that is copied ---


@pytest.mark.parametrize("children", [[B], {B: None}, B, None])
def test_what_is_put_into_a_schema_later_is_part_of_the_graph(children):
    schema = {A: children}
    dag = Dag("main")
    dag.define(schema)

    schema[C] = D

    assert [task.name for task in dag.graph().tasks][-2:] == ["C", "D"]


@pytest.mark.parametrize("change", [lambda children: children.append(C), lambda children: children.reverse()])
def test_children_that_are_changed_later_count_with_their_order(change):
    children = [B, D]
    dag = Dag("main", schema={A: children})
    assert [task.name for task in dag.graph().tasks] == ["A", "B", "D"]

    change(children)

    assert [task.name for task in dag.graph().tasks] == ["A", *(task.name for task in children)]


def test_a_graph_whose_schema_has_not_changed_is_not_read_again():
    dag = Dag("main", schema={A: [B], C: {D: "slot"}})

    assert dag.graph() is dag.graph()


@pytest.mark.parametrize("copy_of", [copy.copy, copy.deepcopy])
def test_a_copy_of_a_dag_has_all_that_the_dag_has(copy_of):
    dag = Dag("main", autostart=False, queue="fast", retry=Retry(attempts=5), on_failure="stop_dag")
    dag.define({A: {B: "slot"}})

    copied, line = copy_of(dag), inspect.currentframe().f_lineno

    assert (copied.name, copied.autostart, copied.queue) == ("main", False, "fast")
    assert said_by(copied) == said_by(dag) == Policy(retry=Retry(attempts=5), on_failure="stop_dag")
    assert [task.name for task in copied.graph().tasks] == ["A", "B"]
    assert list(copied.graph().links.values()) == ["slot"]
    assert place_of(copied).line == line


def test_a_deep_copy_of_a_dag_has_tasks_of_its_own():
    dag = Dag("main", schema={A: [B]})
    dag.graph()

    copied = copy.deepcopy(dag)

    assert not {*copied.graph().tasks} & {*dag.graph().tasks}


def test_a_task_that_refers_to_its_dag_is_copied_with_it():
    dag, task = Dag("main"), PythonTask("task")
    task.dag = dag
    dag.define({task: None})

    copied = copy.deepcopy(dag)

    assert copied.graph().tasks[0].dag is copied


# --- queues and classes ---


@pytest.mark.parametrize("queue", [None, 5, "", " "])
@pytest.mark.parametrize(("kind", "what"), [(Dag, "dag"), (PythonTask, "task")])
def test_a_queue_must_have_a_name(kind, what, queue):
    with pytest.raises(WorkflowDefinitionError, match=rf"^The queue of {what} 'x' is {queue!r}\. Give it a name"):
        kind("x", queue=queue)


def test_a_task_that_its_class_has_not_made_is_refused():
    class Broken(BaseTask):
        def __init__(self, name):
            self.name = name

    with pytest.raises(WorkflowDefinitionError, match=r"This Broken has no 'queue': .* super\(\).__init__\(name\)"):
        Dag("main").define({A: Broken("b")})


def test_a_task_that_its_class_has_not_made_can_be_shown():
    class Broken(BaseTask):
        def __init__(self):
            pass

    assert repr(Broken()) == "<Broken '?'>"


@pytest.mark.parametrize(
    "arguments", ["self, data, store, signal, context, **kwargs", "self, data, *rest", "self, a, b, c, d, e=None"]
)
def test_a_run_that_can_be_called_is_accepted(arguments):
    kind = type("Own", (BaseTask,), {"run": eval(f"lambda {arguments}: None")})

    assert tasks_of({kind("a"): kind("b")}) == ["a", "b"]


@pytest.mark.parametrize(
    "arguments", ["self", "self, data, store, signal", "self, a, b, c, d, e", "self, a, b, c, *, d"]
)
def test_a_run_that_cannot_be_called_is_refused(arguments):
    kind = type("Own", (BaseTask,), {"run": eval(f"lambda {arguments}: None")})

    with pytest.raises(WorkflowDefinitionError, match=r"^run\(\) of class 'Own' must take 4 arguments"):
        Dag("main").define({kind("a"): None})
