"""What one dag run knows: how far each task is, and what tasks hand on to each other.

It answers questions and decides nothing: `dag_run.apply` alone changes it.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from nflow.core.commands import StopRun
from nflow.core.dataset import Dataset, TaskInput
from nflow.core.events import Status, StopRequested, TaskEvent
from nflow.core.graph import Graph, graph_of
from nflow.core.ids import DagId, TaskId
from nflow.core.spec import DagSpec, OnFailure
from nflow.errors import NflowError


class TaskState(StrEnum):
    """How far a task is."""

    WAITING = "waiting"  #: for a predecessor
    READY = "ready"  #: in its queue, or on its way there
    RUNNING = "running"  #: claimed by a worker
    RETRYING = "retrying"  #: between two attempts
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


SETTLED = frozenset({TaskState.SUCCEEDED, TaskState.FAILED, TaskState.SKIPPED, TaskState.CANCELLED})
"""The states that a task ends in."""


@dataclass(slots=True, eq=False)
class DagRun:
    """The fold of a dag run's log. Its lists go by the position of a task in the spec.

    A state is *derived* while its event is in `unseen`: it follows from the events, but was not read from the log.
    """

    id: DagId
    spec: DagSpec
    input: TaskInput | None = None
    graph: Graph = field(init=False, repr=False)
    states: list[TaskState] = field(init=False, repr=False)
    counts: dict[TaskState, int] = field(init=False)
    unsettled: int = field(init=False)
    open: list[int] = field(init=False, repr=False)  #: predecessors that are still to be settled
    owed: list[int] = field(init=False, repr=False)  #: successors that may still ask for the task's output
    claims: list[tuple[int, int]] = field(init=False, repr=False)  #: the last claim's (attempt, execution)
    outputs: list[Dataset | None] = field(init=False, repr=False)
    limits: list[frozenset[str] | None] = field(init=False, repr=False)
    pauses: dict[int, float] = field(init=False, default_factory=dict)  #: before the next attempts of those that failed
    unseen: dict[int, TaskEvent] = field(init=False, default_factory=dict)
    stop: StopRequested | None = field(init=False, default=None)  #: the first one that was read
    stopping: str | None = field(init=False, default=None)  #: why nothing starts any more
    opening: int = field(init=False, default=0)  #: the number of the last `DagReopened`
    bases: dict[int, int] = field(init=False, default_factory=dict)  #: attempts before that, which do not count
    renewed: dict[int, int] = field(init=False, default_factory=dict)  #: openings in which tasks were to be done again
    missing: set[int] = field(init=False, default_factory=set)  #: outputs that are asked for again, and not at hand
    failure: tuple[int, str] | None = field(init=False, default=None)  #: of the failed tasks the first one, and why
    cause: StopRun | None = field(init=False, default=None)  #: the task of this dag run that ends the whole run

    def __post_init__(self) -> None:
        size = self.unsettled = len(self.spec.tasks)
        self.graph = graph_of(self.spec)
        self.open = [len(parents) for parents in self.graph.parents]
        self.owed = [len(children) for children in self.graph.children]
        self.states = [TaskState.WAITING if count else TaskState.READY for count in self.open]
        self.counts = dict.fromkeys(TaskState, 0)
        self.counts[TaskState.READY] = self.open.count(0)
        self.counts[TaskState.WAITING] = size - self.counts[TaskState.READY]
        self.claims = [(1, 0)] * size
        self.outputs = [None] * size
        self.limits = [None] * size

    @property
    def is_settled(self) -> bool:
        """Whether every task has ended or never will start."""
        return self.unsettled == 0

    @property
    def status(self) -> Status:
        """How the dag run ends, if all that is open goes well."""
        if self.counts[TaskState.FAILED]:
            return Status.FAILED
        return Status.SUCCEEDED if self.stopping is None else Status.STOPPED

    def state_of(self, task: TaskId) -> TaskState:
        """How far a task is."""
        return self.states[self.graph.index[task]]

    def renewed_in(self, task: TaskId) -> int:
        """The opening in which a task was last to be done again; 0 for none."""
        return self.renewed.get(self.graph.index[task], 0) if self.renewed else 0

    def tasks_in(self, state: TaskState) -> list[TaskId]:
        """The tasks that are just so far, as declared."""
        return [task.id for task, at in zip(self.spec.tasks, self.states, strict=True) if at is state]

    def move(self, position: int, state: TaskState, *, derived: TaskEvent | None = None) -> None:
        """Take down a task's new state, and the event that would say so if the log does not say it yet."""
        before = self.states[position]
        self.counts[before] -= 1
        self.counts[state] += 1
        self.unsettled += (before in SETTLED) - (state in SETTLED)
        self.states[position] = state
        self.unseen.pop(position, None)
        if derived is not None:
            self.unseen[position] = derived


