"""Runs whose invariants are checked when their test is over."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from nflow.core import dag_run as dag_machine
from nflow.core import workflow_run as workflow_machine
from nflow.core.dag_run import DagRun
from nflow.core.dataset import TaskInput
from nflow.core.ids import DagId, RunId
from nflow.core.spec import DagSpec
from nflow.core.workflow_run import WorkflowRun
from tests.core.build import dag, workflow

MakeDagRun = Callable[..., DagRun]
MakeWorkflowRun = Callable[..., WorkflowRun]


@pytest.fixture
def dag_run() -> Iterator[MakeDagRun]:
    made: list[DagRun] = []

    def make(links: str = "", *, data: TaskInput | None = None, **policy: Any) -> DagRun:
        made.append(DagRun(DagId("main:1"), dag(links, **policy), data))
        return made[-1]

    yield make
    for run in made:
        dag_machine.check_invariants(run)


@pytest.fixture
def workflow_run() -> Iterator[MakeWorkflowRun]:
    made: list[WorkflowRun] = []

    def make(*dags: DagSpec) -> WorkflowRun:
        made.append(WorkflowRun(RunId("r1"), workflow(*dags)))
        return made[-1]

    yield make
    for run in made:
        workflow_machine.check_invariants(run)
