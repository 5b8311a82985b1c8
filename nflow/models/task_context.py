"""Which task this is: what a callback gets as its `context`."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class TaskContext:
    """Which task of which run this is, and on which machine."""

    task_name: str
    dag_name: str  #: the running name, `main_dag:1`
    workflow_name: str
    workflow_id: str
    worker_hostname: str

    def to_dict(self) -> dict[str, str]:
        """The fields by name, ready for `str.format`."""
        return asdict(self)
