import dataclasses
import types
from collections.abc import Mapping
from typing import NewType, get_args, get_origin, get_type_hints

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nflow import __version__
from nflow.core import events, jobs
from nflow.core.dataset import Dataset, Ref, TaskInput
from nflow.core.events import (
    DagRequested,
    Event,
    OwnerChanged,
    Provenance,
    RemoteError,
    StopRequested,
    TaskFailed,
    TaskSkipped,
    TaskStarted,
    TaskSucceeded,
)
from nflow.core.jobs import Job, TaskJob, WorkflowJob
from nflow.core.spec import DagSpec, Edge, TaskSpec, WorkflowSpec
from nflow.errors import BrokenMessage, SchemaTooNew
from nflow.wire.messages import (
    SCHEMA,
    pack_events,
    pack_input,
    pack_job,
    pack_message,
    pack_spec,
    unpack_events,
    unpack_input,
    unpack_job,
    unpack_message,
    unpack_spec,
)

REF = Ref(scheme="inline", where=b"\x05", size_bytes=1, digest="", type="int")
BLOB = Ref(scheme="blob", where="nflow.blob.r.u", size_bytes=1 << 40, digest="00ff", type="numpy")
GIVEN = TaskInput(datasets=(Dataset(values={"a": REF, "b": BLOB}, history=("put",)), Dataset()), aliases={"put": 0})
WORK = Provenance(worker="w-1", host="h", pid=1, start=1.5, end=2.5)
STARTED = TaskStarted(task="reduce", attempt=1, execution=1, worker="w-1", host="h")


def concrete(module, root):
    kinds = [kind for kind in vars(module).values() if isinstance(kind, type) and issubclass(kind, root)]
    return [kind for kind in kinds if not any(kind in other.__mro__[1:] for other in kinds)]


SCALARS = {
    str: st.text(st.characters(), max_size=20),
    bytes: st.binary(max_size=20),
    int: st.integers(-(2**63), 2**64 - 1),
    float: st.floats(allow_nan=False),
    bool: st.booleans(),
    types.NoneType: st.none(),
}


def anything_of(hint):
    """Values for a type hint of a message."""
    if isinstance(hint, NewType):
        return anything_of(hint.__supertype__)
    if dataclasses.is_dataclass(hint):
        return st.builds(hint, **{name: anything_of(part) for name, part in get_type_hints(hint).items()})
    arguments = get_args(hint)
    match get_origin(hint):
        case None:
            return SCALARS[hint] if hint in SCALARS else st.sampled_from(hint)
        case origin if origin is tuple:
            return st.lists(anything_of(arguments[0]), max_size=3).map(tuple)
        case origin if origin is Mapping:
            return st.dictionaries(*map(anything_of, arguments), max_size=3)
        case _:
            return st.one_of([anything_of(each) for each in arguments])


ANY_EVENT = st.one_of([anything_of(kind) for kind in concrete(events, Event)])
ANY_JOB = st.one_of([anything_of(kind) for kind in concrete(jobs, Job)])


@given(st.lists(ANY_EVENT, min_size=1, max_size=3))
@settings(max_examples=200, deadline=None)
def test_events_come_back_as_they_were(happened):
    assert unpack_events(pack_events(happened)) == happened


def test_a_record_without_events_is_broken():
    with pytest.raises(BrokenMessage, match="at least one event"):
        unpack_events(pack_events([]))


@given(ANY_JOB)
@settings(max_examples=100, deadline=None)
def test_jobs_come_back_as_they_were(job):
    assert unpack_job(pack_job(job)) == job


def test_the_parts_of_an_event_come_back_with_their_types():
    event = TaskSucceeded(
        task="a", attempt=1, execution=1, provenance=WORK, output=Dataset(values={"x": REF}), limit=("b",)
    )

    (back,) = unpack_events(pack_events([event]))

    assert type(back) is TaskSucceeded
    assert type(back.provenance) is Provenance
    assert type(back.output.values["x"]) is Ref
    assert type(back.limit) is tuple
    assert type(unpack_events(pack_events([StopRequested(reason="", by="me")]))[0].status) is events.Status


