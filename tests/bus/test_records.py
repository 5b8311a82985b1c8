"""The contract of records: stored in order, refused when the writer did not know the last one."""

import asyncio

import pytest

from nflow.bus.port import Guard
from nflow.errors import Conflict, Fenced, SubjectTooLong, TooLarge


async def test_records_come_back_in_the_order_of_their_storing(bus, run):
    first = await bus.append(f"nflow.event.{run}.main.read", b"one")
    second = await bus.append(f"nflow.event.{run}.main.reduce", b"two")

    page = await bus.read(f"nflow.event.{run}.>")

    assert [(record.seq, record.payload) for record in page.records] == [(first, b"one"), (second, b"two")]
    assert first < second
    assert page.pending == 0


async def test_a_page_ends_at_its_limit_and_says_how_many_follow(bus, run):
    seqs = [await bus.append(f"nflow.event.{run}.t{number}", b"x") for number in range(5)]

    page = await bus.read(f"nflow.event.{run}.*", after=seqs[0], limit=2)

    assert [record.seq for record in page.records] == seqs[1:3]
    assert page.pending == 2


async def test_reading_where_nothing_is_gives_an_empty_page(bus, run):
    page = await bus.read(f"nflow.event.{run}.>")

    assert (page.records, page.pending) == ([], 0)


async def test_the_last_record_of_a_subject_is_the_newest(bus, run):
    subject = f"nflow.event.{run}.main"
    await bus.append(subject, b"old")
    seq = await bus.append(subject, b"new")

    last = await bus.last(subject)

    assert (last.subject, last.seq, last.payload) == (subject, seq, b"new")
    assert await bus.last(f"{subject}.none") is None


async def test_a_record_may_be_empty(bus, run):
    await bus.append(f"nflow.event.{run}", b"")

    assert (await bus.last(f"nflow.event.{run}")).payload == b""


async def test_records_are_dated_by_the_server(bus, run):
    await bus.append(f"nflow.event.{run}", b"one")
    await bus.append(f"nflow.event.{run}", b"two")

    first, second = (await bus.read(f"nflow.event.{run}")).records

    assert 1.6e9 < first.at <= second.at


async def test_a_first_record_is_refused_where_one_is_already(bus, run):
    seq = await bus.append(f"nflow.event.{run}", b"first", expect=0)

    with pytest.raises(Conflict):
        await bus.append(f"nflow.event.{run}", b"also first", expect=0)

    assert (await bus.last(f"nflow.event.{run}")).seq == seq


async def test_of_two_writers_who_know_the_same_record_one_is_refused(bus, other, run):
    seq = await bus.append(f"nflow.event.{run}", b"start")

    outcomes = await asyncio.gather(
        bus.append(f"nflow.event.{run}", b"mine", expect=seq),
        other.append(f"nflow.event.{run}", b"yours", expect=seq),
        return_exceptions=True,
    )

    assert sorted(isinstance(outcome, Conflict) for outcome in outcomes) == [False, True]
    assert len((await bus.read(f"nflow.event.{run}")).records) == 2


async def test_an_owner_writes_until_a_later_one_takes_over(bus, other, run):
    epoch = await bus.append(f"nflow.event.{run}._owner", b"me", expect=0)
    await bus.append(f"nflow.event.{run}._log", b"fine", guard=Guard(f"nflow.event.{run}._owner", epoch))

    await other.append(f"nflow.event.{run}._owner", b"you", expect=epoch)

    with pytest.raises(Fenced):
        await bus.append(f"nflow.event.{run}._log", b"late", guard=Guard(f"nflow.event.{run}._owner", epoch))
    assert [record.payload for record in (await bus.read(f"nflow.event.{run}._log")).records] == [b"fine"]


async def test_an_append_can_expect_its_subject_and_be_guarded_at_once(bus, run):
    guard = Guard(f"nflow.event.{run}._owner", await bus.append(f"nflow.event.{run}._owner", b"me"))
    seq = await bus.append(f"nflow.event.{run}.t", b"one", expect=0, guard=guard)

    with pytest.raises(Conflict):
        await bus.append(f"nflow.event.{run}.t", b"two", expect=0, guard=guard)
    with pytest.raises(Fenced):
        await bus.append(f"nflow.event.{run}.t", b"two", expect=seq, guard=Guard(guard.subject, guard.seq + 1))


async def test_many_appends_at_once_are_all_stored(bus, run):
    seqs = await asyncio.gather(*(bus.append(f"nflow.event.{run}.t{number}", b"x", expect=0) for number in range(500)))

    assert len(set(seqs)) == 500
    assert len((await bus.read(f"nflow.event.{run}.>")).records) == 500


async def test_the_newest_of_each_subject_comes_once_and_in_order(bus, run):
    await bus.append(f"nflow.event.{run}.a", b"old")
    await bus.append(f"nflow.event.{run}.b", b"b")
    await bus.append(f"nflow.event.{run}.a", b"new")

    found = await bus.last_of_each([f"nflow.event.{run}.>", f"nflow.event.{run}.a", f"nflow.event.{run}.none"])

    assert [record.payload for record in found] == [b"b", b"new"]
    assert await bus.last_of_each([]) == []
    assert await bus.last_of_each([f"nflow.event.{run}.none"]) == []


async def test_the_newest_of_each_is_found_for_thousands_of_subjects(bus, run):
    await asyncio.gather(*(bus.append(f"nflow.event.{run}.a.t{number}", b"x") for number in range(1500)))
    await bus.append(f"nflow.event.{run}.b", b"y")

    found = await bus.last_of_each([f"nflow.event.{run}.a.>", f"nflow.event.{run}.b"])

    assert len({record.subject for record in found}) == len(found) == 1501
    assert [record.seq for record in found] == sorted(record.seq for record in found)


