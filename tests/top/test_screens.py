"""What a person sees, and what keys do."""

import pytest

from nflow.core.events import Status
from nflow.core.ids import RunId
from nflow.errors import UsageError
from nflow.top.cells import ASCII, Look
from nflow.top.queues import Fill
from tests.top.conftest import Watch, press, settle
from tests.top.screens import assert_kept, shown, styled
from tests.top.script import MAIN, NOW, Script, failed, lines, night, started, succeeded

SIZES = pytest.mark.parametrize("size", [(80, 24), (200, 60)], ids=["80x24", "200x60"])


@SIZES
async def test_the_first_screen_says_what_runs_what_failed_and_what_waits_for_whom(watch: Watch, size):
    async with watch(night(), size) as pilot:
        assert_kept(f"overview-{size[0]}x{size[1]}", shown(pilot.app))


@SIZES
async def test_two_keys_lead_to_the_reason_of_a_failure(watch: Watch, size):
    async with watch(night(), size) as pilot:
        await press(pilot, "f", "enter")

        assert_kept(f"failed-{size[0]}x{size[1]}", shown(pilot.app))


@SIZES
async def test_a_run_that_moves_is_a_tree_with_the_lines_of_the_task_that_is_looked_at(watch: Watch, size):
    script = night()
    script.written["main:1/fit"] = list(lines("reading frame 1", "reading frame 2"))
    async with watch(script, size) as pilot:
        await press(pilot, "slash", *"01eee", "enter", "enter")

        assert_kept(f"running-{size[0]}x{size[1]}", shown(pilot.app))


async def test_without_runs_it_says_how_to_start_one(watch: Watch):
    async with watch(Script()) as pilot:
        assert_kept("nothing-80x24", shown(pilot.app))


async def test_help_tells_the_keys(watch: Watch):
    async with watch(night()) as pilot:
        await pilot.press("question_mark")

        assert_kept("help-80x24", shown(pilot.app))


async def test_a_terminal_without_signs_and_colours_shows_the_same_words(watch: Watch):
    async with watch(night(), look=Look(glyphs=ASCII, has_colours=False)) as pilot:
        assert shown(pilot.app).isascii()
        assert "nobody: start nflow worker -q gpu" in shown(pilot.app)
        assert styled(pilot.app, "nobody") == {"bold"}


async def test_a_queue_that_nobody_serves_is_red(watch: Watch):
    async with watch(night()) as pilot:
        assert styled(pilot.app, "nobody") == {"bold red"}


@pytest.mark.parametrize("size", [(20, 5), (40, 10), (80, 24), (300, 100)])
async def test_any_size_can_be_drawn(watch: Watch, size):
    async with watch(night(), size) as pilot:
        await press(pilot, "enter", "escape", "tab", "end")

        assert len(shown(pilot.app).splitlines()) == size[1]


async def test_a_terminal_that_grows_shows_more(watch: Watch):
    async with watch(night()) as pilot:
        assert "REMARK" not in shown(pilot.app)

        await pilot.resize_terminal(200, 60)
        await settle(pilot)

        assert "waits for a worker on queue 'gpu'" in shown(pilot.app)


async def test_what_happens_is_drawn_as_it_comes(watch: Watch):
    script = night()
    async with watch(script) as pilot:
        script.begin("01hhh", "brandnew", age=0.0)
        await settle(pilot)

        assert "brandnew" in shown(pilot.app)


async def test_the_way_of_text_into_the_terminal_is_closed_to_escapes_and_markup(watch: Watch):
    script = Script().begin("01evil", "[red]bold[/red]\x1b[2J\x07")
    script.tell("01evil", failed("read", "\x1b]0;owned\x07[blink]no\nbeam", traceback=""), dag=MAIN)
    script.end("01evil", Status.FAILED, "task 'read' failed: \x1b[31m", failed=1)
    async with watch(script, (200, 60)) as pilot:
        first = shown(pilot.app)
        await press(pilot, "enter")

        text = first + shown(pilot.app)
        assert "[red]bold[/red]" in text
        assert "[blink]no" in text
        assert not any(character in text for character in "\x1b\x07")


# --- the server ---


