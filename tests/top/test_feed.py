"""What a feed brings from a bus: all there was, then what comes, each event once, whatever becomes of the pushes."""

import asyncio
import getpass

import pytest

from nflow.bus.clock import VirtualClock
from nflow.core.events import RunRetried, Status, StopRequested
from nflow.core.ids import RunId
from nflow.engine.engine import Engine
from nflow.engine.log import events_of
from nflow.errors import SchemaTooNew
from nflow.runs import Runs
from nflow.top import feed as feeds
from nflow.top.feed import Feed
from nflow.top.model import Model
from nflow.top.runs import Progress, RunLine
from nflow.top.tree import leaves
from tests.engine.conftest import StageBus, settle
from tests.top.script import MAIN, failed, started, succeeded
from tests.top.site import Site


def line(feed: Feed, run: RunId) -> RunLine:
    found = feed.model.runs.get(run)
    assert found is not None
    return found


def feed_on(engine: Engine) -> Feed:
    return Feed(engine, Model(), gauge=None)


async def test_what_was_there_is_in_the_model_when_it_is_complete(engine: Engine, site: Site):
    run = await site.begin()
    await site.tell(run, started("read"), succeeded("read"), started("fit"))

    async with feed_on(engine) as feed:
        await feed.complete()

        assert line(feed, run).now() == Progress(done=1, total=4, running=1, failed=0)
        assert line(feed, run).worker == "edge-1-a1b2c3"


