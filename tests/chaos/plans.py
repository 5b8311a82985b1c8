"""The workflows of the suite, and how each of them is meant to end."""

from dataclasses import dataclass
from pathlib import Path

from nflow.core.events import Status

WORKFLOWS = Path(__file__).with_name("workflows")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is expected of the runs of one workflow when nobody stops them and nothing is killed."""

    workflow: str
    status: Status = Status.SUCCEEDED
    failures: frozenset[str] = frozenset()  #: the errors that its tasks raise on purpose
    share: int = 2  #: how many of the runs are of this workflow, in proportion
    stopped: float = 0.06  #: the part of its runs that the suite stops

    @property
    def path(self) -> Path:
        """Its file."""
        return WORKFLOWS / f"{self.workflow}.py"


_PLANNED = frozenset({"Planned"})

PLANS = {
    plan.workflow: plan
    for plan in (
        Plan(workflow="chain", share=4),
        Plan(workflow="fan", share=3),
        Plan(workflow="sub_dags", share=3),
        Plan(workflow="retries", failures=frozenset({"NotYet"})),
        Plan(workflow="pushes", share=3),
        Plan(workflow="large"),
        Plan(workflow="program"),
        Plan(workflow="long", share=3, stopped=0.6),
        Plan(workflow="fails_workflow", status=Status.FAILED, failures=_PLANNED, share=1),
        Plan(workflow="fails_dag", status=Status.FAILED, failures=_PLANNED, share=1),
        Plan(workflow="fails_branch", status=Status.FAILED, failures=_PLANNED, share=1),
        Plan(workflow="aborts", status=Status.STOPPED, share=1),
    )
}
