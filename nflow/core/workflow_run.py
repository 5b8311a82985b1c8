"""What a workflow run wants next: events in, commands out.

Pure, as `dag_run` is. A request for a dag is answered at once, by the promise of a running name; the `DagStarted` in
the log is what makes the name true, and wins where a fold had promised another one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from nflow.core.commands import Command, FinishRun, Record, StartDag, StopDag
from nflow.core.events import (
    DagFinished,
    DagRefused,
    DagRequested,
    DagStarted,
    Event,
    OwnerChanged,
    RunFinished,
    RunRetried,
    RunStarted,
    Status,
    StopRequested,
)
from nflow.core.ids import DagId, DagName
from nflow.core.unknown import UnknownEvent
from nflow.core.workflow_state import (
    RunState,
    WorkflowRun,
    autostart_key,
    can_be_reopened,
    check_invariants,
    name_of,
    next_of,
    number_of,
    request_of,
    story,
    unasked,
)

__all__ = [
    "RunState",
    "WorkflowRun",
    "apply",
    "autostart_key",
    "begin",
    "can_be_reopened",
    "check_invariants",
    "outstanding",
    "request_of",
    "story",
    "unasked",
]


def begin(run: WorkflowRun) -> list[Command]:
    """Nothing: a run that has no log yet begins with its `RunStarted`."""
    return outstanding(run)


def apply(run: WorkflowRun, event: Event) -> list[Command]:
    """Take `event` into the run; what must now be done about it.

    Raises:
        UnknownEvent: the event is of no known type, or belongs to the log of a dag run.
    """
    was_due = run.is_due and not _reopens(run, event)
    commands = _take(run, event)
    if run.is_due and not was_due:
        commands.append(_finish(run))
    return commands


def outstanding(run: WorkflowRun) -> list[Command]:
    """Everything that should be done and is not known to be done, for a driver that took over."""
    if run.status is not None:
        return []
    commands = _record(run.unseen.values())
    commands += [_start(run, dag) for dag in run.running if _can_start(run, dag)]
    for dag in run.running:
        commands += _stopped(run, dag)
    if run.is_due:
        commands.append(_finish(run))
    return commands


def _reopens(run: WorkflowRun, event: Event) -> bool:
    return isinstance(event, RunRetried) and event.number > run.opening


def _take(run: WorkflowRun, event: Event) -> list[Command]:
    match event:
        case DagRequested():
            return _requested(run, event)
        case RunStarted() | DagStarted() | DagRefused() | DagFinished() | StopRequested():
            return _take_of_unfinished(run, event) if run.status is None else []
        case RunFinished(status=status, opening=opening):
            if opening >= run.opening:
                run.status = run.status or status
            return []
        case RunRetried(number=number):
            return _reopened(run, event) if number > run.opening else []
        case OwnerChanged():
            return []
        case _:
            raise UnknownEvent(event, story(run))


def _take_of_unfinished(
    run: WorkflowRun, event: RunStarted | DagStarted | DagRefused | DagFinished | StopRequested
) -> list[Command]:
    match event:
        case RunStarted():
            return _started(run)
        case DagStarted(key=key, dag=dag):
            return _recorded_as_started(run, key, dag)
        case DagRefused(key=key, opening=opening):
            return _recorded_as_refused(run, key) if opening >= run.opening else []
        case DagFinished(dag=dag, opening=opening):
            return _dag_finished(run, event) if opening >= run.openings.get(dag, 0) else []
        case StopRequested(dag=dag):
            return _stop_requested(run, event) if dag is None else _stop_of_dag_requested(run, event, dag)


# --- what is asked for -----------------------------------------------------------------------------------------------


def _started(run: WorkflowRun) -> list[Command]:
    if run.is_started:
        return []
    run.is_started = True
    if run.stop is not None:
        return []
    return _start_by_itself(run)


def _start_by_itself(run: WorkflowRun) -> list[Command]:
    names = (name for name, dag in run.spec.dags.items() if dag.autostart)
    return _promise(run, {key: name for name in names if (key := autostart_key(name)) not in run.granted})


def _requested(run: WorkflowRun, event: DagRequested) -> list[Command]:
    dag = run.granted.get(event.key)
    if dag is not None:
        return _requested_after_all(run, event, dag)
    if event.key in run.refused:
        return []
    run.requests[event.key] = event  # a refused one too, until that is on record: an earlier driver may have granted it
    if event.dag not in run.spec.dags:
        return _refuse(run, event.key, f"the workflow has no dag {event.dag!r}", unknown=True)
    if run.status is not None or run.stop is not None:
        reason = "the run has ended" if run.status is not None else "the run is stopping"
        return _refuse(run, event.key, reason, unknown=False)
    return _promise(run, {event.key: event.dag})


def _requested_after_all(run: WorkflowRun, event: DagRequested, dag: DagId) -> list[Command]:
    """Take in a request whose answer was read first: only now is the dag's input known."""
    if event.key in run.requests or dag not in run.running or run.status is not None:
        return []
    run.requests[event.key] = event
    return [_start(run, dag), *_stopped(run, dag)]


