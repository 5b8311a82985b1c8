"""What looks wrong in a workflow although it runs, and what does not look wrong."""

import pytest

from nflow.models.review import doubts, problems
from nflow.models.workflow import read

HEAD = """
from nflow.models import Action, BaseTask, Dag, Option, Parameters
from nflow.tasks import PythonTask

def work(data, store, signal, context):
    pass

"""


@pytest.fixture
def workflow(tmp_path):
    """Reads a file that begins with HEAD: its own first line is line 8."""

    def read_file(text):
        path = tmp_path / "flow.py"
        path.write_text(HEAD + text)
        return read(path)

    return read_file


def test_every_dag_that_is_no_graph_is_told_and_every_default_of_another_type(workflow):
    found = problems(
        workflow(
            "a = PythonTask('a')\n"
            "one = Dag('one', schema={a: a})\n"
            "two = Dag('two', schema={a: 'b'})\n"
            "good = Dag('good', schema={a: None})\n"
            "p = Parameters([Option('n', 'many', type=int), Option('m', 5, type=int), Option('k', type=int)])\n"
        )
    )

    assert found == [
        "flow.py, line 9: Dag 'one' has a cycle: a -> a. Remove one of these steps.",
        (
            "flow.py, line 10: Dag 'two': the children of 'a' are 'b'. "
            "Write the task itself, not its name: the variable, without quotes."
        ),
        "The default of parameter 'n': Cannot convert 'many' to int.",
    ]


def test_tasks_of_one_name_are_told_with_their_lines(workflow):
    found = doubts(
        workflow(
            "a = PythonTask('a')\n"
            "b = PythonTask('a')\n"
            "c = PythonTask('c')\n"
            "main = Dag('main', schema={a: b, c: None})\n"
            "other = Dag('other', schema={a: None})\n"
        )
    )

    assert len(found) == 1
    assert found[0].startswith("flow.py, line 9: Dag 'main' has 2 tasks named 'a' (line 8, 9).")


def test_a_parameter_that_is_declared_twice_is_told(workflow):
    text = "p = Parameters([Option('n', 1), Option('n', 2)])\nmain = Dag('main', schema={})\n"

    assert doubts(workflow(text)) == ["Parameter 'n' is declared 2 times; only the last one counts."]


# --- dags that wait to be started ---


def with_starter(body, *, before="", tasks="PythonTask('start', start)"):
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return (
        f"{before}"
        f"def start(data, store, signal, context):\n{lines}"
        "sub = Dag('sub_dag', autostart=False, schema={})\n"
        f"main = Dag('main', schema={{{tasks}: None}})\n"
    )


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(with_starter("signal.start_dag(sub)"), id="by itself"),
        pytest.param(with_starter("signal.start_dag('sub_dag')"), id="by name"),
        pytest.param(with_starter("signal.start_dag(f'sub_{data[0]}')"), id="by a name that is put together"),
        pytest.param(with_starter("signal.start_dag('{}_dag'.format(1) or 'sub_{}')"), id="by a format"),
        pytest.param(with_starter("signal.start_dag('s%s' % 'ub_dag')"), id="by a format that begins with one letter"),
        pytest.param(with_starter("signal.start_dag('{}ub_{:s}'.format('s', 'dag'))"), id="by a format that begins so"),
        pytest.param(with_starter("x = 'sub'; signal.start_dag(f'{x}_dag')"), id="by its end"),
        pytest.param(with_starter("x = 'ub_dag'; signal.start_dag(f's{x}')"), id="by one letter and more"),
        pytest.param(with_starter("x = 'ub_dag'; signal.start_dag('s' + x)"), id="by a sum"),
        pytest.param(with_starter("[signal.start_dag(sub) for _ in range(5)]"), id="in an inner function"),
        pytest.param(with_starter("go(signal)", before="def go(signal):\n    signal.start_dag(sub)\n"), id="deeper"),
        pytest.param(with_starter("signal.start_dag(NAMES[0])", before="NAMES = ['sub_dag']\n"), id="in a list"),
        pytest.param(
            with_starter("pass", before="def other(name='sub_dag'):\n    pass\n") + "start.__defaults__ = (sub,) * 4\n",
            id="as a default",
        ),
        pytest.param(
            with_starter("signal.start_dag(store.get('dag'))") + "p = Parameters([Option('dag', 'sub_dag')])\n",
            id="as a parameter",
        ),
        pytest.param(
            "class Trigger(BaseTask):\n    def __init__(self, name, dag):\n"
            "        super().__init__(name)\n        self.dag = dag\n"
            "    def run(self, data, store, signal, context):\n        signal.start_dag(self.dag)\n"
            "sub = Dag('sub_dag', autostart=False, schema={})\n"
            "main = Dag('main', schema={Trigger('t', 'sub_dag'): None})\n",
            id="as an attribute of a task",
        ),
        pytest.param(
            "class Trigger(BaseTask):\n    def run(self, data, store, signal, context, **kwargs):\n"
            "        signal.start_dag('sub_dag')\n"
            "sub = Dag('sub_dag', autostart=False, schema={})\n"
            "main = Dag('main', schema={Trigger('t'): None})\n",
            id="in a class of tasks",
        ),
    ],
)
def test_a_dag_that_some_code_speaks_of_is_not_doubted(workflow, text):
    assert doubts(workflow(text)) == []


