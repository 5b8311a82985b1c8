"""Tasks: what their constructors refuse, and how they travel to another process."""

import functools

import pytest

from nflow.errors import WorkflowDefinitionError
from nflow.models import BaseTask
from nflow.tasks import PythonTask


def good(data, store, signal, context):
    pass


def with_status(status, data, store, signal, context):
    pass


def wrapped(function):
    @functools.wraps(function)
    def wrapper(data, store, signal, context):
        return function(data)

    return wrapper


class Callable:
    def __call__(self, data, store, signal, context):
        pass

    def method(self, data, store, signal, context):
        pass


def test_a_task_has_the_defaults_that_users_know():
    task = PythonTask("work")

    assert (task.name, task.queue, task.has_to_run, task.propagate_skip) == ("work", "task", False, True)


@pytest.mark.parametrize(
    "callback",
    [
        None,
        good,
        lambda *arguments: None,
        lambda data, store, signal, context, extra=None: None,
        lambda data, store, signal, context, *, extra=None: None,
        Callable(),
        Callable().method,
        functools.partial(with_status, None),
        wrapped(lambda data: None),
        max,
    ],
)
def test_whatever_takes_four_arguments_can_be_a_callback(callback):
    assert PythonTask("work", callback=callback).callback is callback


@pytest.mark.parametrize(
    ("callback", "complaint"),
    [
        pytest.param(lambda: None, r"must take 4 arguments: \(data, store, signal, context\)", id="none"),
        pytest.param(lambda data: None, "must take 4 arguments", id="one"),
        pytest.param(with_status, "must take 4 arguments", id="five"),
        pytest.param(lambda data, store, signal, context, *, extra: None, "must take 4 arguments", id="one by name"),
        pytest.param(5, "cannot be called", id="a number"),
        pytest.param("good", "cannot be called", id="a name"),
    ],
)
def test_other_callbacks_are_refused_where_the_task_is_defined(callback, complaint):
    with pytest.raises(WorkflowDefinitionError, match=f"callback of task 'work'.*{complaint}"):
        PythonTask("work", callback=callback)


def test_callbacks_that_would_run_nothing_are_refused():
    async def coroutine(data, store, signal, context):
        pass

    def generator(data, store, signal, context):
        yield

    class Lazy:
        async def __call__(self, data, store, signal, context):
            pass

    for callback in (coroutine, generator, Lazy()):
        with pytest.raises(WorkflowDefinitionError, match="Use a plain function"):
            PythonTask("work", callback=callback)


def test_the_callbacks_around_a_task_are_checked_too():
    with pytest.raises(WorkflowDefinitionError, match="callback_init of task 'work'"):
        BaseTask("work", callback_init=with_status)
    with pytest.raises(WorkflowDefinitionError, match=r"callback_finally of task 'work'.*status, data"):
        BaseTask("work", callback_finally=good)
    BaseTask("work", callback_init=good, callback_finally=with_status)


@pytest.mark.parametrize("name", ["", None, 7])
def test_a_task_needs_a_name(name):
    with pytest.raises(WorkflowDefinitionError, match="PythonTask got"):
        PythonTask(name)


def test_a_task_is_shipped_without_what_the_plan_says():
    kind, state = PythonTask("work", good, queue="fast", force_run=True).shipped()

    assert kind is PythonTask
    assert state == {"callback": good, "callback_init": None, "callback_finally": None}


def test_a_shipped_task_comes_back_under_the_name_in_the_plan():
    kind, state = PythonTask("work", good).shipped()

    task = kind.restored(state, name="other", queue="fast", force_run=True, propagate_skip=False)

    assert type(task) is PythonTask
    assert (task.name, task.queue, task.has_to_run, task.propagate_skip) == ("other", "fast", True, False)
    assert task.callback is good


def test_a_subclass_may_have_slots():
    class Slim(BaseTask):
        __slots__ = ("limit",)

        def __init__(self, name):
            super().__init__(name)
            self.limit = 5

    kind, state = Slim("slim").shipped()

    assert kind.restored(state, name="slim").limit == 5


def test_a_subclass_may_say_how_it_travels():
    class Connected(BaseTask):
        def __init__(self, name):
            super().__init__(name)
            self.connection = open  # stands for what cannot travel

        def __getstate__(self):
            return {**self.__dict__, "connection": None}

        def __setstate__(self, state):
            self.__dict__.update(state)
            self.connection = f"connection of {self.name}"

    kind, state = Connected("work").shipped()

    assert state["connection"] is None
    assert kind.restored(state, name="work").connection == "connection of work"
