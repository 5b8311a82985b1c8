"""Lines of a run, read and followed: each of them once, in order, of those tasks that are meant."""

import asyncio

import pytest

from nflow.core.ids import DagId, RunId, TaskId
from nflow.engine.engine import Engine
from nflow.engine.lines import Lines, Selection, TaskLines
from nflow.wire.lines import Line, pack_lines

RUN = RunId("01run")


def write(
    engine: Engine, *texts: str, dag: str = "main:1", task: str = "a", attempt: int = 1, number: int = 0, run: str = RUN
) -> None:
    subject = engine.subjects.lines(RunId(run), DagId(dag), TaskId(task))
    for text in texts:
        line = Line(at=0.0, stream="out", text=text)
        sender = "s" if number else ""
        engine.bus.post_record(subject, pack_lines([line], attempt=attempt, sender=sender, number=number))


async def read(engine: Engine, only: Selection | None = None, *, after: int = 0) -> list[TaskLines]:
    async with Lines(engine, RUN, only or Selection(), after) as lines:
        lines.finish()
        return [passage async for passage in lines]


def texts(passages: list[TaskLines]) -> list[str]:
    return [line.text for passage in passages for line in passage.lines]


async def test_lines_say_who_wrote_them(engine: Engine):
    write(engine, "one", dag="sub dag:2", task="a/b", attempt=3)

    [passage] = await read(engine)

    assert (passage.dag, passage.task, passage.attempt) == ("sub dag:2", "a/b", 3)
    assert texts([passage]) == ["one"]


async def test_other_runs_have_lines_of_their_own(engine: Engine):
    write(engine, "mine")
    write(engine, "another's", run="02run")

    assert texts(await read(engine)) == ["mine"]


@pytest.mark.parametrize(
    ("only", "expected"),
    [
        (Selection(), ["1", "2", "3", "4"]),
        (Selection(task="a"), ["1", "3", "4"]),
        (Selection(dag="sub:1"), ["3"]),
        (Selection(dag="sub"), ["3", "4"]),
        (Selection(dag="sub:2", task="a"), ["4"]),
        (Selection(task="a", attempt=2), ["4"]),
        (Selection(task="none"), []),
    ],
)
async def test_only_what_is_meant_comes(engine: Engine, only: Selection, expected: list[str]):
    write(engine, "1", dag="main:1", task="a")
    write(engine, "2", dag="main:1", task="b")
    write(engine, "3", dag="sub:1", task="a")
    write(engine, "4", dag="sub:2", task="a", attempt=2)

    assert texts(await read(engine, only)) == expected


async def test_a_task_is_found_by_a_name_that_is_too_long_for_a_subject(engine: Engine):
    name = "a" * 500
    write(engine, "one", task=name)

    [passage] = await read(engine, Selection(task=name))

    assert passage.task == name


async def test_what_was_sent_twice_comes_once(engine: Engine):
    for number in (1, 2, 1, 2, 3):
        write(engine, str(number), number=number)

    assert texts(await read(engine)) == ["1", "2", "3"]


async def test_what_comes_late_and_out_of_order_comes_once_too(engine: Engine):
    for number in (1, 3, 2, 3, 2, 4):
        write(engine, str(number), number=number)

    found = texts(await read(engine))

    assert [text for text in found if text.isdecimal()] == ["1", "3", "2", "4"]


async def test_what_is_missing_is_told_in_its_place(engine: Engine):
    for number in (1, 2, 5):
        write(engine, str(number), number=number)

    found = texts(await read(engine))

    assert found[:2] + found[3:] == ["1", "2", "5"]
    assert found[2].startswith("something is missing here")


async def test_a_beginning_that_has_gone_is_told(engine: Engine):
    write(engine, "7", number=7)

    [word, line] = texts(await read(engine))

    assert word.startswith("what came before is gone")
    assert line == "7"


async def test_whoever_begins_in_the_middle_is_not_told_of_what_was_before(engine: Engine):
    write(engine, "1", number=1)
    write(engine, "2", number=2)
    [first, _] = await read(engine)

    assert texts(await read(engine, after=first.seq)) == ["2"]


async def test_lines_come_as_they_are_written_until_there_will_be_no_more(engine: Engine):
    write(engine, "one")
    came: list[str] = []
    news = asyncio.Event()

    async with Lines(engine, RUN) as lines, asyncio.timeout(10):

        async def follow() -> None:
            async for passage in lines:
                came.extend(texts([passage]))
                news.set()

        following = asyncio.ensure_future(follow())
        await news.wait()
        news.clear()
        write(engine, "two")
        await news.wait()
        write(engine, "three")
        lines.finish()
        await following

    assert came == ["one", "two", "three"]


async def test_lines_from_a_place_on_leave_out_what_was_before(engine: Engine):
    write(engine, "one", "two", "three")
    [first, *_] = await read(engine)

    assert texts(await read(engine, after=first.seq)) == ["two", "three"]
