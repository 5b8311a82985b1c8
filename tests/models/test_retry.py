"""What users say of trying again, and what drivers are told of it."""

import pytest

from nflow.core.spec import OnFailure
from nflow.errors import WorkflowDefinitionError
from nflow.models import Dag, Retry
from nflow.models.plan import plan
from nflow.tasks import BashTask, PythonTask


class DarkFrame(OSError):
    pass


def test_errors_are_named_for_the_drivers():
    spec = Retry(attempts=5, on=(DarkFrame, "TimeoutError"), give_up_on=[ValueError]).spec()

    assert spec.attempts == 5
    assert spec.on == (f"{__name__}.DarkFrame", "TimeoutError")
    assert spec.give_up_on == ("builtins.ValueError",)
    assert Retry(on=OSError).spec().on == ("builtins.OSError",)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"attempts": 0}, "attempts=0"),
        ({"pause": -1}, "pause=-1"),
        ({"factor": 0.5}, "factor=0.5"),
        ({"jitter": 2}, "jitter=2"),
        ({"max_pause": -1, "attempts": 0}, "attempts=0: there is at least one; max_pause=-1"),
        ({"on": (5,)}, "5 is no class of errors"),
        ({"on": int}, "is no class of errors"),
    ],
)
def test_a_policy_out_of_range_is_refused(wrong, words):
    with pytest.raises(WorkflowDefinitionError, match=words):
        Retry(**wrong)


@pytest.mark.parametrize("make", [lambda: PythonTask("a", on_failure="ignore"), lambda: Dag("a", on_failure="ignore")])
def test_an_unknown_policy_is_refused_with_those_that_there_are(make):
    with pytest.raises(WorkflowDefinitionError, match=r"'ignore'\. There are: 'stop_workflow', 'stop_dag'"):
        make()


def test_a_task_says_more_than_its_dag():
    dag = Dag("main", retry=Retry(attempts=2), on_failure="stop_dag")
    own = BashTask("own", "true", retry=Retry(attempts=7), on_failure="skip_successors")
    dag.define({PythonTask("plain"): own})

    plain, special = plan(dag, lambda task: "code").tasks

    assert (plain.retry.attempts, plain.on_failure) == (2, OnFailure.STOP_DAG)
    assert (special.retry.attempts, special.on_failure) == (7, OnFailure.SKIP_SUCCESSORS)


def test_a_policy_is_no_part_of_the_code_that_tasks_share():
    tasks = [PythonTask("a", retry=Retry()), PythonTask("b", on_failure="stop_dag")]

    assert tasks[0].shipped() == tasks[1].shipped()
    assert PythonTask.restored(tasks[0].shipped()[1], name="a").retry is None