def test_no_limit_and_an_empty_limit_stay_apart():
    outcomes = [
        TaskSucceeded(task="a", attempt=1, execution=1, provenance=WORK, limit=limit) for limit in (None, (), ("b",))
    ]

    assert [event.limit for event in unpack_events(pack_events(outcomes))] == [None, (), ("b",)]


def test_a_large_input_travels_on_its_own():
    assert unpack_input(pack_input(GIVEN)) == GIVEN
    assert unpack_message(pack_message(GIVEN), TaskInput) == GIVEN


def test_any_mapping_may_hold_an_events_values():
    event = DagRequested(
        key="k", dag="d", by="t", input=TaskInput(datasets=(), aliases=types.MappingProxyType({"a": 0}))
    )

    assert unpack_events(pack_events([event])) == [event]


def test_an_error_may_quote_a_file_name_that_is_no_utf8():
    event = TaskFailed(
        task="a", attempt=1, execution=1, error=RemoteError(type="OSError", message="\udcff.tif"), provenance=WORK
    )

    assert unpack_events(pack_events([event])) == [event]


def test_a_spec_comes_back_with_its_order():
    tasks = tuple(TaskSpec(id=f"t{n}", name="t", code="00", force_run=bool(n % 2)) for n in range(50))
    edges = tuple(Edge(parent=f"t{n + 1}", child=f"t{n}", slot="x" if n % 3 else None) for n in range(49))
    dags = {name: DagSpec(name=name, tasks=tasks, edges=edges, autostart=False) for name in "zab"}
    spec = WorkflowSpec(name="scan", dags=dags, python="py311", engine="0.1.0")

    back = unpack_spec(pack_spec(spec))

    assert back == spec
    assert list(back.dags) == list("zab")


# --- the schema ------------------------------------------------------------------------------------------------------


def test_the_fields_of_a_message_are_where_older_and_newer_readers_look_for_them():
    """New fields go to the end, with a default; whoever must change anything else raises SCHEMA."""
    layout = {kind.__name__: [field.name for field in dataclasses.fields(kind)] for kind in concrete(events, Event)}

    assert SCHEMA == 1
    assert msgpack.unpackb(pack_events([STARTED])) == [
        1,
        [["TaskStarted", "reduce", 1, 1, "w-1", "h", 0]],
        __version__,
    ]
    assert layout["TaskStarted"][:6] == ["task", "attempt", "execution", "worker", "host", "lost"]
    assert layout["TaskSucceeded"][:7] == ["task", "attempt", "execution", "provenance", "output", "limit", "stopped"]
    assert layout["TaskFailed"][:5] == ["task", "attempt", "execution", "error", "provenance"]
    assert layout["StopRequested"][:5] == ["reason", "by", "status", "grace", "dag"]
    assert layout["DagFinished"][:6] == ["dag", "status", "succeeded", "failed", "skipped", "cancelled"]


def test_fields_that_a_later_version_has_added_are_ignored():
    row = ["TaskStarted", "reduce", 1, 1, "w-1", "h", 0, {"later": True}, "more"]

    assert unpack_events(msgpack.packb([SCHEMA, [row], "and here"])) == [STARTED]


def test_fields_that_an_earlier_version_did_not_have_take_their_default():
    row = ["TaskSucceeded", "a", 1, 1, ["w-1", "h", 1, 1.5, 2.5]]

    assert unpack_events(msgpack.packb([SCHEMA, [row]])) == [
        TaskSucceeded(task="a", attempt=1, execution=1, provenance=WORK)
    ]


def test_a_newer_schema_is_not_guessed_at():
    newer = msgpack.packb([SCHEMA + 1, {"all": "different"}])

    for unpack in (unpack_events, unpack_job, unpack_spec, unpack_input):
        with pytest.raises(SchemaTooNew, match="schema 2"):
            unpack(newer)


