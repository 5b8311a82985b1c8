"""What is done about tasks that fail or take too long. The task has the first say, then its dag, the file, the site."""

from dataclasses import dataclass, fields
from math import isinf
from typing import Any, Self

from nflow.core.spec import OnFailure
from nflow.errors import WorkflowDefinitionError
from nflow.models.retry import Retry
from nflow.models.times import fault_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What holds for all tasks of a workflow file whose dags and who themselves do not say otherwise.

    Put one at the top level of the file: `policy = Policy(retry=Retry(attempts=3), deadline=3600)`. Whatever is None
    is left to the settings of whoever starts the run.

    Args:
        retry: How often a task is tried.
        on_failure: What becomes of the others when one has failed for good: "stop_workflow" (by default), "stop_dag"
            or "skip_successors".
        timeout: Seconds that an attempt at a task may take; then it is ended, and has failed.
        deadline: Seconds that a run may take; then it is stopped, and has failed.

    Raises:
        WorkflowDefinitionError: one of them is none.
    """

    retry: Retry | None = None
    on_failure: OnFailure | str | None = None
    timeout: float | None = None
    deadline: float | None = None

    def __post_init__(self) -> None:
        _check("a Policy", self.retry, self.on_failure, self.timeout, self.deadline)
        if self.on_failure is not None:
            object.__setattr__(self, "on_failure", OnFailure(self.on_failure))

    def over(self, other: Self) -> Self:
        """This one, and the other's where this one says nothing."""
        said = {field.name: getattr(self, field.name) for field in fields(self)}
        return type(self)(**{name: getattr(other, name) if value is None else value for name, value in said.items()})


def _check(
    of: str,
    retry: object = None,
    on_failure: object = None,
    timeout: object = None,
    deadline: object = None,
) -> None:
    if retry is not None and not isinstance(retry, Retry):
        raise WorkflowDefinitionError(f"retry of {of} is {retry!r}. Give it a Retry, such as Retry(attempts=3).")
    if on_failure is not None and on_failure not in tuple(OnFailure):
        known = ", ".join(map(repr, map(str, OnFailure)))
        raise WorkflowDefinitionError(f"on_failure of {of} is {on_failure!r}. There are: {known}.")
    for name, seconds in (("timeout", timeout), ("deadline", deadline)):
        if fault := fault_of(name, seconds):
            raise WorkflowDefinitionError(f"{name}={seconds!r} of {of} {fault}")


#: Of a task or a dag that leaves all to others.
NOTHING_SAID = Policy()


def policy_of(of: str, **said: Any) -> Policy:
    """What a task or a dag says for itself; `of` tells which. Raises WorkflowDefinitionError."""
    given = {name: value for name, value in said.items() if value is not None}
    if not given:
        return NOTHING_SAID  # as almost every one of 100 000 tasks
    _check(of, **given)
    return Policy(**given)


def said_by(what: object) -> Policy:
    """What a task or a dag says; one whose class never calls the `__init__` of its base says nothing."""
    return getattr(what, "_nflow_policy", NOTHING_SAID)


def limit_of(seconds: float | None) -> float | None:
    """A limit, for drivers and workers, who know no endless ones."""
    return None if seconds is None or isinf(seconds) else float(seconds)
