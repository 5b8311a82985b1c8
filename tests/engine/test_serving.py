"""What a run lacks, by what the workers serve."""

from types import SimpleNamespace

import pytest

from nflow.engine.serving import Lack, Needs, served_by

NEEDS = Needs(queues=("workflow", "dag", "task", "gpu"), tasks=frozenset({"task", "gpu"}), python="py311")


def worker(*queues: str, python: str = "py311") -> SimpleNamespace:
    return SimpleNamespace(queues=queues, python=python)


def test_a_run_whose_queues_are_all_served_lacks_nothing():
    served = served_by([worker("workflow", "dag"), worker("task", "gpu")])

    assert served.lacks(NEEDS) == {}


def test_a_queue_without_a_worker_is_lacking():
    served = served_by([worker("workflow", "dag", "task")])

    assert served.lacks(NEEDS) == {"gpu": Lack(queue="gpu")}


def test_tasks_lack_a_worker_where_all_have_another_python():
    served = served_by([worker("workflow", "dag", "task"), *(worker("gpu", python=tag) for tag in ("py313", "py312"))])

    assert served.lacks(NEEDS) == {"gpu": Lack(queue="gpu", python="py311", there=("py312", "py313"))}


def test_one_worker_of_the_right_python_is_enough():
    served = served_by([worker("workflow", "dag", "task", "gpu", python=tag) for tag in ("py312", "py311")])

    assert served.lacks(NEEDS) == {}


@pytest.mark.parametrize("queue", ["workflow", "dag"])
def test_drivers_may_have_any_python(queue: str):
    served = served_by([worker("workflow", "dag", python="py312"), worker("task", "gpu")])

    assert queue not in served.lacks(NEEDS)
