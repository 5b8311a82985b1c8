"""`nflow dead`: what a person sees of jobs that no worker could handle, and what becomes of them."""

import asyncio
import base64
import json
import os
import platform
import signal
import subprocess
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nflow.config import load
from nflow.core.events import RunFinished, Status
from nflow.core.ids import DagId, RunId, TaskId
from nflow.core.jobs import TaskJob
from nflow.engine.dead_letters.giving_up import give_up
from nflow.engine.dead_letters.letters import DeadLetter, DeadLetters
from nflow.engine.engine import Engine
from nflow.session import open_engine
from nflow.wire.messages import pack_events, pack_job
from nflow.wire.python import python_tag
from tests.cli.program import NFLOW, PATIENCE, Done, Program

POISON = b"\xc1 no message \x00\x1b[2J" + bytes(range(256)) * 2


class Post:
    """Puts jobs of one run into its queue and among the dead letters, as workers do that cannot handle them."""

    def __init__(self, home: Path, run: str) -> None:
        self.home = home
        self.run = RunId(run)

    def lay_down(self, payload: bytes, *, task: str = "a", reason: str = "it is broken") -> int:
        """The id of the letter."""

        async def work(engine: Engine) -> int:
            subject = self.subject(engine, task)
            await engine.bus.enqueue(subject, payload)
            job = await engine.bus.last(subject)
            assert job is not None
            await DeadLetters(engine).put(_Held(subject, payload, job.seq), reason, host=platform.node())
            await engine.bus.withdraw(subject)
            return [letter.id async for letter in DeadLetters(engine).all(self.run)][-1]

        return self._do(work)

    def letters(self) -> list[DeadLetter]:
        async def work(engine: Engine) -> list[DeadLetter]:
            return [letter async for letter in DeadLetters(engine).all(self.run)]

        return self._do(work)

    def waiting(self, task: str = "a") -> bytes | None:
        """The job that waits for this task."""

        async def work(engine: Engine) -> bytes | None:
            record = await engine.bus.last(self.subject(engine, task))
            return record and record.payload

        return self._do(work)

    def do(self, work: Callable[[Engine], Coroutine[Any, Any, Any]]) -> Any:
        return self._do(work)

    def job(self, task: str = "a") -> TaskJob:
        return TaskJob(
            run=self.run,
            workflow="scan",
            dag=DagId("main:1"),
            task=TaskId(task),
            name=task,
            attempt=1,
            queue="nobody",
            code="c0de",
        )

    def subject(self, engine: Engine, task: str) -> str:
        return engine.subjects.job_task("nobody", "py311", self.run, DagId("main:1"), TaskId(task), 1)

    def _do(self, work: Callable[[Engine], Coroutine[Any, Any, Any]]) -> Any:
        async def connected() -> Any:
            async with open_engine(load({"home": self.home}), name="post") as engine:
                return await work(engine)

        return asyncio.run(connected())


async def _largest(engine: Engine) -> int:
    return engine.bus.max_payload_bytes


class _Held:
    """A job in hand."""

    deliveries = 2

    def __init__(self, subject: str, payload: bytes, seq: int) -> None:
        self.subject = subject
        self.payload = payload
        self.seq = seq


@pytest.fixture
def post(home: Path, request: pytest.FixtureRequest) -> Iterator[Post]:
    """Jobs of a run of this test's own."""
    post = Post(home, f"r{abs(hash(request.node.name)):015d}"[:16])
    yield post

    async def clean(engine: Engine) -> None:
        await engine.bus.purge(f"{engine.bus.namespace}.dead.>")
        await engine.bus.purge(f"{engine.bus.namespace}.job.>")

    post.do(clean)


def test_without_dead_letters_it_says_so(nflow: Program, post: Post):
    assert nflow("dead", "list") == Done(0, "No dead letters.\n", "")
    assert nflow("dead", "list", "--json") == Done(0, "[]\n", "")


def test_letters_are_listed_with_when_what_and_why_the_newest_last(nflow: Program, post: Post):
    first, second = post.lay_down(POISON), post.lay_down(POISON, task="b", reason="so\nis this")

    done = nflow("dead", "list")

    header, *rows = done.out.splitlines()
    assert header.split() == ["id", "when", "what", "reason"]
    assert [int(row.split()[0]) for row in rows] == [first, second]
    assert rows[1].endswith(f"task main:1/b of run {post.run}, attempt 1  so is this")