def _stop_requested(run: WorkflowRun, event: StopRequested) -> list[Command]:
    """The first stop counts, but for the time that running tasks have left: people lose their patience."""
    before, run.stop = run.stop, _hastened(run.stop, event)
    return [] if run.stop == before else [command for dag in run.running for command in _stopped(run, dag)]


def _stop_of_dag_requested(run: WorkflowRun, event: StopRequested, dag: DagId) -> list[Command]:
    """Stop a dag run, or all runs of a dag where `dag` is its name as it is defined."""
    meant = [dag] if dag in run.running else [each for each in run.running if name_of(each) == DagName(dag)]
    before = {each: _stopped(run, each) for each in meant}
    run.stops.update({each: _hastened(run.stops.get(each), event) for each in meant})
    return [command for each in meant if (now := _stopped(run, each)) != before[each] for command in now]


def _hastened(first: StopRequested | None, later: StopRequested) -> StopRequested:
    """A stop that was asked for again: as it was, with the shorter time of the two.

    A failure outweighs a wish, whichever was read first: pushes may come in another order than they were stored in.
    """
    if first is None:
        return later
    said = later if later.status is Status.FAILED and first.status is not Status.FAILED else first
    return replace(said, grace=_shorter(first.grace, later.grace))


def _shorter(*graces: float | None) -> float | None:
    return min((grace for grace in graces if grace is not None), default=None)


# --- answers and ends ------------------------------------------------------------------------------------------------


def _promise(run: WorkflowRun, names: Mapping[str, DagName]) -> list[Command]:
    """Grant requests, each under the next free running name: first on record, then started."""
    for key, name in names.items():
        dag = next_of(run, name)
        _bind(run, key, dag)
        run.unseen[key] = DagStarted(key=key, dag=dag)
    promised = [run.granted[key] for key in names]
    return [
        *_record(run.unseen[key] for key in names),
        *(_start(run, dag) for dag in promised),
        *(command for dag in promised for command in _stopped(run, dag)),
    ]


def _refuse(run: WorkflowRun, key: str, reason: str, *, unknown: bool) -> list[Command]:
    run.refused.add(key)
    run.unseen[key] = DagRefused(key=key, reason=reason, unknown=unknown, opening=run.opening)
    return _record([run.unseen[key]])


def _recorded_as_started(run: WorkflowRun, key: str, dag: DagId) -> list[Command]:
    """Believe the log: a key that was promised another name gets this one, and who held this name gets another."""
    if run.granted.get(key) == dag:
        run.unseen.pop(key, None)
        _forget_request(run, dag)
        return []
    _break_promise(run, key)
    run.refused.discard(key)
    rival = run.holders.get(dag)
    displaced = {rival: name_of(dag)} if rival is not None and _break_promise(run, rival) else {}
    _bind(run, key, dag)
    _forget_request(run, dag)
    return [*_stopped(run, dag), *_promise(run, displaced)]


def _recorded_as_refused(run: WorkflowRun, key: str) -> list[Command]:
    _break_promise(run, key)
    if key not in run.granted:
        run.refused.add(key)
        run.requests.pop(key, None)
    return []