def missing_outputs(run: DagRun) -> list[TaskId]:
    """Tasks that succeeded long ago and whose outputs are needed once more; `supply` takes what the log has of them."""
    return [run.spec.tasks[position].id for position in sorted(run.missing)]


def input_of(run: DagRun, task: TaskId) -> TaskInput:
    """What a ready task receives: a dataset for each predecessor that succeeded, in the order of the edges.

    Aliases are the predecessor's name and slots; of two alike the later one wins. A root gets the input of the dag as
    it is. A task without any data gets one empty dataset under its own name.

    Raises:
        NflowError: the task is not ready: a predecessor's output is not known yet, or no longer.
    """
    position = run.graph.index[task]
    parents = run.graph.parents[position]
    if not parents and run.input is not None and run.input.datasets:
        return run.input
    datasets: list[Dataset] = []
    aliases: dict[str, int] = {}
    for parent in parents:
        if run.states[parent] in (TaskState.SKIPPED, TaskState.FAILED):
            continue
        names = (run.spec.tasks[parent].name, *run.graph.slots.get((parent, position), ()))
        aliases |= dict.fromkeys(names, len(datasets))
        datasets.append(_output_of(run, parent, task))
    if not datasets:
        return TaskInput(datasets=(Dataset(),), aliases={run.spec.tasks[position].name: 0})
    return TaskInput(datasets=tuple(datasets), aliases=aliases)


def _output_of(run: DagRun, parent: int, task: TaskId) -> Dataset:
    output = run.outputs[parent]
    if output is None:
        raise NflowError(
            f"The input of {task!r}, which is {run.state_of(task)}, is not at hand: {run.spec.tasks[parent].id!r} is "
            f"{run.states[parent]}. Ask for it while the task is ready. This is {story(run)}."
        )
    return output


def story(run: DagRun) -> str:
    """What the run knows, in a line, for errors."""
    parts = [_told(run, state) for state in TaskState if run.counts[state]]
    ending = [f"stopping: {run.stopping}"] if run.stopping is not None else []
    return f"dag run {run.id!r} ({'; '.join([*parts, *ending]) or 'without tasks'})"


def _told(run: DagRun, state: TaskState) -> str:
    tasks = run.tasks_in(state)
    return f"{len(tasks)} {state}: {', '.join(tasks[:3])}{', …' if len(tasks) > 3 else ''}"


def check_invariants(run: DagRun) -> None:
    """What holds after any events whatever; an assertion that fails tells the run's story."""
    at = story(run)
    assert run.counts == {state: run.states.count(state) for state in TaskState}, at
    assert run.unsettled == sum(state not in SETTLED for state in run.states), at
    for position, event in run.unseen.items():
        assert run.states[position] in (TaskState.SKIPPED, TaskState.CANCELLED), at
        assert event.task == run.spec.tasks[position].id, at
    for position, parents in enumerate(run.graph.parents):
        assert 0 <= run.open[position] <= len(parents), at
    if run.stopping is None:
        _check_progress(run, at)
    else:
        assert not run.counts[TaskState.WAITING], at


def _check_progress(run: DagRun, at: str) -> None:
    passed = {TaskState.SUCCEEDED, TaskState.SKIPPED, TaskState.FAILED}
    failed = [task for task, state in zip(run.spec.tasks, run.states, strict=True) if state is TaskState.FAILED]
    assert all(task.on_failure is OnFailure.SKIP_SUCCESSORS for task in failed), at
    assert not run.counts[TaskState.CANCELLED], at
    for position, state in enumerate(run.states):
        parents, children = run.graph.parents[position], run.graph.children[position]
        assert run.open[position] == sum(run.states[parent] not in passed for parent in parents), at
        assert run.owed[position] == sum(run.states[child] not in passed for child in children), at
        assert (state is TaskState.WAITING) <= (run.open[position] > 0), at
        is_asked_for = state is TaskState.SUCCEEDED and run.owed[position] > 0
        assert (run.outputs[position] is not None or position in run.missing) == is_asked_for, at
        is_new = run.claims[position] == (run.bases.get(position, 0) + 1, 0)
        assert (state is TaskState.READY and is_new) <= (run.open[position] == 0), at
