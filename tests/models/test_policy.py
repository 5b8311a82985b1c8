"""What users say of failures and time limits, and what drivers are told of it."""

import math
from pathlib import Path

import pytest

from nflow.core.spec import OnFailure
from nflow.errors import WorkflowDefinitionError
from nflow.models import Dag, Policy, Retry
from nflow.models.plan import plan, plan_workflow
from nflow.models.policy import said_by
from nflow.models.workflow import assembled
from nflow.tasks import BashTask, PythonTask


def code_of(task):
    return "code"


@pytest.mark.parametrize("make", [lambda **said: PythonTask("a", **said), lambda **said: Dag("a", **said), Policy])
@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"on_failure": "ignore"}, r"on_failure of .* is 'ignore'\. There are: 'stop_workflow', 'stop_dag'"),
        ({"retry": 3}, r"retry of .* is 3\. Give it a Retry"),
        ({"timeout": 0}, r"timeout=0 of .* is no time that anything could take"),
        ({"timeout": "5"}, r"timeout='5' of .* is no time"),
    ],
)
def test_a_policy_that_is_none_is_refused(make, wrong, words):
    with pytest.raises(WorkflowDefinitionError, match=words):
        make(**wrong)


def test_a_deadline_is_looked_at_too():
    with pytest.raises(WorkflowDefinitionError, match="deadline=-1 of a Policy"):
        Policy(deadline=-1)


def test_a_task_says_more_than_its_dag():
    dag = Dag("main", retry=Retry(attempts=2), on_failure="stop_dag", timeout=60)
    own = BashTask("own", "true", retry=Retry(attempts=7), on_failure="skip_successors")
    dag.define({PythonTask("plain"): own, PythonTask("endless", timeout=math.inf): None})

    plain, special, endless = plan(dag, code_of).tasks

    assert (plain.retry.attempts, plain.on_failure, plain.timeout) == (2, OnFailure.STOP_DAG, 60)
    assert (special.retry.attempts, special.on_failure, special.timeout) == (7, OnFailure.SKIP_SUCCESSORS, 60)
    assert endless.timeout is None


def test_a_dag_says_more_than_its_file_and_that_more_than_the_settings():
    names = {
        "a": Dag("a", schema={PythonTask("t"): None}, timeout=1),
        "b": Dag("b", schema={PythonTask("t"): None}),
        "policy": Policy(timeout=2, deadline=50),
    }
    workflow = assembled(names, path=Path("w.py"))
    usual = Policy(timeout=3, on_failure="stop_dag", deadline=100)

    spec = plan_workflow(workflow, code_of, python="py", engine="0", usual=usual)

    assert [dag.tasks[0].timeout for dag in spec.dags.values()] == [1, 2]
    assert {dag.tasks[0].on_failure for dag in spec.dags.values()} == {OnFailure.STOP_DAG}
    assert spec.deadline == 50


def test_a_file_has_one_policy_by_however_many_names():
    policy = Policy(timeout=2)
    dag = Dag("main", schema={})

    assert assembled({"dag": dag, "policy": policy, "again": policy}, path=Path("w.py")).policy is policy
    with pytest.raises(WorkflowDefinitionError, match=r"w\.py has several policies: 'one' and 'two'"):
        assembled({"dag": dag, "one": policy, "two": Policy()}, path=Path("w.py"))


def test_a_policy_is_no_part_of_the_code_that_tasks_share():
    tasks = [PythonTask("a", retry=Retry(), timeout=5), PythonTask("b", on_failure="stop_dag")]

    assert tasks[0].shipped() == tasks[1].shipped()
    assert said_by(PythonTask.restored(tasks[0].shipped()[1], name="a")) == Policy()


def test_what_users_call_their_own_attributes_is_no_policy():
    class Detector(PythonTask):
        def __init__(self):
            super().__init__("read")
            self.timeout, self.retry, self.on_failure = 5, "often", None

    [task] = plan(Dag("main", schema={Detector(): None}), code_of).tasks

    assert (task.timeout, task.retry) == (None, None)
