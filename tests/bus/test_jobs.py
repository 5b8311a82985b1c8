"""The contract of jobs: one worker at a time, under a lease, again when that runs out."""

from nflow.bus.port import LEASE


async def test_a_job_reaches_a_worker_that_waits_for_one(bus, other, world, queue, run, jobs):
    taken = jobs()
    (await bus.take(queue, taken)).want(1)

    assert await other.enqueue(f"nflow.job.task.{run}.a", b"do it")
    await world.until(taken.complete)

    assert [(job.subject, job.payload, job.deliveries) for job in taken.items] == [
        (f"nflow.job.task.{run}.a", b"do it", 1)
    ]


async def test_a_job_knows_its_place_in_the_stream(bus, world, queue, run, jobs):
    taken = jobs()
    seq = await bus.append(f"nflow.job.task.{run}.a", b"first")

    (await bus.take(queue, taken)).want(1)
    await world.until(taken.complete)

    assert taken.items[0].seq == seq


async def test_a_job_waits_until_somebody_takes_from_its_queue(bus, world, queue, run, jobs):
    taken = jobs()
    await bus.enqueue(f"nflow.job.task.{run}.a", b"early")

    (await bus.take(queue, taken)).want(1)
    await world.until(taken.complete)

    assert taken.items[0].payload == b"early"


async def test_a_job_is_stored_once_until_it_is_done(bus, world, queue, run, jobs):
    taken = jobs()

    assert await bus.enqueue(f"nflow.job.task.{run}.a", b"waits")
    assert not await bus.enqueue(f"nflow.job.task.{run}.a", b"again")
    (await bus.take(queue, taken)).want(1)
    await world.until(taken.complete)
    assert not await bus.enqueue(f"nflow.job.task.{run}.a", b"again, while in hand")

    assert [job.payload for job in taken.items] == [b"waits"]


async def test_a_job_may_be_stored_without_waiting_for_it_and_still_once(bus, world, queue, run, jobs):
    taken = jobs(enough=2)
    bus.post_job(f"nflow.job.task.{run}.a", b"first")
    bus.post_job(f"nflow.job.task.{run}.a", b"refused")
    bus.post_job(f"nflow.job.task.{run}.b", b"second")

    (await bus.take(queue, taken)).want(3)
    await world.until(taken.complete)

    assert [job.payload for job in taken.items] == [b"first", b"second"]


async def test_a_job_that_is_done_is_gone_and_may_be_stored_anew(bus, other, world, queue, run, jobs):
    taken, again = jobs(enough=2), jobs()
    (await bus.take(queue, taken)).want(2)
    await bus.enqueue(f"nflow.job.task.{run}.done", b"x")
    await bus.enqueue(f"nflow.job.task.{run}.forgotten", b"x")
    await world.until(taken.complete)

    await next(job for job in taken.items if job.subject.endswith("done")).ack()
    (await other.take(queue, again)).want(2)
    await world.until(again.complete)

    assert [job.subject for job in again.items] == [f"nflow.job.task.{run}.forgotten"]
    assert await bus.enqueue(f"nflow.job.task.{run}.done", b"anew")


async def test_no_more_jobs_come_than_are_wanted(bus, world, queue, run, jobs):
    few, rest = jobs(enough=2), jobs(enough=5)
    for number in range(5):
        await bus.enqueue(f"nflow.job.task.{run}.{number}", b"x")

    intake = await bus.take(queue, lambda job: (few(job), rest(job)))
    intake.want(2)
    await world.until(few.complete)
    await bus.flush()
    assert len(few.items) == 2
    intake.want(3)
    await world.until(rest.complete)

    assert len(rest.items) == 5


async def test_wanting_less_holds_from_then_on(bus, other, world, queue, run, jobs):
    none, some = jobs(), jobs(enough=1)
    intake = await bus.take(queue, none)
    intake.want(4)
    await bus.flush()

    intake.want(0)
    await other.enqueue(f"nflow.job.task.{run}.a", b"x")
    (await other.take(queue, some)).want(1)
    await world.until(some.complete)

    assert none.items == []


async def test_two_workers_share_a_queue_and_no_job_is_given_twice(bus, other, world, queue, run, jobs):
    taken = jobs(enough=20)
    for client in (bus, other):
        (await client.take(queue, taken)).want(10)

    for number in range(20):
        await bus.enqueue(f"nflow.job.task.{run}.{number}", b"x")
    await world.until(taken.complete)

    assert len({job.subject for job in taken.items}) == 20


