"""Finding and reading workflow files: what is taken from them, and how each thing wrong with one is told."""

import dataclasses
import pickle
import random
import re
import sys
from pathlib import Path

import cloudpickle
import pytest

from nflow.errors import DirectedAcyclicGraphInvalid, WorkflowDefinitionError, WorkflowImportError, WorkflowNotFound
from nflow.models.workflow import find, load

DAG = """
from nflow.models import Dag, Option, Parameters
from nflow.tasks import PythonTask

def work(data, store, signal, context):
    return answer()

def answer():
    return 42

task = PythonTask("task", work)
dag = Dag("main_dag", schema={task: None})
"""


@pytest.fixture
def write(tmp_path):
    def write_file(text, name="flow.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write_file


@pytest.fixture(autouse=True)
def unchanged_interpreter():
    before = (list(sys.path), list(sys.meta_path), sys.modules.get("flow"))

    yield

    assert (sys.path, sys.meta_path, sys.modules.get("flow")) == before


# --- what is taken from a file ---


def test_a_workflow_is_named_after_its_file_and_described_by_its_docstring(write):
    path = write('"""Count up.\n\n    And print.\n"""\n' + DAG)

    workflow = load(path)

    assert (workflow.name, workflow.path, workflow.doc) == ("flow", path, "Count up.\n\nAnd print.")
    assert list(workflow.dags) == ["main_dag"]


def test_a_file_without_a_docstring_has_an_empty_one(write):
    assert load(write(DAG)).doc == ""


def test_all_dags_and_all_parameters_are_found(write):
    dags = "sub = Dag('sub', autostart=False, schema={task: None})\n"
    parameters = "one = Parameters([Option('a')])\ntwo = Parameters([Option('b', 5)])\nagain = one\n"

    workflow = load(write(DAG + dags + parameters))

    assert list(workflow.dags) == ["main_dag", "sub"]
    assert [option.name for option in workflow.parameters] == ["a", "b"]


def test_one_dag_under_two_names_is_one_dag(write):
    assert list(load(write(DAG + "also = dag\n")).dags) == ["main_dag"]


def test_two_dags_with_one_name_are_refused(write):
    expected = "flow.py has two dags named 'main_dag': flow.py, line 12 and flow.py, line 13. Rename one of them."

    with pytest.raises(WorkflowDefinitionError, match=re.escape(expected)):
        load(write(DAG + "also = Dag('main_dag')\n"))


def test_a_dag_that_is_imported_counts(write):
    write(DAG, "parts/neighbour_dags.py")

    try:
        workflow = load(write("from neighbour_dags import dag\n", "parts/flow.py"))
    finally:
        neighbour = sys.modules.pop("neighbour_dags")

    assert workflow.dags == {"main_dag": neighbour.dag}


def test_a_file_that_was_changed_is_read_anew(write):
    load(write(DAG))

    workflow = load(write(DAG.replace("main_dag", "side_dag")))

    assert list(workflow.dags) == ["side_dag"]


def test_reading_leaves_nothing_in_the_users_folder(write, tmp_path):
    load(write(DAG))

    assert [entry.name for entry in tmp_path.iterdir()] == ["flow.py"]


# --- what it defines travels by value ---


def run_after_a_journey(workflow):
    (task,) = workflow.dags["main_dag"].graph().tasks
    kind, state = pickle.loads(cloudpickle.dumps(task.shipped()))
    return kind.restored(state, name="task").run(None, None, None, None)


def test_the_code_of_a_file_needs_no_module_to_be_opened(write):
    workflow = load(write(DAG))

    assert "flow" not in sys.modules
    assert run_after_a_journey(workflow) == 42


def test_a_file_may_be_called_like_an_installed_module(write):
    text = DAG.replace("return 42", "return random.Random(1).random()")

    workflow = load(write("import random\n" + text, "random.py"))

    assert workflow.name == "random"
    assert sys.modules["random"] is random
    assert run_after_a_journey(workflow) == random.Random(1).random()


def test_a_module_that_nobody_has_imported_yet_keeps_its_name_too(write):
    text = DAG.replace("return 42", "return 'unused'") + "import colorsys\nfrom colorsys import rgb_to_hsv\n"
    before = sys.modules.pop("colorsys", None)

    try:
        workflow = load(write(text, "colorsys.py"))
    finally:
        if before is not None:
            sys.modules["colorsys"] = before

    assert workflow.name == "colorsys"
    assert run_after_a_journey(workflow) == "unused"


def test_a_folder_of_the_files_name_is_no_module(write, tmp_path, monkeypatch):
    (tmp_path / "elsewhere" / "flow").mkdir(parents=True)
    monkeypatch.syspath_prepend(tmp_path / "elsewhere")

    workflow = load(write(DAG))

    assert workflow.dags["main_dag"].graph().tasks[0].callback.__module__ == "flow"
    monkeypatch.undo()


def test_dataclasses_with_annotations_as_text_work_under_any_name(write):
    text = (
        "from __future__ import annotations\nfrom dataclasses import dataclass\n"
        + DAG
        + "@dataclass\nclass Point:\n    x: int\n"
    )

    for name in ("flow.py", "random.py", "my flow-2.1.py"):
        assert load(write(text, name)).name == Path(name).stem


def test_a_file_may_import_its_neighbours(write):
    write("VALUE = 7\n", "parts/neighbour_values.py")
    text = "from neighbour_values import VALUE\n" + DAG.replace("return 42", "return VALUE")

    try:
        workflow = load(write(text, "parts/flow.py"))
        assert run_after_a_journey(workflow) == 7
    finally:
        sys.modules.pop("neighbour_values", None)


def test_a_relative_path_is_made_absolute(write, tmp_path, monkeypatch):
    write(DAG)
    monkeypatch.chdir(tmp_path)

    assert load(Path("flow.py")).path == tmp_path / "flow.py"


def test_a_workflow_is_plain_data(write):
    workflow = load(write(DAG))

    with pytest.raises(dataclasses.FrozenInstanceError):
        workflow.name = "other"


# --- what can be wrong with a file ---


@pytest.mark.parametrize(
    ("text", "complaint", "cause"),
    [
        pytest.param(
            "a = 1\nb = = 2\n", "Cannot load flow.py, line 2: invalid syntax: 'b = = 2'", SyntaxError, id="syntax"
        ),
        pytest.param(
            "a = 1\nb = zzz\n",
            "Cannot load flow.py, line 2: NameError: name 'zzz' is not defined",
            NameError,
            id="name",
        ),
        pytest.param("import zzz_not_there\n", "line 1: it needs the module 'zzz_not_there'", ImportError, id="module"),
        pytest.param("from nflow import zzz\n", "line 1: ImportError", ImportError, id="name in a module"),
        pytest.param("import sys\nsys.exit(3)\n", "line 2: it ends Python while it is read", SystemExit, id="exit"),
        pytest.param("def f():\n    1 / 0\nf()\n", "line 2: ZeroDivisionError", ZeroDivisionError, id="deeper down"),
        pytest.param("a = '\0'\n", "flow.py", Exception, id="a null byte"),
    ],
)
def test_a_file_that_cannot_be_executed_is_told_with_its_line(write, text, complaint, cause):
    with pytest.raises(WorkflowImportError) as refusal:
        load(write(text))

    assert complaint in str(refusal.value)
    assert isinstance(refusal.value.__cause__, cause)


def test_a_syntax_error_in_a_neighbour_names_both_files(write):
    write("b = = 2\n", "parts/neighbour_broken.py")

    with pytest.raises(WorkflowImportError, match=r"flow.py, line 1: .*neighbour_broken.py, line 1\)"):
        load(write("import neighbour_broken\n", "parts/flow.py"))


def test_a_cycle_is_told_with_the_line_that_defines_it(write):
    with pytest.raises(
        DirectedAcyclicGraphInvalid, match=r"flow.py, line 13: Dag 'main_dag' has a cycle: task -> task"
    ):
        load(write(DAG + "dag.define({task: task})\n"))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        pytest.param("late = Dag('late', schema={task: task})\n", "Dag 'late' has a cycle: task -> task", id="cycle"),
        pytest.param("late = Dag('late', schema={'task': None})\n", "Dag 'late': the schema has 'task'", id="name"),
    ],
)
def test_a_dag_that_is_no_graph_is_told_with_its_line(write, text, complaint):
    with pytest.raises(WorkflowDefinitionError) as refusal:
        load(write(DAG + text))

    assert str(refusal.value).startswith(f"flow.py, line 13: {complaint}")