def test_a_dag_that_no_code_speaks_of_is_told(workflow):
    [found] = doubts(workflow(with_starter("signal.start_dag('other_dag')")))

    assert found == (
        "flow.py, line 10: Dag 'sub_dag' does not start with the run (autostart=False), and no code here starts it. "
        "Start it in a task: signal.start_dag('sub_dag')."
    )


def test_a_workflow_in_which_nothing_starts_is_told(workflow):
    found = doubts(workflow("main = Dag('main', autostart=False, schema={})\n"))

    assert found == ["No dag starts with the run, which ends at once. Leave autostart=False away for the first one."]


@pytest.mark.parametrize("body", ["print('%s is done' % data)", "x = 's'; print(f'{x} is done')", "print('a' + 'b')"])
def test_a_text_that_cannot_become_the_name_of_a_dag_does_not_speak_of_it(workflow, body):
    [found] = doubts(workflow(with_starter(body)))

    assert "no code here starts it" in found


def test_a_dag_without_a_schema_is_told(workflow):
    found = doubts(workflow("main = Dag('main')\nlater = Dag('later', autostart=False)\n"))

    assert found == [
        (
            "flow.py, line 8: Dag 'main' has no schema. No run of this file can start before define() is called with a "
            "dict of task -> children."
        ),
        (
            "flow.py, line 9: Dag 'later' has no schema. No task can start it before define() is called with a dict of "
            "task -> children."
        ),
    ]


def test_a_class_whose_tasks_do_nothing_is_told_once(workflow):
    found = doubts(
        workflow(
            "class Idle(BaseTask):\n    pass\n"
            "main = Dag('main', schema={Idle('a'): Idle('b'), BaseTask('join'): PythonTask('p')})\n"
        )
    )

    assert found == [
        (
            "flow.py, line 10: Class 'Idle' of task 'a' has no run() of its own, so the task does nothing. "
            "Write one: def run(self, data, store, signal, context, **kwargs)."
        ),
    ]


# --- limits ---


def with_limit(action, *, more=""):
    return (
        f"def choose(data, store, signal, context):\n    return {action}\n"
        "left, right, deep = (PythonTask(name) for name in ('left', 'right', 'deep'))\n"
        f"main = Dag('main', schema={{PythonTask('choose', choose): [left, right], left: deep{more}}})\n"
    )


@pytest.mark.parametrize(
    ("action", "name", "advice"),
    [
        ("Action(data, limit=['leeft'])", "leeft", "Did you mean 'left'?"),
        ("Action(data, ['left', 'zzz'])", "zzz", "It has left, right."),
        ("Action(data, limit=(deep,))", "deep", "It has left, right."),
        ("models.Action(data, limit=['zzz'])", "zzz", "It has left, right."),
    ],
)
def test_a_limit_that_names_no_successor_is_told(workflow, action, name, advice):
    assert doubts(workflow(with_limit(action))) == [
        f"flow.py, line 9: Action(limit=...) names '{name}', which is no immediate successor of task 'choose'. {advice}"
    ]


@pytest.mark.parametrize(
    "action",
    [
        "Action(data)",
        "Action(data, limit=None)",
        "Action(data, limit=[])",
        "Action(data, limit=['left', right])",
        "Action(data, limit=[data['which']])",
        "Action(data, limit=names)",
        "Reaction(data, limit=['zzz'])",
    ],
)
def test_a_limit_that_may_be_right_is_not_doubted(workflow, action):
    assert doubts(workflow(with_limit(action))) == []


def test_a_limit_that_is_right_for_one_of_the_tasks_with_that_callback_is_not_doubted(workflow):
    text = with_limit("Action(data, limit=['deep'])", more=", PythonTask('again', choose): deep")

    assert doubts(workflow(text)) == []
