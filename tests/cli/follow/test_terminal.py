"""`nflow run` on a terminal: what moves, colours, widths."""

import fcntl

import pytest

from tests.cli.program import Program, without_escapes


def test_a_run_is_shown_while_it_moves_and_summed_up(nflow: Program):
    gate = nflow.folder / "gate"
    with gate.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        running = nflow.on_terminal("run", "held", f"gate={gate}")
        running.until_says("main:1  0/2  first")
    done = running.done()

    assert done.code == 0
    told = without_escapes(done.out)
    assert "0/2 tasks, 1 running" in told
    assert told.rstrip().splitlines()[-1].startswith("✔ held succeeded in")
    assert "\x1b[1;32m✔ held succeeded" in done.out


@pytest.mark.parametrize("variables", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_colours_are_left_out_where_they_are_not_wanted(nflow: Program, variables: dict[str, str]):
    done = nflow.on_terminal("run", "fails", **variables).done()

    assert done.code == 1
    assert not any(f"\x1b[{colour}" in done.out for colour in ("31m", "32m", "36m", "1;31m"))
    assert "✘ fails failed" in without_escapes(done.out)


def test_what_tasks_write_passes_on_a_narrow_terminal(nflow: Program):
    done = nflow.on_terminal("run", "speaks", "lines=5000", columns=30).done()

    assert done.code == 0
    told = without_escapes(done.out)
    assert "x" * 5000 in told
    assert "ünïcødé 日本語 😀" in told
    assert "line 4999" in told


def test_a_listing_fits_a_narrow_terminal_and_keeps_the_ids(nflow: Program):
    nflow("run", "fails")

    table = without_escapes(nflow.on_terminal("status", columns=60).done().out).splitlines()

    assert max(map(len, table)) <= 60
    last = [line.split() for line in table if not line.startswith(" ")][-1]
    assert len(last[0]) == 16
    assert last[1:3] == ["fails", "failed"]
