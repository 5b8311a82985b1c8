"""A run in all its details as JSON has words for it: the contract of `nflow show --json`."""

from dataclasses import asdict
from typing import Any

from nflow.history.questions import RunLine, Story
from nflow.view.detail import AttemptDetail, DagDetail, ExecutionDetail, RunDetail, TaskDetail


def plain_run(story: Story) -> dict[str, Any]:
    """A run with its dag runs."""
    run = story.run
    return {
        "run": run.run,
        "workflow": run.workflow,
        "state": run.state,
        "queue": run.queue,
        "worker": run.worker,
        "submitted": run.submitted,
        "started": run.started,
        "ended": run.ended,
        "reason": run.reason,
        "stopped_by": run.by,
        "code": run.spec,
        "engine": run.engine,
        "directory": run.directory,
        "keeps_data": run.keep_data,
        "parameters": story.parameters,
        "tasks": counts_of(run),
        "retries": [asdict(retrial) for retrial in run.retrials],
        "gaps": [asdict(note) for note in run.notes],
        "dags": [_dag(dag) for dag in run.dags.values()],
    }


def plain_line(line: RunLine) -> dict[str, Any]:
    """A run that nobody has taken yet."""
    return {**asdict(line), "dags": []}


def counts_of(run: RunDetail) -> dict[str, int]:
    """How many tasks of a run are in which state."""
    return dict(+run.counts)


def _dag(dag: DagDetail) -> dict[str, Any]:
    return {
        "dag": dag.id,
        "state": dag.state,
        "worker": dag.worker,
        "requested": dag.requested,
        "started": dag.started,
        "ended": dag.ended,
        "reason": dag.reason,
        "stopped_by": dag.by,
        "superseded": dag.is_superseded,
        "counts": dict(+dag.counts),
        "tasks": [_task(task) for task in dag.tasks.values()],
    }


def _task(task: TaskDetail) -> dict[str, Any]:
    return {
        "task": task.id,
        "state": task.state,
        "since": task.since,
        "reason": task.reason,
        "attempts": [_attempt(attempt) for attempt in task.attempts.values()],
    }


def _attempt(attempt: AttemptDetail) -> dict[str, Any]:
    error = attempt.error
    return {
        "attempt": attempt.number,
        "state": attempt.state,
        "lost": attempt.lost,
        "reason": attempt.reason,
        "error": None
        if error is None
        else {"type": error.type, "message": error.message, "traceback": error.traceback, "hint": error.hint},
        "exit_code": attempt.exit_code,
        "output": list(attempt.output),
        "executions": [_execution(each) for each in attempt.executions.values()],
    }


def _execution(execution: ExecutionDetail) -> dict[str, Any]:
    plain = asdict(execution)
    plain["execution"] = plain.pop("number")
    return {**plain, "seconds": execution.seconds}