def test_programs_get_where_a_letter_came_from(nflow: Program, post: Post):
    id_ = post.lay_down(POISON)

    [row] = json.loads(nflow("dead", "list", "--json", "--run", post.run[:10]).out)

    assert row["id"] == id_
    assert (row["kind"], row["run"], row["dag"], row["task"], row["attempt"]) == ("task", post.run, "main:1", "a", 1)
    assert (row["queue"], row["python"], row["deliveries"]) == ("nobody", "py311", 2)
    assert row["worker"].startswith("post-")
    assert row["host"] == platform.node()
    assert row["subject"].startswith("nflow.job.task.nobody.")
    assert row["size_bytes"] == len(POISON)


def test_letters_of_other_runs_are_left_out_on_request(nflow: Program, post: Post, home: Path):
    other = Post(home, "other")
    other.lay_down(POISON)
    id_ = post.lay_down(POISON)

    assert [row["id"] for row in json.loads(nflow("dead", "list", "--json", "--run", post.run).out)] == [id_]


def test_a_run_that_nobody_knows_is_exit_code_2(nflow: Program, post: Post):
    done = nflow("dead", "list", "--run", "zzz")

    assert (done.code, done.out) == (2, "")
    assert "No run begins with 'zzz'" in done.err


def test_what_cannot_be_read_is_shown_as_bytes_and_moves_no_cursor(nflow: Program, post: Post):
    id_ = post.lay_down(POISON, reason="bad \x1b[2J")

    done = nflow("dead", "show", str(id_))

    assert done.code == 0
    assert "\x1b" not in done.out
    assert "c1 20 6e 6f 20 6d" in done.out
    assert f"These {len(POISON)} bytes are no message of nflow" in done.out
    assert f"nflow dead replay {id_}" in done.out


def test_what_can_be_read_is_shown_field_by_field(nflow: Program, post: Post):
    id_ = post.lay_down(pack_job(post.job()))

    text = nflow("dead", "show", str(id_)).out
    document = json.loads(nflow("dead", "show", str(id_), "--json").out)

    assert "a TaskJob" in text
    assert "workflow = scan" in text
    assert document["job"]["code"] == "c0de"
    assert base64.b64decode(document["payload"]) == pack_job(post.job())
    assert document["problem"] is None


def test_the_raw_bytes_can_be_saved(nflow: Program, post: Post, home: Path):
    id_ = post.lay_down(POISON)

    raw = subprocess.run(
        [NFLOW, "dead", "show", str(id_), "--raw"],
        env=os.environ | {"NFLOW_HOME": str(home)},
        capture_output=True,
        check=True,
        timeout=PATIENCE,
    ).stdout

    assert raw == POISON


def test_a_job_is_put_back_exactly_as_it_was_and_its_letter_goes(nflow: Program, post: Post):
    id_ = post.lay_down(POISON)

    done = nflow("dead", "replay", str(id_))

    assert done == Done(0, f"Put back into queue 'nobody': task main:1/a of run {post.run}, attempt 1.\n", "")
    assert post.waiting() == POISON
    assert post.letters() == []


def test_a_replay_that_was_cut_off_can_be_repeated(nflow: Program, post: Post):
    id_ = post.lay_down(POISON)
    post.do(lambda engine: engine.bus.enqueue(post.subject(engine, "a"), POISON))

    assert nflow("dead", "replay", str(id_)).code == 0

    assert post.waiting() == POISON
    assert post.letters() == []


def test_a_job_is_not_put_back_while_another_waits_there(nflow: Program, post: Post):
    id_ = post.lay_down(POISON)
    post.do(lambda engine: engine.bus.enqueue(post.subject(engine, "a"), b"another"))

    done = nflow("dead", "replay", str(id_))

    assert (done.code, done.out) == (2, "")
    assert f"Another job for task main:1/a of run {post.run}, attempt 1 waits in queue 'nobody'" in done.err
    assert post.waiting() == b"another"
    assert len(post.letters()) == 1


def test_an_attempt_that_is_settled_is_not_put_back(nflow: Program, post: Post):
    id_ = post.lay_down(pack_job(post.job()))
    post.do(lambda engine: give_up(engine, post.job(), "it is broken"))

    done = nflow("dead", "replay", str(id_))

    assert done.code == 2
    assert f"Task main:1/a of run {post.run} has failed (attempt 1)" in done.err
    assert f"nflow retry {post.run}" in done.err
    assert post.waiting() is None
    assert len(post.letters()) == 1


def test_of_several_those_are_put_back_that_can_be(nflow: Program, post: Post):
    ended = Post(post.home, f"{post.run}x")
    ended.lay_down(POISON)
    finished = pack_events([RunFinished(status=Status.FAILED)])
    ended.do(lambda engine: engine.bus.append(engine.subjects.own(ended.run), finished))
    post.lay_down(POISON)

    done = nflow("dead", "replay", "--all")

    assert done.code == 1
    assert f"task main:1/a of run {post.run}, attempt 1." in done.out
    assert f"Run {ended.run} has ended (failed), and nobody takes up a job of it." in done.err
    assert post.letters() == []
    assert len(ended.letters()) == 1


