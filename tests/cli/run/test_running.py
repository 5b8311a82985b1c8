"""`nflow run`, as a person and as a program see it."""

import json

from tests.cli.program import Program, peak_memory_bytes


def test_a_run_prints_what_its_tasks_print_and_ends_with_a_summary(nflow: Program):
    done = nflow("run", "two")

    assert done.code == 0
    first, second, summary = done.out.splitlines()
    assert [first, second] == ["first speaks", "second speaks"]
    assert summary.startswith("✔ two succeeded in 0.")
    assert "(2 succeeded, run " in summary
    assert done.err == ""


def test_a_failed_run_ends_with_the_users_own_traceback(nflow: Program):
    done = nflow("run", "fails")

    assert done.code == 1
    assert done.out.startswith("main:1/first failed on ")
    assert 'here/fails.py", line 12, in fail\n    divide(by=0)\n' in done.out
    assert 'here/fails.py", line 8, in divide\n    return 1 / by\n' in done.out
    assert "nflow/" not in done.out
    assert "✘ fails failed in" in done.out.splitlines()[-1]
    assert "task 'first' failed: ZeroDivisionError: division by zero  (1 failed, 1 cancelled, run" in done.out
    assert done.err.startswith("When its cause is mended, it can go on from there: nflow retry ")


def test_a_run_that_a_task_aborts_is_stopped(nflow: Program):
    done = nflow("run", "aborts")

    assert done.code == 1
    assert "■ aborts stopped in" in done.out
    assert ": the beam is down  (1 cancelled, run" in done.out


def test_whatever_a_task_writes_arrives_as_it_is(nflow: Program):
    done = nflow("run", "speaks")

    assert done.out.splitlines()[:-2] == [
        "x" * 5000,
        "ünïcødé 日本語 😀",
        "[bold]no markup[/bold] :smile:",
        "\x1b[31mred\x1b[0m and a tab\there",
    ]
    assert done.out.splitlines()[-2] == "no end of line"
    assert sorted(done.err.splitlines()) == ["WARNING mine: a warning", "to stderr"]


def test_characters_that_the_output_lacks_become_question_marks(nflow: Program):
    done = nflow("run", "two", PYTHONIOENCODING="ascii")

    assert done.code == 0
    assert "? two succeeded" in done.out


def test_all_of_a_hundred_thousand_lines_arrive_while_the_reader_pauses(nflow: Program):
    process = nflow.pipe("run", "speaks", "lines=100000")
    assert process.stdout

    with process.stdout:
        # whoever looks at one line for long, in `less` perhaps, does not stop the run
        first = process.stdout.readline()
        early = [process.stdout.readline() for _ in range(50_000)]
        memory = peak_memory_bytes(process.pid)
        *late, _, summary = process.stdout.read().decode().splitlines()
    process.wait()
    lines = [line.decode().rstrip() for line in early] + late

    assert process.returncode == 0
    assert first == b"x" * 5000 + b"\n"
    assert lines[3:] == [f"line {number}" for number in range(100_000)]
    assert "speaks succeeded" in summary
    assert memory < 250 * 1024**2


def test_a_run_goes_on_when_the_reader_of_its_output_leaves(nflow: Program):
    process = nflow.pipe("run", "speaks", "lines=20000")
    assert process.stdout

    process.stdout.readline()
    process.stdout.close()

    assert process.wait(30) == 0
    [entry] = json.loads(nflow("status", "@last", "--json").out)
    assert (entry["workflow"], entry["state"]) == ("speaks", "succeeded")


def test_with_json_stdout_holds_json_alone(nflow: Program):
    done = nflow("run", "two", "--json")

    told = json.loads(done.out)
    assert (told["workflow"], told["status"], told["tasks"]) == ("two", "succeeded", {"succeeded": 2})
    assert done.err == "first speaks\nsecond speaks\n"


def test_json_of_a_failed_run_holds_its_failures(nflow: Program):
    done = nflow("run", "fails", "--json")

    assert done.code == 1
    [failure] = json.loads(done.out)["failures"]
    assert (failure["task"], failure["type"], failure["message"]) == ("first", "ZeroDivisionError", "division by zero")
    assert "divide(by=0)" in failure["traceback"]


def test_a_run_alone_serves_all_the_queues_of_its_workflow(nflow: Program):
    done = nflow("run", "elsewhere")

    assert done.code == 0
    assert done.out.startswith("on the other side\n")


def test_a_workflow_runs_where_nothing_can_be_written(nflow: Program):
    elsewhere = Program(nflow.folder.parent / "closed", nflow.home)
    elsewhere.folder.mkdir(mode=0o500)

    done = elsewhere("run", str(nflow.folder / "two.py"))

    assert done.code == 0


def test_a_state_folder_that_cannot_be_made_is_told(nflow: Program):
    done = nflow("run", "two", NFLOW_HOME="/proc/nowhere")

    assert done.code == 2
    assert "Set NFLOW_HOME to a folder of your own." in done.err
    assert done.out == ""


def test_two_runs_at_once_share_the_server_and_each_shows_its_own(nflow: Program):
    racing = [nflow.start("run", "two") for _ in range(2)]

    for done in [running.done() for running in racing]:
        assert done.code == 0
        assert done.out.splitlines()[:2] == ["first speaks", "second speaks"]
        assert "left from before" not in done.err


def test_the_copied_examples_run(nflow: Program):
    assert nflow("examples", "copy", ".").code == 0

    done = nflow("run", "sequence")

    assert done.code == 0
    assert "This is task #3" in done.out


def test_a_run_needs_no_output_at_all(nflow: Program):
    assert nflow.with_closed_output("run", "two") == 0