async def test_a_closed_intake_takes_no_more(bus, other, world, queue, run, jobs):
    closed, still = jobs(), jobs()
    intake = await bus.take(queue, closed)
    intake.want(5)
    await bus.flush()

    intake.close()
    intake.close()
    (await other.take(queue, still)).want(1)
    await other.enqueue(f"nflow.job.task.{run}.a", b"x")
    await world.until(still.complete)

    assert closed.items == []


async def test_a_job_handed_back_is_delivered_again_at_once(bus, other, world, queue, run, jobs):
    first, second = jobs(), jobs()
    (await bus.take(queue, first)).want(1)
    await bus.enqueue(f"nflow.job.task.{run}.a", b"x")
    await world.until(first.complete)
    (await other.take(queue, second)).want(1)

    handed_back = world.time()
    await first.items[0].hand_back()
    await world.until(second.complete)

    assert second.items[0].deliveries == 2
    assert world.time() - handed_back < LEASE / 2


async def test_a_job_handed_back_for_later_stays_away_until_then(bus, world, queue, run, jobs):
    taken = jobs()
    again = jobs(enough=2)
    intake = await bus.take(queue, lambda job: (taken(job), again(job)))
    intake.want(2)
    await bus.enqueue(f"nflow.job.task.{run}.a", b"x")
    await world.until(taken.complete)

    handed_back = world.time()
    await taken.items[0].hand_back(delay=0.5)
    await world.until(again.complete)

    assert 0.45 < world.time() - handed_back < LEASE


async def test_an_unrenewed_job_is_delivered_again_when_its_lease_has_run_out_and_a_held_one_is_not(
    bus, other, world, queue, run, jobs
):
    taken, again = jobs(enough=2), jobs()
    (await bus.take(queue, taken)).want(2)
    await bus.enqueue(f"nflow.job.task.{run}.held", b"x")
    await bus.enqueue(f"nflow.job.task.{run}.forgotten", b"x")
    await world.until(taken.complete)
    by_name = {job.subject.rpartition(".")[2]: job for job in taken.items}
    lost = []

    by_name["held"].hold(lambda: lost.append("held"))
    (await other.take(queue, again)).want(2)
    await world.until(again.complete)

    assert [(job.subject, job.deliveries) for job in again.items] == [(f"nflow.job.task.{run}.forgotten", 2)]
    assert lost == []
    assert by_name["held"].is_leased


async def test_a_job_that_is_dropped_goes_to_a_successor(bus, other, world, queue, run, jobs):
    taken, again = jobs(), jobs()
    (await bus.take(queue, taken)).want(1)
    await bus.enqueue(f"nflow.job.task.{run}.a", b"x")
    await world.until(taken.complete)
    taken.items[0].hold(lambda: None)
    (await other.take(queue, again)).want(1)

    taken.items[0].drop()
    await world.until(again.complete)

    assert again.items[0].deliveries == 2


async def test_a_withdrawn_job_is_gone_whether_it_waits_or_is_in_hand(bus, other, world, queue, run, jobs):
    taken, later = jobs(), jobs()
    await bus.enqueue(f"nflow.job.task.{run}.in_hand", b"x")
    await bus.enqueue(f"nflow.job.task.{run}.waiting", b"x")
    await bus.enqueue(f"nflow.job.task.{run}.other", b"x")
    (await bus.take(queue, taken)).want(1)
    await world.until(taken.complete)

    await other.withdraw(f"nflow.job.task.{run}.in_hand")
    await other.withdraw(f"nflow.job.task.{run}.waiting")
    await taken.items[0].ack()
    (await other.take(queue, later)).want(3)
    await world.until(later.complete)

    assert [job.subject for job in later.items] == [f"nflow.job.task.{run}.other"]
    assert await bus.enqueue(f"nflow.job.task.{run}.in_hand", b"again")


async def test_a_queue_tells_how_many_jobs_wait_in_it_and_how_many_are_in_hand(bus, world, queue, run, jobs):
    taken = jobs(enough=2)
    (await bus.take(queue, taken)).want(2)
    for name in "abc":
        await bus.enqueue(f"nflow.job.task.{run}.{name}", b"x")
    await world.until(taken.complete)

    states = {state.queue: state for state in await bus.queues()}

    assert (states[queue].waiting, states[queue].in_hand) == (1, 2)
    assert states[queue].delivered == taken.items[-1].seq


async def test_a_job_that_is_done_is_in_no_queue(bus, world, queue, run, jobs):
    taken = jobs()
    (await bus.take(queue, taken)).want(1)
    await bus.enqueue(f"nflow.job.task.{run}.a", b"x")
    await world.until(taken.complete)

    await taken.items[0].ack()
    await bus.flush()

    state = next(state for state in await bus.queues() if state.queue == queue)
    assert (state.waiting, state.in_hand, state.delivered) == (0, 0, taken.items[0].seq)