def test_a_dag_without_a_schema_is_no_mistake_yet(write):
    workflow = load(write(DAG + "late = Dag('late')\n"))

    assert (list(workflow.dags), list(workflow.startable)) == (["main_dag", "late"], ["main_dag"])


def test_what_is_put_into_a_schema_after_it_was_given_counts(write):
    text = "schema = {task: None}\ndag.define(schema)\nmore = PythonTask('more', work)\nschema[more] = task\n"

    workflow = load(write(DAG + text))

    assert [each.name for each in workflow.dags["main_dag"].graph().tasks] == ["task", "more"]


def test_a_cycle_that_is_put_into_a_schema_later_is_told_with_the_line_of_the_schema(write):
    with pytest.raises(DirectedAcyclicGraphInvalid, match=r"^flow.py, line 14: Dag 'main_dag' has a cycle"):
        load(write(DAG + "schema = {task: []}\ndag.define(schema)\nschema[task].append(task)\n"))


def test_a_dag_that_was_copied_is_of_the_line_that_copies_it(write):
    text = "import copy\nother = copy.deepcopy(dag)\nother.define({task: task}, validate=False)\n"

    with pytest.raises(WorkflowDefinitionError, match=r"main_dag': flow.py, line 12 and flow.py, line 14"):
        load(write(DAG + text))