def test_programs_are_told_what_became_of_each_letter(nflow: Program, post: Post):
    settled, whole = post.lay_down(pack_job(post.job())), post.lay_down(POISON, task="b")
    post.do(lambda engine: give_up(engine, post.job(), "it is broken"))

    replayed = nflow("dead", "replay", "--all", "--json")
    dropped = nflow("dead", "drop", "--all", "--yes", "--json")

    told = json.loads(replayed.out)
    assert (replayed.code, [row["id"] for row in told], told[1]["refused"]) == (1, [settled, whole], None)
    assert "has failed (attempt 1)" in told[0]["refused"]
    assert [row["id"] for row in json.loads(dropped.out)] == [settled]
    assert json.loads(nflow("dead", "drop", "--all", "--yes", "--json").out) == []


def test_a_letter_that_cannot_be_read_itself_says_so_instead_of_a_job(post: Post):
    post.do(lambda engine: engine.bus.append(engine.subjects.dead("task", post.run, 1), b"\xc1"))

    [letter] = post.letters()

    assert letter.what == "a job that nobody knows, for its letter cannot be read"
    assert letter.reason.endswith("These 1 bytes are no message of nflow: they are no msgpack")


def test_a_job_that_names_no_run_is_told_as_such(post: Post):
    post.lay_down(POISON)
    [letter] = post.letters()

    assert replace(letter, subject="nflow.job.task.q.any").what == "a task job of no run"


def test_nothing_is_done_when_one_of_the_ids_is_unknown(nflow: Program, post: Post):
    id_ = post.lay_down(POISON)

    for command in (["replay"], ["drop", "--yes"]):
        done = nflow("dead", *command, str(id_), "999999")
        assert (done.code, done.out) == (2, "")
        assert "No dead letter 999999. Those that there are: nflow dead list" in done.err

    assert len(post.letters()) == 1
    assert nflow("dead", "show", "999999").code == 2


@pytest.mark.parametrize(
    "arguments", [["replay"], ["drop", "-y"], ["replay", "1", "--all"], ["drop", "--all", "--run", "x"]]
)
def test_it_must_be_said_which_letters_are_meant(nflow: Program, arguments: list[str]):
    done = nflow("dead", *arguments)

    assert done.code == 2
    assert "Say which dead letters: their ids, or --run RUN, or --all." in done.err


def test_letters_are_removed_only_when_that_is_confirmed(nflow: Program, post: Post):
    id_ = post.lay_down(POISON)
    post.lay_down(POISON, task="b")

    unasked = nflow("dead", "drop", str(id_))
    assert unasked.code == 2
    assert f"Remove dead letter {id_} for good? Nobody can be asked here: add --yes." in unasked.err
    assert len(post.letters()) == 2

    assert nflow("dead", "drop", str(id_), "--yes").out == f"Removed dead letter {id_}.\n"
    assert nflow("dead", "drop", "--run", post.run, "-y").code == 0
    assert post.letters() == []


def test_a_payload_that_fills_a_message_is_kept_whole(nflow: Program, post: Post):
    payload = b"\xc1" * post.do(_largest)
    id_ = post.lay_down(payload)

    [letter] = post.letters()
    assert letter.is_apart
    assert letter.payload == payload
    assert nflow("dead", "replay", str(id_)).code == 0
    assert post.waiting() == payload


def test_a_worker_lays_down_what_it_cannot_read_with_where_it_came_from(nflow: Program, post: Post):
    async def laid_down(engine: Engine) -> int:
        subject = engine.subjects.job_task("task", python_tag(), post.run, DagId("main:1"), TaskId("a"), 1)
        laid = asyncio.Event()
        watch = engine.bus.watch(engine.subjects.dead_letters(post.run), lambda _: laid.set())
        seq = await engine.bus.append(subject, POISON)
        async with asyncio.timeout(PATIENCE):
            await laid.wait()
        watch.close()
        return seq

    worker = nflow.start("worker", "--name", "edge", "-q", "task", "--slots", "1").until_says(" serves ")

    seq = post.do(laid_down)

    worker.send(signal.SIGTERM).done()
    [row] = json.loads(nflow("dead", "list", "--json").out)
    assert (row["seq"], row["deliveries"], row["queue"], row["size_bytes"]) == (seq, 1, "task", len(POISON))
    assert row["worker"].startswith("edge-")
    assert "are no message of nflow" in row["reason"]