async def test_a_server_that_is_away_is_told_at_once_on_both_screens(watch: Watch):
    script = night()
    async with watch(script) as pilot:
        script.lose_server()
        await settle(pilot)
        assert "NO SERVER since 22:13:20, waiting for it" in shown(pilot.app)
        await press(pilot, "enter")
        assert "NO SERVER" in shown(pilot.app)

        script.find_server()
        await settle(pilot)

        assert "NO SERVER" not in shown(pilot.app)


# --- moving, sorting, choosing ---


async def test_what_moves_comes_first_then_what_waits_then_what_ended_last(watch: Watch):
    async with watch(night(), (80, 40)) as pilot:
        assert list(pilot.app.screen.source.visible) == [
            *("01fff", "01eee", "01ddd"),
            "01ggg",
            *("01ccc", "01bbb", "01aaa"),
        ]


async def test_runs_can_be_sorted_by_something_else_and_turned_round(watch: Watch):
    script = night()
    async with watch(script, (80, 40)) as pilot:
        await press(pilot, "s")
        assert script.visible[0] == "01ggg"

        await press(pilot, "I")

        assert script.visible[0] == "01aaa"


async def test_the_row_that_was_gone_to_stays_the_one_that_keys_act_on(watch: Watch):
    script = night()
    async with watch(script) as pilot:
        await press(pilot, "down")
        script.begin("01hhh", age=0.0)
        await settle(pilot)

        await press(pilot, "x", "y")

        assert script.asked == ["stop 01eee"]


async def test_words_choose_among_runs_until_escape(watch: Watch):
    script = night()
    async with watch(script, (80, 40)) as pilot:
        await press(pilot, "slash", *"gpu", "enter")
        assert script.visible == ("01ddd",)
        assert "waits for a worker on queue 'gpu'" in shown(pilot.app)

        await press(pilot, "escape")

        assert len(script.visible) == 7


async def test_what_is_typed_to_choose_by_is_seen_and_stays_told(watch: Watch):
    async with watch(night()) as pilot:
        await press(pilot, "slash", *"gpu")
        assert "\ngpu" in shown(pilot.app)

        await press(pilot, "enter")

        assert "only runs with: gpu (Esc: all); waits for a worker" in shown(pilot.app)


async def test_words_that_no_run_is_told_of_with_are_told(watch: Watch):
    async with watch(night()) as pilot:
        await press(pilot, "slash", *"nothing", "enter")

        assert "No run is told of with: nothing (Esc: all runs)" in shown(pilot.app)
        assert "No runs yet" not in shown(pilot.app)


async def test_enter_on_a_queue_leads_to_the_runs_that_wait_for_it(watch: Watch):
    script = night()
    async with watch(script) as pilot:
        await press(pilot, "tab", "enter")

        assert script.visible == ("01ddd",)


async def test_a_click_goes_to_a_row_and_a_second_one_opens_it(watch: Watch):
    script = night()
    async with watch(script) as pilot:
        await pilot.click("#runs", offset=(5, 2), times=2)
        await settle(pilot)

        assert [opened.detail.run for opened in script.opened] == ["01eee"]


async def test_the_wheel_moves_in_the_list(watch: Watch):
    script = Script()
    for number in range(100):
        script.begin(f"01r{number:03}", age=100.0 - number)
    async with watch(script) as pilot:
        runs = pilot.app.screen.query_one("#runs")

        runs.on_mouse_scroll_down(None)
        await press(pilot, "end")

        assert runs.current.run == "01r000"


async def test_starts_and_ends_of_tasks_are_told_if_they_are_asked_for(watch: Watch):
    script = Script().begin("01aaa").tell("01aaa", started("read"), dag=MAIN)
    async with watch(script) as pilot:
        assert "main:1/read started" not in shown(pilot.app)

        await press(pilot, "e")

        assert "main:1/read started" in shown(pilot.app)


# --- what can be done ---


@pytest.mark.parametrize(
    ("keys", "asked"),
    [
        (["x", "y"], ["stop 01fff"]),
        (["S", "n"], ["stop 01fff now"]),
        (["x", "escape"], []),
        (["x", "k"], []),
    ],
)
async def test_a_run_is_stopped_when_the_question_was_answered(watch: Watch, keys, asked):
    script = night()
    async with watch(script) as pilot:
        await press(pilot, *keys)

        assert script.asked == asked