def test_a_task_whose_class_forgets_to_make_it_is_told_with_both_lines(write):
    text = "class Broken(PythonTask):\n    def __init__(self):\n        self.x = 1\ndag.define({Broken(): None})\n"

    with pytest.raises(WorkflowDefinitionError) as refusal:
        load(write(DAG + text))

    assert str(refusal.value) == (
        "flow.py, line 16: This Broken has no 'name': Broken.__init__() (flow.py, line 14) does not "
        "call super().__init__(name). Let it do so in its first line."
    )


def test_a_run_that_takes_too_few_arguments_is_told_with_its_line(write):
    text = (
        "class Short(PythonTask):\n    def run(self, data, store, signal):\n        pass\n"
        "dag.define({Short('s'): None})\n"
    )

    with pytest.raises(WorkflowDefinitionError) as refusal:
        load(write(DAG + text))

    assert str(refusal.value) == (
        "flow.py, line 16: run() of class 'Short' must take 4 arguments: (data, store, signal, context); "
        "Short.run(data, store, signal) is in flow.py, line 14."
    )


def test_parameters_of_one_file_must_fit_into_one_store(write):
    with pytest.raises(WorkflowDefinitionError, match=r"^flow.py: Parameters 'a' and 'a.b' cannot both be"):
        load(write(DAG + "one = Parameters([Option('a')])\ntwo = Parameters([Option('a.b')])\n"))


def test_lines_of_code_that_is_in_no_file_are_not_told(write):
    text = "exec(compile('PythonTask(chr(0)[:0])', '<string>', 'exec'))\n"

    with pytest.raises(WorkflowDefinitionError, match=r"^flow.py, line 13: A task needs a name"):
        load(write(DAG + text))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("from nflow import Config", "nflow has no 'Config' any more. Settings are in nflow.toml"),
        ("import nflow; nflow.default_config", "nflow has no 'default_config' any more. Settings are in nflow.toml"),
        ("from nflow.config import Config", "cannot import name 'Config' from 'nflow.config'. Settings are in"),
        ("from nflow.models import Arguments", "nflow.models has no 'Arguments' any more. It is called `Parameters`"),
        ("from nflow.models import Workflow", "From Python"),
        ("from nflow.models import DataStore", "A task has its `store` as an argument"),
        ("from nflow.models.datastore import DataStore", "A task has its `store` as an argument"),
        ("from nflow.models.exceptions import RequestFailed", "Nothing in nflow raises it"),
        ("from nflow.models.task import TaskState", "`context` says where it runs"),
        ("from nflow.queue import JobStatus", "nflow.queue has no 'JobStatus' any more. From outside"),
        ("from nflow.tasks import ChunkingTask", "Start a dag for each chunk"),
        ("import nflow.workflows", "No module named 'nflow.workflows'. To start runs from Python"),
        ("from nflow.queue.const import JobType", "No module named 'nflow.queue.const'. `JobType` and"),
        ("from nflow.models.signal import Server", "A task has its `signal` as an argument"),
        ("from lightflow.models import Dag", "No module named 'lightflow'. Its successor has another name"),
    ],
)
def test_what_lightflow_had_is_told_with_what_to_write_instead(write, line, words):
    with pytest.raises(WorkflowImportError) as refusal:
        load(write(line + "\n"))

    assert str(refusal.value).startswith("Cannot load flow.py, line 1: ")
    assert words in str(refusal.value)
    assert "whole traceback" not in str(refusal.value)