async def test_the_first_picture_has_the_runs_that_changed_last_and_others_follow(
    engine: Engine, site: Site, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(feeds, "FIRST", 2)
    runs = [await site.submit() for _ in range(5)]

    async with feed_on(engine) as feed:
        at_first = [each.run for each in feed.model.runs]
        await feed.complete()

        assert at_first == runs[3:]
        assert sorted(each.run for each in feed.model.runs) == runs


async def test_what_comes_is_told_once(engine: Engine, site: Site):
    run = await site.begin()
    async with feed_on(engine) as feed:
        await feed.complete()

        await site.tell(run, started("read"), succeeded("read"))
        await settle()

        assert line(feed, run).now() == Progress(done=1, total=4, running=0, failed=0)
        assert sum(type(news.event).__name__ == "TaskSucceeded" for news in feed.model.all_news) == 1


async def test_a_run_that_begins_is_known_with_all_its_tasks(engine: Engine, site: Site):
    async with feed_on(engine) as feed:
        await feed.complete()

        run = await site.begin("align")
        await site.tell(run, started("read"))
        await settle()

        assert line(feed, run).now() == Progress(done=0, total=4, running=1, failed=0)
        assert line(feed, run).entry.workflow == "align"


async def test_a_run_that_waited_is_known_when_it_begins(engine: Engine, site: Site):
    run = await site.submit()
    async with feed_on(engine) as feed:
        await feed.complete()
        assert line(feed, run).entry.state == "waiting"

        begun = await site.begin()
        await settle()

        assert (line(feed, begun).entry.state, line(feed, run).entry.state) == ("running", "waiting")


async def test_pushes_that_are_lost_are_made_up_for(engine: Engine, site: Site, bus: StageBus):
    run = await site.begin()
    async with feed_on(engine) as feed:
        await feed.complete()
        bus.pushes = []
        await site.tell(run, started("read"), succeeded("read"))
        await settle()
        assert line(feed, run).now() == Progress(done=0, total=4, running=0, failed=0)

        bus.pushes = None
        await engine.reconciler.tick()

        assert line(feed, run).now() == Progress(done=1, total=4, running=0, failed=0)


async def test_after_an_outage_it_goes_on_without_gap_or_repetition(
    engine: Engine, site: Site, bus: StageBus, clock: VirtualClock
):
    run = await site.begin()
    async with feed_on(engine) as feed:
        await feed.complete()
        await site.tell(run, started("read"))
        await settle()

        bus.cut()
        feed.look()
        assert not feed.model.link.is_up
        await site.tell(run, succeeded("read"), started("fit"))
        other = await site.begin("meanwhile")
        bus.mend()
        await clock.advance(1.0)
        await settle()
        feed.look()

        assert feed.model.link.is_up
        assert line(feed, run).now() == Progress(done=1, total=4, running=1, failed=0)
        assert line(feed, other).entry.workflow == "meanwhile"
        told = [news.event for news in feed.model.all_news if news.run == run]
        assert told[-3:] == [started("read"), succeeded("read"), started("fit")]


async def test_of_a_run_that_has_ended_the_log_of_its_workflow_tells_enough(engine: Engine, site: Site, bus: StageBus):
    run = await site.begin()
    await site.tell(run, started("read"), failed("read"))
    await site.end(run, Status.FAILED, failed=1, cancelled=3)
    read: list[str] = []

    async def note(subject: str) -> None:
        read.append(subject)

    async with feed_on(engine) as feed:
        feed.show(())
        await feed._ready
        await settle()
        bus.before_read = note
        feed.show([run])
        await feed.complete()

        assert line(feed, run).now() == Progress(done=4, total=4, running=0, failed=1)
        assert [subject for subject in read if ".event." in subject] == [site.subjects.log(run)]


async def test_a_run_that_is_retried_is_read_anew(engine: Engine, site: Site):
    run = await site.begin()
    await site.tell(run, started("read"), succeeded("read"), started("fit"), failed("fit"))
    await site.end(run, Status.FAILED, succeeded=1, failed=1, cancelled=2)
    async with feed_on(engine) as feed:
        await feed.complete()

        await site.tell(run, RunRetried(number=1, by="ada", dags=(MAIN,)), dag=None)
        await settle()
        await feed.complete()

        assert line(feed, run).entry.state == "running"
        assert line(feed, run).now() == Progress(done=1, total=4, running=0, failed=0)


async def test_an_event_of_a_newer_nflow_ends_the_watch_with_that_reason(engine: Engine, site: Site):
    async with feed_on(engine) as feed:
        await feed.complete()
        await site.bus.append(site.subjects.own(RunId("01new")), b"\x93\xcd\x03\xe7\x90\xa3" + b"9.9")

        with pytest.raises(SchemaTooNew, match="Upgrade"):
            await feed.until(asyncio.get_running_loop().create_future())


async def test_how_far_a_run_is_is_told_by_its_log_where_the_index_is_late(engine: Engine, site: Site):
    run = await site.begin()
    late = await engine.index.get(run)
    assert late is not None
    await site.end(run, Status.FAILED, failed=1, cancelled=3)
    await engine.index.put(late)

    async with feed_on(engine) as feed:
        await feed.complete()

        assert line(feed, run).entry.state == "failed"


async def test_an_end_from_before_a_retry_does_not_make_a_run_look_over(engine: Engine, site: Site):
    run = await site.begin()
    await site.end(run, Status.FAILED, failed=1, cancelled=3)
    await Runs(engine).retry(run)

    async with feed_on(engine) as feed:
        await feed.complete()

        assert line(feed, run).entry.state == "waiting"


async def test_runs_that_were_removed_are_forgotten(engine: Engine, site: Site):
    gone, kept = await site.begin(), await site.begin()
    for run in (gone, kept):
        await site.end(run)
    async with feed_on(engine) as feed:
        await feed.complete()
        await engine.index.remove(gone)

        await feed.forget()

        assert [each.run for each in feed.model.runs] == [kept]
        assert feed.model.runs.states["succeeded"] == 1


async def test_a_stop_is_recorded_with_the_name_of_who_asks(engine: Engine, site: Site):
    run = await site.begin()
    async with feed_on(engine) as feed:
        await feed.stop(run)

    [record] = (await site.bus.read(site.subjects.ask(run))).records
    [event] = events_of(record)
    assert isinstance(event, StopRequested)
    assert event.by == getpass.getuser()


async def test_a_part_that_fails_is_told(engine: Engine, site: Site, bus: StageBus):
    run = await site.begin()

    async def fail(subject: str) -> None:
        if subject == site.subjects.run_events(run):
            raise ValueError("odd")

    bus.before_read = fail
    async with feed_on(engine) as feed:
        await feed.complete()

        assert feed.model.trouble == "ValueError: odd"


# --- queues ---


async def test_a_queue_that_nobody_ever_served_is_found_with_what_waits_in_it(engine: Engine, site: Site):
    run = await site.begin()
    await site.task_waits(run, "gpu")

    async with feed_on(engine) as feed:
        await feed.complete()

        [queue] = feed.model.queues()
        [waiting] = (await site.bus.read(site.subjects.jobs())).records
        assert (queue.queue, queue.waiting, queue.oldest, queue.served_by) == ("gpu", 1, waiting.at, ())
        assert line(feed, run).waits_for == ("gpu",)


async def test_a_queue_that_is_served_shows_what_waits_and_what_is_in_hand(engine: Engine, site: Site):
    await site.serve("task")
    for run in [await site.begin() for _ in range(3)]:
        await site.task_waits(run, "task")
    site.intakes[0].want(1)
    await settle()

    async with feed_on(engine) as feed:
        await feed.complete()

        [queue] = feed.model.queues()
        assert (queue.waiting, queue.in_hand, queue.served_by) == (2, 1, ("edge-1-a1b2c3",))


# --- looking into a run, stopping and retrying it ---


async def test_a_run_that_is_looked_into_has_its_tree_and_lives(engine: Engine, site: Site):
    run = await site.begin()
    await site.tell(run, started("read"), succeeded("read"))
    async with feed_on(engine) as feed:
        opened = feed.open(run)
        await opened.start()

        await site.tell(run, started("fit"))
        await settle()

        tree = list(leaves(opened.detail, opened.plan, feed.model.served))
        assert [(leaf.task, leaf.state) for leaf in tree[1:]] == [
            ("read", "succeeded"),
            ("fit", "running"),
            ("index", "waiting"),
            ("report", "waiting"),
        ]
        await opened.close()


async def test_the_lines_of_the_task_that_is_looked_at_come_as_they_are_written(engine: Engine, site: Site):
    run = await site.begin()
    await site.tell(run, started("read"), started("fit"))
    await site.write(run, "read", "first")
    await site.write(run, "fit", "another task's")
    async with feed_on(engine) as feed:
        opened = feed.open(run)
        await opened.start()
        tree = list(leaves(opened.detail, opened.plan, feed.model.served))

        opened.look_at(tree[1])
        await settle()
        await site.write(run, "read", "second", "third")
        await settle()

        assert [written.text for written in opened.lines] == ["first", "second", "third"]
        await opened.close()


async def test_of_a_long_output_only_the_end_is_read(engine: Engine, site: Site):
    run = await site.begin()
    await site.tell(run, started("read"), started("fit"))
    for number in range(200):
        await site.write(run, "read", f"line {number}")
        await site.write(run, "fit", "between")
    async with feed_on(engine) as feed:
        opened = feed.open(run)
        await opened.start()
        [_, leaf, *_] = leaves(opened.detail, opened.plan, feed.model.served)

        opened.look_at(leaf)
        await settle()
        await settle()

        texts = [written.text for written in opened.lines]
        assert texts[-1] == "line 199"
        assert len(texts) < 50
        assert texts == [f"line {number}" for number in range(200 - len(texts), 200)]
        await opened.close()


async def test_a_stop_is_asked_for_as_nflow_stop_does(engine: Engine, site: Site):
    run = await site.begin()
    async with Feed(engine, Model(), gauge=None, grace=10.0) as feed:
        await feed.complete()

        await feed.stop(run)
        await settle()

        assert line(feed, run).entry.state == "stopping"
        assert (await site.bus.last(site.subjects.ask(run))) is not None