def _dag_finished(run: WorkflowRun, event: DagFinished) -> list[Command]:
    dag = event.dag
    if dag in run.ended:
        return []
    run.ended[dag] = event.status
    run.running.pop(dag, None)
    run.stops.pop(dag, None)
    if event.status is Status.FAILED:
        run.first_failed = run.first_failed or dag
        run.failures[dag] = event.reason
    _count(run, dag)
    _forget_request(run, dag)
    return []


def _bind(run: WorkflowRun, key: str, dag: DagId) -> None:
    run.granted.setdefault(key, dag)
    run.holders.setdefault(dag, key)
    _count(run, dag)
    if dag not in run.ended:
        run.running[dag] = None


def _break_promise(run: WorkflowRun, key: str) -> bool:
    """Take back a name that the log does not know of; whether there was one."""
    if not isinstance(run.unseen.pop(key, None), DagStarted):
        return False
    dag = run.granted.pop(key)
    del run.holders[dag]
    run.running.pop(dag, None)
    return True


def _forget_request(run: WorkflowRun, dag: DagId) -> None:
    """Let go of the input of a dag run that succeeded; another one may begin again.

    A name that is only promised may yet turn out to be another request's.
    """
    key = run.holders.get(dag)
    if run.ended.get(dag) is Status.SUCCEEDED and key is not None and key not in run.unseen:
        run.requests.pop(key, None)


def _count(run: WorkflowRun, dag: DagId) -> None:
    run.highest[name_of(dag)] = max(run.highest.get(name_of(dag), 0), number_of(dag))


# --- begun again -----------------------------------------------------------------------------------------------------


def _reopened(run: WorkflowRun, event: RunRetried) -> list[Command]:
    """Go on as if nothing had stopped: who was refused because of that may ask again."""
    run.opening = event.number
    run.status = run.stop = None
    run.stops.clear()
    run.refused.clear()
    for key in list(run.unseen):
        _break_promise(run, key)  # the run has ended without it: nobody has put it on record, or will
    run.superseded.update(event.superseded)
    wanted = (key for key, dag in run.granted.items() if dag not in run.superseded)
    run.requests = {key: run.requests[key] for key in wanted if key in run.requests}
    run.redo = dict(event.redo)
    again = [dag for dag in event.dags if run.ended.pop(dag, None) is not None]
    run.openings.update(dict.fromkeys(again, event.number))
    run.running.update(dict.fromkeys(again))
    left = (dag for dag, status in run.ended.items() if status is Status.FAILED and dag not in run.superseded)
    run.first_failed = next(left, None)
    commands: list[Command] = [_start(run, dag) for dag in again if _can_start(run, dag)]
    return commands + (_start_by_itself(run) if run.is_started else [])


# --- commands --------------------------------------------------------------------------------------------------------


def _can_start(run: WorkflowRun, dag: DagId) -> bool:
    """Whether what the dag starts with is known: its request, unless the run asked for it by itself."""
    key = run.holders[dag]
    return key in run.requests or key == autostart_key(name_of(dag))


def _start(run: WorkflowRun, dag: DagId) -> StartDag:
    return StartDag(dag=dag, name=name_of(dag), key=run.holders[dag])


def _stopped(run: WorkflowRun, dag: DagId) -> list[Command]:
    own = run.stops.get(dag)
    stop = run.stop or own
    if stop is None or dag not in run.running:
        return []
    grace = _shorter(stop.grace, own.grace if own else None)
    return [StopDag(dag=dag, reason=stop.reason, by=stop.by, status=stop.status, grace=grace)]


def _record(events: Iterable[Event]) -> list[Command]:
    batch = tuple(events)
    return [Record(events=batch)] if batch else []


def _finish(run: WorkflowRun) -> FinishRun:
    if run.stop is not None:
        failed = run.first_failed is not None or run.stop.status is Status.FAILED
        return FinishRun(status=Status.FAILED if failed else Status.STOPPED, reason=run.stop.reason)
    if run.first_failed is not None:
        why = run.failures.get(run.first_failed)
        return FinishRun(
            status=Status.FAILED, reason=f"{run.first_failed}: {why}" if why else f"{run.first_failed} failed"
        )
    return FinishRun(status=Status.SUCCEEDED, reason="")