def test_a_dag_whose_schema_is_looked_at_later_is_told_with_the_line_of_its_schema(write):
    text = "late = Dag('late')\nlate.define({task: task}, validate=False)\n"

    with pytest.raises(DirectedAcyclicGraphInvalid, match=r"^flow.py, line 14: Dag 'late'"):
        load(write(DAG + text))


def test_a_mistake_in_a_neighbour_is_told_with_both_lines_once(write):
    write("from nflow.tasks import PythonTask\nPythonTask('')\n", "parts/neighbour_task.py")

    with pytest.raises(WorkflowDefinitionError) as refusal:
        load(write("import neighbour_task\n", "parts/flow.py"))

    assert str(refusal.value).startswith("flow.py, line 1 (neighbour_task.py, line 2): A task needs a name")
    assert str(refusal.value).count("line") == 2


def test_a_callback_with_other_arguments_is_told_with_its_own_line_too(write):
    with pytest.raises(WorkflowDefinitionError) as refusal:
        load(write(DAG + "\n\ndef wrong(data):\n    pass\n\nPythonTask('bad', wrong)\n"))

    assert str(refusal.value) == (
        "flow.py, line 18: The callback of task 'bad' must take 4 arguments: (data, store, signal, context); "
        "wrong(data) is in flow.py, line 15."
    )


def test_a_file_without_a_dag_is_no_workflow(write):
    with pytest.raises(WorkflowImportError, match=r"flow.py defines no Dag"):
        load(write("a = 1\n"))


def test_a_failed_file_is_no_module_either(write):
    with pytest.raises(WorkflowImportError):
        load(write("1 / 0\n"))

    assert "flow" not in sys.modules


def test_a_file_that_is_not_there_is_told_with_its_neighbours(write, tmp_path):
    write(DAG, "sequence.py")

    with pytest.raises(WorkflowNotFound, match="Did you mean 'sequence'"):
        load(tmp_path / "sequnce.py")


def test_control_c_while_a_file_is_read_stays_control_c(write):
    with pytest.raises(KeyboardInterrupt):
        load(write("raise KeyboardInterrupt\n"))


# --- finding a file ---


@pytest.fixture
def places(tmp_path, monkeypatch):
    for name in (
        "here/one.py",
        "here/examples/one.py",
        "here/examples/two.py",
        "site/two.py",
        "site/three.py",
        "site/plain",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(DAG)
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("one", "here/one.py"),
        ("one.py", "here/one.py"),
        ("two", "here/examples/two.py"),
        ("examples/two", "here/examples/two.py"),
        ("three", "site/three.py"),
        ("../site/three.py", "site/three.py"),
        ("../site/plain", "site/plain"),
    ],
)
def test_a_workflow_is_found_by_path_or_by_name(places, name, found):
    assert find(name, [places / "site"]).resolve() == places / found


def test_a_workflow_that_is_not_found_is_told_where_it_was_looked_for(places):
    with pytest.raises(WorkflowNotFound) as refusal:
        find("thre", [places / "site", places / "missing"])

    assert "Did you mean 'three'?" in str(refusal.value)
    for place in ("here", "here/examples", "site", "missing"):
        assert str(places / place) in str(refusal.value)


def test_a_path_is_not_looked_for_elsewhere(places):
    with pytest.raises(WorkflowNotFound):
        find("three.py", [places / "site"])
