"""What tasks print and log arrives whole and in order."""

from tests.e2e.station import Station


async def test_what_a_task_prints_and_logs_arrives_whole_and_in_order(station: Station):
    await station.worker()

    run = await station.submit("talk", lines=2000)

    async with station.following(run) as story:
        await story.succeeds()
        said = story.said("talk")
        out = [text for text in said if text.startswith("out ")]
        assert out == [f"out {number} ääh" for number in range(2000)]
        assert story.said("talk", "err") == [f"err {number}" for number in range(2000)]
        logged = [text for text in story.said("talk", "log") if text.startswith("log ")]
        assert logged == [f"log {number}\nits second line" for number in range(0, 2000, 10)]
        assert sum(len(text) for text in said if set(text) == {"x"}) == 20 * 100_000
        assert story.said("last_word") == ["the last word"]


async def test_nflow_run_prints_what_tasks_print_whole_and_in_order(laptop: Station):
    process = await laptop.nflow("run", *laptop.workflow("talk", lines=2000))

    assert await process.end() == 0, process.story

    assert [line for line in process.out if line.startswith("out ")] == [f"out {number} ääh" for number in range(2000)]
    assert [line for line in process.err if line.startswith("err ")] == [f"err {number}" for number in range(2000)]
    logged = [line for line in process.err if line.startswith("WARNING station.talk: log ")]
    assert logged == [f"WARNING station.talk: log {number}" for number in range(0, 2000, 10)]
    assert "the last word" in process.out
