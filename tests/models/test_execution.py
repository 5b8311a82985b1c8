"""Running one task: which ending comes of what its code does, and what its callbacks are told."""

import pytest

from nflow.errors import DataInvalidIndex, TaskReturnActionInvalid
from nflow.models import (
    AbortWorkflow,
    Action,
    BaseTask,
    MultiTaskData,
    StopTask,
    TaskContext,
    TaskData,
    TaskStatus,
)
from nflow.models.execution import Aborted, Failed, Succeeded, run_task
from nflow.tasks import PythonTask

CONTEXT = TaskContext("work", "main_dag:1", "flow", "run-1", "host")


class Boom(Exception):
    pass


def given(**values):
    return MultiTaskData(dataset=TaskData(values, task_history=["before"]), aliases=["before"])


def run(callback=None, *, data=None, init=None, closing=None, name="work"):
    task = PythonTask(name, callback, callback_init=init, callback_finally=closing)
    return run_task(task, given(n=1) if data is None else data, object(), object(), CONTEXT)


def raising(error):
    def callback(*arguments):
        raise error

    return callback


class Finally:
    """A `callback_finally` that notes what it was told, and may raise."""

    def __init__(self, error=None):
        self.error = error
        self.statuses = []

    def __call__(self, status, data, store, signal, context):
        self.statuses.append(status)
        if self.error is not None:
            raise self.error


# --- ending well ---


def test_a_task_that_returns_none_hands_on_its_data():
    def work(data, store, signal, context):
        data["n"] += 1

    ending = run(work)

    assert isinstance(ending, Succeeded)
    assert ending.data.data == {"n": 2}
    assert ending.data.task_history == ["before", "work"]
    assert (ending.limit, ending.stopped) == (None, None)


def test_a_task_without_a_callback_hands_on_its_data():
    assert run().data.data == {"n": 1}


def test_a_bare_base_task_hands_on_its_data():
    assert run_task(BaseTask("work"), given(n=1), object(), object(), CONTEXT).data.data == {"n": 1}


def test_all_inputs_are_merged_into_what_a_task_hands_on():
    data = MultiTaskData()
    data.add_dataset("a", TaskData({"n": 1, "a": 1}, task_history=["a"]))
    data.add_dataset("b", TaskData({"n": 2, "b": 2}, task_history=["b"]))

    ending = run(data=data)

    assert ending.data.data == {"n": 1, "a": 1, "b": 2}
    assert ending.data.task_history == ["b", "a", "work"]


def test_an_action_chooses_data_and_successors_by_task_and_by_name():
    other = MultiTaskData(dataset=TaskData({"m": 5}))

    ending = run(lambda data, store, signal, context: Action(other, limit=[PythonTask("left"), "right"]))

    assert ending.data.data == {"m": 5}
    assert ending.limit == ("left", "right")


def test_an_empty_limit_lets_no_successor_run():
    assert run(lambda data, *others: Action(data, limit=[])).limit == ()


def test_without_any_input_a_task_still_has_a_dataset_of_its_own_name():
    def work(data, store, signal, context):
        data("work")["n"] = 1

    ending = run(work, data=MultiTaskData())

    assert ending.data.data == {"n": 1}
    assert ending.data.task_history == ["work"]


def test_an_action_with_empty_data_hands_on_an_empty_dataset():
    assert run(lambda data, *others: Action(MultiTaskData())).data.data == {}


def test_the_callbacks_around_a_task_come_in_order_and_share_its_data():
    seen = []

    def init(data, store, signal, context):
        seen.append("init")
        data["n"] = 10

    def work(data, store, signal, context):
        seen.append("run")
        data["n"] += 1

    def closing(status, data, store, signal, context):
        seen.append(status)
        data["n"] *= 2

    ending = run(work, init=init, closing=closing)

    assert seen == ["init", "run", TaskStatus.Success]
    assert ending.data.data == {"n": 22}


def test_a_task_is_given_the_four_things_it_asks_for():
    seen = []
    store, signal = object(), object()
    task = PythonTask("work", lambda *arguments: seen.extend(arguments))
    data = given(n=1)

    run_task(task, data, store, signal, CONTEXT)

    assert seen == [data, store, signal, CONTEXT]


# --- ending on purpose ---


def test_stop_task_ends_well_and_skips_the_successors():
    closing = Finally()

    def work(data, store, signal, context):
        data["n"] = 2
        raise StopTask("nothing to do")

    ending = run(work, closing=closing)

    assert (ending.limit, ending.stopped) == ((), "nothing to do")
    assert ending.data.data == {"n": 2}
    assert ending.data.task_history == ["before", "work"]
    assert closing.statuses == [TaskStatus.Stopped]


def test_stop_task_may_let_the_successors_run():
    ending = run(raising(StopTask(skip_successors=False)))

    assert (ending.limit, ending.stopped) == (None, "")


def test_abort_workflow_ends_the_run():
    closing = Finally()

    assert run(raising(AbortWorkflow("beam lost")), closing=closing) == Aborted(reason="beam lost")
    assert closing.statuses == [TaskStatus.Aborted]


@pytest.mark.parametrize(
    ("error", "status"),
    [(StopTask(), TaskStatus.Stopped), (AbortWorkflow(), TaskStatus.Aborted), (Boom(), TaskStatus.Error)],
)
def test_an_ending_in_callback_init_keeps_the_task_from_running(error, status):
    ran, closing = [], Finally()

    run(lambda *arguments: ran.append(1), init=raising(error), closing=closing)

    assert ran == []
    assert closing.statuses == [status]