async def test_a_question_names_the_run(watch: Watch):
    async with watch(night()) as pilot:
        await pilot.press("x")

        assert_kept("stop-80x24", shown(pilot.app))


async def test_a_failed_run_is_retried_in_three_keys(watch: Watch):
    script = night()
    async with watch(script) as pilot:
        await press(pilot, "f", "r", "y")

        assert script.asked == ["retry 01bbb"]
        assert "scan (01bbb) goes on." in shown(pilot.app)


async def test_a_run_that_moves_cannot_be_retried(watch: Watch):
    script = night()
    async with watch(script) as pilot:
        await press(pilot, "r")

        assert script.asked == []
        assert "there is nothing to retry" in shown(pilot.app)


async def test_a_run_that_is_over_cannot_be_stopped(watch: Watch):
    script = night()
    async with watch(script) as pilot:
        await press(pilot, "f", "x")

        assert "is over already: failed" in shown(pilot.app)


async def test_why_something_cannot_be_done_is_told(watch: Watch):
    script = night()
    script.refusal = UsageError("Its data are gone.")
    async with watch(script) as pilot:
        await press(pilot, "f", "r", "y")

        assert "Its data are gone." in shown(pilot.app)


async def test_a_part_of_the_monitor_that_has_failed_is_told_until_it_ends(watch: Watch):
    script = night()
    async with watch(script) as pilot:
        script.model.take_trouble("ValueError: odd")
        await settle(pilot)

        assert "A part of this monitor has failed, start it again: ValueError: odd" in shown(pilot.app)


async def test_the_id_of_a_run_is_copied(watch: Watch):
    async with watch(night()) as pilot:
        await press(pilot, "c")

        assert pilot.app.clipboard == "01fff"


# --- one run ---


async def test_a_run_that_is_looked_into_lives(watch: Watch):
    script = Script().serve("task").begin("01aaa").tell("01aaa", started("read"), dag=MAIN, ago=5.0)
    async with watch(script) as pilot:
        await press(pilot, "enter")
        assert "read                ● running" in shown(pilot.app)

        script.tell("01aaa", succeeded("read", NOW - 5, NOW), dag=MAIN)
        await settle(pilot)

        assert "read                ✔ succeeded     5.0s" in shown(pilot.app)


async def test_escape_leads_back_and_stops_listening_to_the_run(watch: Watch):
    script = night()
    async with watch(script) as pilot:
        await press(pilot, "enter", "escape")

        assert "QUEUE" in shown(pilot.app)
        assert [opened.is_closed for opened in script.opened] == [True]


async def test_a_dag_can_be_folded(watch: Watch):
    async with watch(night()) as pilot:
        await press(pilot, "f", "enter", "space")

        assert "main:1  4/4 …" in shown(pilot.app)
        assert "  report" not in shown(pilot.app)


async def test_the_text_of_a_task_can_be_scrolled(watch: Watch):
    script = night()
    script.written["main:1/fit"] = list(lines(*(f"line {number}" for number in range(100))))
    async with watch(script) as pilot:
        await press(pilot, "f", "enter")
        assert "line 99" not in shown(pilot.app)

        await press(pilot, "tab", "end")

        assert "line 99" in shown(pilot.app)


async def test_the_output_of_a_task_that_runs_is_shown_from_its_end(watch: Watch):
    script = Script().serve("task").begin("01aaa").tell("01aaa", started("read"), dag=MAIN)
    script.written["main:1/read"] = list(lines(*(f"line {number}" for number in range(100))))
    async with watch(script) as pilot:
        await press(pilot, "enter")

        assert "line 99" in shown(pilot.app)


async def test_only_runs_that_are_seen_are_asked_for_first(watch: Watch):
    script = Script().fill(Fill(kind="task", queue="task", python="py311", waiting=0, in_hand=0))
    for number in range(500):
        script.begin(f"01r{number:03}", age=500.0 - number)
    async with watch(script):
        assert 0 < len(script.visible) < 20
        assert RunId("01r499") in script.visible