async def test_purging_removes_what_matches_and_nothing_else(bus, run):
    await bus.append(f"nflow.event.{run}.a.one", b"x")
    await bus.append(f"nflow.event.{run}.b", b"y")

    await bus.purge(f"nflow.event.{run}.a.>")

    assert [record.payload for record in (await bus.read(f"nflow.event.{run}.>")).records] == [b"y"]


async def test_a_bucket_keeps_the_last_value_of_a_key(bus, run):
    seq = await bus.append(f"$KV.nflow_store.{run}.key", b"1", expect=0)
    await bus.append(f"$KV.nflow_store.{run}.key", b"2", expect=seq)

    assert [record.payload for record in (await bus.read(f"$KV.nflow_store.{run}.>")).records] == [b"2"]


async def test_a_record_may_be_stored_for_a_time_only(bus, run):
    await bus.append(f"$KV.nflow_workers.{run}", b"alive", ttl=60.0)

    assert (await bus.last(f"$KV.nflow_workers.{run}")).payload == b"alive"


async def test_the_heads_of_subjects_tell_what_there_is(bus, run):
    for subject in (f"{run}.a.1", f"{run}.a.2", f"{run}.b.1", f"{run}x.c.1"):
        await bus.append(f"nflow.event.{subject}", b"x")

    assert await bus.heads(f"nflow.event.{run}.>", 4) == {f"nflow.event.{run}.a", f"nflow.event.{run}.b"}
    assert {f"nflow.event.{run}", f"nflow.event.{run}x"} <= await bus.heads("nflow.event.*.*.1", 3)
    assert await bus.heads(f"nflow.event.{run}.*._log", 3) == set()


async def test_what_the_server_would_not_take_is_refused_before_it_is_sent(bus, run):
    with pytest.raises(TooLarge):
        await bus.append(f"nflow.event.{run}", bytes(bus.max_payload_bytes + 1), expect=0)
    with pytest.raises(SubjectTooLong):
        await bus.append(f"nflow.event.{run}.{'x' * 1100}", b"x")
    with pytest.raises(SubjectTooLong):
        bus.publish(f"nflow.log.{run}.{'ü' * 600}", b"x")

    assert await bus.append(f"nflow.blob.{run}", bytes(bus.max_payload_bytes), expect=0)


async def test_a_watcher_is_called_for_what_is_stored(bus, other, world, run, records):
    heard = records(enough=2)
    bus.watch(f"nflow.event.{run}.>", heard)
    await bus.flush()

    first = await other.append(f"nflow.event.{run}.t", b"one")
    second = await other.append(f"nflow.event.{run}.t", b"two")
    await world.until(heard.complete)

    assert [(r.subject, r.seq, r.payload, r.last_seq) for r in heard.items] == [
        (f"nflow.event.{run}.t", first, b"one", 0),
        (f"nflow.event.{run}.t", second, b"two", first),
    ]


async def test_a_watcher_of_a_bucket_is_called_too(bus, world, run, records):
    heard = records()
    bus.watch(f"$KV.nflow_runs.{run}.*", heard)

    await bus.append(f"$KV.nflow_runs.{run}.state", b"running")
    await world.until(heard.complete)

    assert (heard.items[0].subject, heard.items[0].payload) == (f"$KV.nflow_runs.{run}.state", b"running")


async def test_a_closed_watcher_is_called_no_more(bus, world, run, records):
    closed, still = records(), records()
    watching = bus.watch(f"nflow.event.{run}.>", closed)
    bus.watch(f"nflow.event.{run}.>", still)

    watching.close()
    watching.close()
    await bus.append(f"nflow.event.{run}.t", b"one")
    await world.until(still.complete)

    assert closed.items == []


async def test_a_message_to_a_streams_subject_is_stored_before_what_follows_it(bus, run):
    bus.publish(f"nflow.log.{run}.t", b"a line")
    await bus.append(f"nflow.event.{run}.t", b"the end")

    page = await bus.read(f"nflow.log.{run}.>")

    assert [record.payload for record in page.records] == [b"a line"]


async def test_the_server_tells_the_time_by_which_it_dates_records(bus):
    before = await bus.server_time()
    await bus.append("nflow.event.r._.x", b"x")
    after = await bus.server_time()

    record = await bus.last("nflow.event.r._.x")
    assert before <= record.at <= after


async def test_what_is_stored_after_a_look_is_newer_than_what_that_found(bus, run):
    before = await bus.newest("nflow.event.>")

    stored = await bus.append(f"nflow.event.{run}.t", b"x")

    assert before < stored
    assert await bus.newest("nflow.event.>") == stored


async def test_the_place_of_a_moment_is_found_without_reading(world, bus, run):
    await bus.append(f"nflow.event.{run}.t", b"early")
    moment = (await bus.last(f"nflow.event.{run}.t")).at + 0.000_001
    await world.tick()
    await bus.append(f"nflow.event.{run}.t", b"late")

    place = await bus.newest(f"nflow.event.{run}.>", before=moment)

    assert [record.payload for record in (await bus.read(f"nflow.event.{run}.>", after=place)).records] == [b"late"]


async def test_after_a_moment_at_which_all_was_stored_comes_nothing(bus, run):
    await bus.append(f"nflow.event.{run}.t", b"early")
    moment = (await bus.last(f"nflow.event.{run}.t")).at + 60.0

    place = await bus.newest(f"nflow.event.{run}.>", before=moment)

    assert (await bus.read(f"nflow.event.{run}.>", after=place)).records == []