def test_a_newer_message_tells_which_version_wrote_it():
    newer = msgpack.packb([SCHEMA + 1, {"all": "different"}, "7.5.0"])

    with pytest.raises(SchemaTooNew, match=r"nflow 7\.5\.0 wrote this message"):
        unpack_events(newer)


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (["TaskVanished", "a"], "TaskVanished"),
        (["TaskEvent", "a"], "TaskEvent"),
        (["TaskJob", "a"], "TaskJob"),
        (["TaskStarted", "a", 1, 1, "w"], "lacks host"),
        (["TaskStarted", "a", "1", 1, "w", "h", 0], "attempt of a TaskStarted is of type str"),
        (["TaskStarted", "a", True, 1, "w", "h", 0], "attempt of a TaskStarted is of type bool"),
        (["TaskStarted", None, 1, 1, "w", "h", 0], "task of a TaskStarted is of type NoneType"),
        (["TaskSucceeded", "a", 1, 1, "work"], "provenance of a TaskSucceeded is of type str"),
        (["TaskSucceeded", "a", 1, 1, ["w", "h", 1, 1.0, 2.0, 0], [{"x": 5}, []]], "a value is of type int"),
        (["TaskSucceeded", "a", 1, 1, ["w", "h", 1, 1.0, 2.0, 0], [{}, [5]]], "an item is of type int"),
        (["StopRequested", "", "me", "exploded"], "'exploded'"),
        (["OwnerChanged"], "lacks worker"),
        ([], "no kind of message"),
        ([["TaskStarted"]], "no kind of message"),
        ("TaskStarted", "no kind of message"),
        (5, "no kind of message"),
        (None, "no kind of message"),
        ({"TaskStarted": 1}, "no kind of message"),
    ],
)
def test_a_broken_event_is_told_by_what_is_wrong_with_it(row, why):
    with pytest.raises(BrokenMessage, match=why):
        unpack_events(msgpack.packb([SCHEMA, [row]]))


@pytest.mark.parametrize(
    "payload",
    [b"", b"\xc1", b"hello", msgpack.packb(5), msgpack.packb([]), msgpack.packb([SCHEMA]), msgpack.packb([0, []]),
     msgpack.packb(["1", []]), msgpack.packb([True, 5]), msgpack.packb([SCHEMA, 5]), msgpack.packb([SCHEMA, []]) + b"x",
     pack_events([STARTED])[:-1]],
)  # fmt: skip
def test_bytes_that_are_no_message_are_refused(payload):
    with pytest.raises(BrokenMessage):
        unpack_events(payload)


@given(st.binary(max_size=60))
@settings(max_examples=300, deadline=None)
def test_garbage_is_never_anything_but_a_broken_message(payload):
    for unpack in (unpack_events, unpack_job, unpack_spec):
        try:
            unpack(payload)
        except (BrokenMessage, SchemaTooNew):
            continue


@given(ANY_JOB, st.data())
@settings(max_examples=200, deadline=None)
def test_a_damaged_job_is_a_job_or_a_broken_message(job, data):
    payload = bytearray(pack_job(job))
    payload[data.draw(st.integers(0, len(payload) - 1))] ^= data.draw(st.integers(1, 255))

    try:
        back = unpack_job(bytes(payload))
    except (BrokenMessage, SchemaTooNew):
        return

    assert isinstance(back, Job)


def test_a_job_of_one_kind_is_not_read_as_an_input():
    with pytest.raises(BrokenMessage, match="is no TaskInput"):
        unpack_input(pack_job(WorkflowJob(run="r", workflow="w", spec="00", queue="workflow")))


def test_what_has_no_place_in_a_message_is_refused_by_the_writer():
    with pytest.raises(TypeError, match="object has no place in a message"):
        pack_events([OwnerChanged(worker=object())])


def test_single_fields_and_whole_numbers_for_floats_are_fine():
    assert unpack_events(pack_events([TaskSkipped(task="a")])) == [TaskSkipped(task="a")]
    assert unpack_events(pack_events([StopRequested(reason="", by="me", grace=10)]))[0].grace == 10.0


def test_what_is_read_is_as_frozen_as_what_was_written():
    (back,) = unpack_events(pack_events([STARTED]))

    with pytest.raises(dataclasses.FrozenInstanceError):
        back.attempt = 2


def test_a_task_job_carries_its_input():
    job = TaskJob(run="r", workflow="w", dag="d:1", task="a", name="a", attempt=1, queue="task", code="00", input=GIVEN)

    assert unpack_job(pack_job(job)) == job