@pytest.mark.parametrize("ending", [StopTask, AbortWorkflow])
def test_an_ending_may_be_wordless(ending):
    assert (str(ending()), ending().message, str(ending("why"))) == ("", "", "why")


# --- ending badly ---


@pytest.mark.parametrize("error", [Boom("x"), SystemExit(0), KeyboardInterrupt(), RecursionError()])
def test_whatever_a_task_raises_is_a_failure(error):
    closing = Finally()

    ending = run(raising(error), closing=closing)

    assert ending == Failed(exception=error)
    assert closing.statuses == [TaskStatus.Error]


@pytest.mark.parametrize("result", [given(n=1), TaskData(), {"n": 1}, 5, False])
def test_only_an_action_or_none_may_be_returned(result):
    closing = Finally()

    ending = run(lambda *arguments: result, closing=closing)

    assert isinstance(ending.exception, TaskReturnActionInvalid)
    assert f"Task 'work' returned a {type(result).__name__}" in str(ending.exception)
    assert closing.statuses == [TaskStatus.Error]


@pytest.mark.parametrize(
    ("data", "limit", "complaint"),
    [
        pytest.param(None, None, "cannot carry a NoneType", id="no data"),
        pytest.param({"n": 1}, None, "cannot carry a dict", id="a dict"),
        pytest.param(TaskData(), None, "cannot carry a TaskData", id="a single dataset"),
        pytest.param(given(), "left", r"Write limit=\['left'\]", id="a name as the limit"),
        pytest.param(given(), PythonTask("left"), r"Write limit=\['left'\]", id="a task as the limit"),
        pytest.param(given(), 5, "is 5, which is not a list. Give a list of tasks", id="a number as the limit"),
        pytest.param(given(), [5], "5 in the limit", id="a number in the limit"),
    ],
)
def test_an_action_that_cannot_be_meant_is_refused(data, limit, complaint):
    ending = run(lambda *arguments: Action(data, limit=limit))

    assert isinstance(ending.exception, TaskReturnActionInvalid)
    with pytest.raises(TaskReturnActionInvalid, match=complaint):
        raise ending.exception


def test_an_action_that_was_spoilt_after_it_was_made_is_refused():
    def work(data, store, signal, context):
        action = Action(data)
        action.data = None
        return action

    assert isinstance(run(work).exception, TaskReturnActionInvalid)


@pytest.mark.parametrize("limit", ["left", 5])
def test_a_limit_that_is_set_later_must_be_a_list_too(limit):
    def work(data, store, signal, context):
        action = Action(data)
        action.limit = limit
        return action

    assert "which is not a list" in str(run(work).exception)


def test_a_limit_that_is_set_later_may_be_anything_to_go_through():
    def work(data, store, signal, context):
        action = Action(data)
        action.limit = (name for name in ("left", "right"))
        return action

    assert run(work).limit == ("left", "right")


def test_a_value_that_cannot_be_fetched_for_merging_is_a_failure():
    class Lost:
        type = "dict"
        size_bytes = 5

        def load(self):
            raise Boom("lost")

    data = MultiTaskData()
    data.add_dataset("a", TaskData.of_remotes({"x": Lost()}))
    data.add_dataset("b", TaskData({"x": {}}))

    assert isinstance(run(data=data).exception, Boom)


# --- a callback_finally that raises ---


def test_a_failing_callback_finally_fails_the_task_and_is_called_once():
    closing = Finally(Boom("late"))

    ending = run(closing=closing)

    assert ending == Failed(exception=closing.error)
    assert closing.statuses == [TaskStatus.Success]


def test_an_abort_is_not_taken_for_success_when_callback_finally_fails():
    abort, closing = AbortWorkflow("beam lost"), Finally(Boom("late"))

    ending = run(raising(abort), closing=closing)

    assert ending == Failed(exception=closing.error)
    assert closing.error.__context__ is abort
    assert closing.statuses == [TaskStatus.Aborted]


def test_the_first_failure_is_the_one_that_counts():
    first, closing = Boom("first"), Finally(Boom("late"))

    ending = run(raising(first), closing=closing)

    assert ending == Failed(exception=first)
    assert "late" in first.__notes__[0]


def test_callback_finally_may_stop_or_abort_what_went_well():
    stop, abort = Finally(StopTask("enough")), Finally(AbortWorkflow("enough"))

    assert (run(closing=stop).limit, run(closing=stop).stopped) == ((), "enough")
    assert run(closing=abort) == Aborted(reason="enough")
    assert abort.statuses == [TaskStatus.Success]


def test_callback_finally_cannot_make_an_ending_better():
    failure = Boom("x")

    assert run(raising(failure), closing=Finally(StopTask())) == Failed(exception=failure)
    assert run(raising(AbortWorkflow("x")), closing=Finally(StopTask())) == Aborted(reason="x")


# --- actions by themselves ---


def test_an_action_can_be_copied():
    action = Action(given(n=1), limit=(name for name in ("a", "b")))

    copy = action.copy()

    assert copy.data is action.data
    assert copy.limit_names() == ("a", "b")
    assert copy.limit is not action.limit


def test_data_without_datasets_can_still_not_be_flattened_by_hand():
    with pytest.raises(DataInvalidIndex):
        MultiTaskData().flatten()
