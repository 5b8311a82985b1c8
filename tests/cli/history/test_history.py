"""`nflow runs`, `nflow show` and `nflow history`, as a person and as a program see them."""

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.program import Program
from tests.servers import Server


@pytest.fixture(scope="module")
def ran(home: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Runs that have ended, by workflow, which all tests of this file look at."""
    folder = tmp_path_factory.mktemp("ran")
    for file in (Path(__file__).parents[1] / "workflows").glob("*.py"):
        (folder / file.name).write_bytes(file.read_bytes())
    program = Program(folder, home)
    runs = {}
    for workflow in ("two", "fails", "mended"):
        runs[workflow] = json.loads(program("run", workflow, "--json").out)["run"]
    program.close()
    return runs


def as_json(nflow: Program, *command: str):
    done = nflow(*command, "--json")
    assert done.code == 0, done
    return json.loads(done.out)


# --- runs ------------------------------------------------------------------------------------------------------------


def test_runs_are_listed_with_how_they_ended_the_newest_first(nflow: Program, ran):
    done = nflow("runs")

    lines = done.out.splitlines()
    assert lines[0].split() == ["run", "workflow", "state", "started", "took", "tasks", "reason"]
    assert [line.split()[:3] for line in lines[1:]] == [
        [ran["mended"], "mended", "failed"],
        [ran["fails"], "fails", "failed"],
        [ran["two"], "two", "succeeded"],
    ]
    assert re.search(r"  1 failed +task 'first' failed: ZeroDivisionError", lines[2])
    assert lines[3].endswith("  2 ok")
    assert done.err == ""


@pytest.mark.parametrize(
    ("flags", "workflows"),
    [
        (["--status", "failed"], ["mended", "fails"]),
        (["--status", "failed", "--status", "succeeded"], ["mended", "fails", "two"]),
        (["--workflow", "two"], ["two"]),
        (["--limit", "1"], ["mended"]),
        (["--since", "1h"], ["mended", "fails", "two"]),
        (["--since", "2100-01-01"], []),
        (["--since", "2020-01-01 10:00", "-w", "nosuch"], []),
    ],
)
def test_runs_are_chosen_by_marks(nflow: Program, ran, flags, workflows):
    assert [line["workflow"] for line in as_json(nflow, "runs", *flags)] == workflows


def test_a_time_that_is_none_is_told_with_examples(nflow: Program):
    done = nflow("runs", "--since", "yesterday")

    assert done.code == 2
    assert done.err == (
        "nflow: 'yesterday' is no time. Write how long ago, '10m' or '7d', "
        "or when: '02:15', '2026-03-31', '2026-03-31T02:15'.\n"
    )


# --- show ------------------------------------------------------------------------------------------------------------


def test_a_run_is_shown_with_its_tasks_and_what_failed(nflow: Program, ran):
    page = nflow("show", ran["fails"]).out

    assert page.startswith(f"fails  {ran['fails']}  failed: task 'first' failed: ZeroDivisionError: division by zero\n")
    assert re.search(r"^main:1  failed  .*1 cancelled, 1 failed", page, re.MULTILINE)
    assert re.search(r"^  first   failed     \d\.\d\d s  \S+  ZeroDivisionError: division by zero$", page, re.MULTILINE)
    assert re.search(r"^  second  cancelled  task 'first' failed$", page, re.MULTILINE)


@pytest.mark.parametrize("task", ["first", "main:1/first", "main/first", "main:1/", "main/"])
def test_a_task_is_shown_with_every_attempt_its_worker_and_its_error(nflow: Program, ran, task):
    page = nflow("show", ran["fails"], task).out

    assert "main:1/first  failed\n  attempt 1  failed\n    failed, on " in page
    assert re.search(r"worker \S+, process \d+, from ", page)
    assert "return 1 / by" in page
    assert "    ZeroDivisionError: division by zero\n" in page


def test_a_run_may_be_named_by_its_beginning_and_the_last_one_by_a_word(nflow: Program, ran):
    assert as_json(nflow, "show", "@last")["run"] == ran["mended"]
    assert as_json(nflow, "show", ran["two"][:-2])["workflow"] == "two"


def test_the_page_of_a_run_that_failed_ends_with_what_to_do(nflow: Program, ran):
    run = ran["fails"]

    assert nflow("show", run).out.splitlines()[-2:] == [
        f"Its traceback and output: nflow show {run} main:1/first",
        f"To go on, when its cause is mended: nflow retry {run}",
    ]
    assert "nflow retry" not in nflow("show", ran["two"]).out


def test_a_reason_is_told_once_for_the_run_and_its_dag(nflow: Program, ran):
    page = nflow("show", ran["fails"]).out

    assert page.count("task 'first' failed: ZeroDivisionError") == 1


@pytest.mark.parametrize("command", ["runs", "show @last", "show @last first", "status", "events @last"])
def test_times_are_told_in_utc_where_that_is_wanted(nflow: Program, ran, command):
    done = nflow(*command.split(), "--utc")

    assert (done.code, done.err) == (0, "")
    assert re.search(r"\b\d\d:\d\d:\d\d(\.\d{3})?Z", done.out)


@pytest.mark.parametrize("since", ["1h 30m", "00:00", "2026-03-31", "2026-03-31T02:15"])
@pytest.mark.parametrize("command", ["runs", "events", "history stats two", "history export", "logs @last"])
def test_every_command_takes_a_time_in_all_its_forms(nflow: Program, ran, command, since):
    done = nflow(*command.split(), "--since", since)

    assert (done.code, done.err) == (0, "")


def test_parameters_and_code_of_a_run_are_told(nflow: Program, ran):
    told = as_json(nflow, "show", ran["mended"])

    assert told["parameters"] == {"cause": "cause", "limit": 3}
    assert len(told["code"]) > 10
    assert [task["state"] for task in told["dags"][0]["tasks"]] == ["succeeded", "failed", "cancelled"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nosuch"], "No run begins with 'nosuch'. `nflow runs` lists the runs that are known."),
        (["@last", "nosuch"], "No task 'nosuch' of run "),
        ([""], "Several runs begin with ''"),
    ],
)
def test_what_is_not_there_is_told(nflow: Program, ran, arguments, words):
    done = nflow("show", *arguments)

    assert done.code == 2
    assert done.err.startswith(f"nflow: {words}")


# --- history ---------------------------------------------------------------------------------------------------------


def test_figures_tell_how_each_task_of_a_workflow_fares(nflow: Program, ran):
    first, second = as_json(nflow, "history", "stats", "mended")

    assert (first["dag"], first["task"], first["count"], first["failed"]) == ("main", "first", 1, 0)
    assert first["p50"] == first["p95"] == first["max"] > 0
    assert (second["task"], second["failed"], second["failure_rate"], second["p50"]) == ("second", 1, 1.0, None)
    assert nflow("history", "stats", "two").out.splitlines()[0].split() == [
        "task", "count", "p50", "p95", "max", "failed", "failure", "rate",
    ]  # fmt: skip


def test_figures_of_an_unknown_workflow_name_the_known_ones(nflow: Program, ran):
    assert nflow("history", "stats", "tow").out == "No task of 'tow' has ended. There are: fails, mended, two.\n"


def test_tables_are_exported_for_other_programs(nflow: Program, ran):
    rows = list(csv.DictReader(io.StringIO(nflow("history", "export", "--format", "csv").out)))
    lines = nflow("history", "export", "--format", "jsonl", "--table", "attempts").out.splitlines()

    assert [(row["run"], row["state"]) for row in rows] == [
        (ran["two"], "succeeded"),
        (ran["fails"], "failed"),
        (ran["mended"], "failed"),
    ]
    errors = [row["error"] for row in map(json.loads, lines) if row["error"]]
    assert errors == ["ZeroDivisionError", "FileNotFoundError"]


def test_nothing_is_pruned_that_is_young(nflow: Program, ran):
    done = nflow("history", "prune", "--older-than", "90d")

    assert done.out == "No run in the history ended longer than 90d ago.\n"


def test_pruning_asks_before(nflow: Program, ran):
    done = nflow("history", "prune", "--older-than", "0s")

    assert done.code == 2
    assert done.err == "nflow: Remove 3 runs from the history? Nobody can be asked here: add --yes.\n"


def test_the_history_is_read_anew_on_demand(nflow: Program, ran):
    before = as_json(nflow, "runs")

    done = nflow("history", "rebuild")

    assert done.code == 0
    assert done.out.startswith("The history in ")
    assert as_json(nflow, "runs") == before


# --- control characters, databases, servers --------------------------------------------------------------------------


def test_the_address_of_a_database_is_told_without_its_password(nflow: Program, ran):
    done = nflow("runs", NFLOW_HISTORY_URL="postgresql://me:hush@127.0.0.1:1/nflow")

    assert done.code == 3
    assert done.err.startswith("nflow: The history at postgresql://me:***@127.0.0.1:1/nflow cannot be used: ")
    assert "hush" not in done.err


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path / "site").start()
    yield server
    server.kill()


def test_without_its_server_the_history_answers_with_what_it_has_and_says_so(nflow: Program, site: Server):
    variables = {"NFLOW_SERVER_URL": site.url, "NFLOW_SERVER_TOKEN": site.token}
    nflow("run", "two", "--work", **variables)
    before = nflow("runs", "--json", **variables)
    site.kill()

    after = nflow("runs", "--json", **variables)
    none = nflow("history", "rebuild", **variables)

    assert json.loads(before.out)[0]["state"] == "succeeded"
    assert (after.code, after.out) == (0, before.out)
    assert "Without the server, the history tells what happened until " in after.err
    assert none.code == 3


@pytest.mark.parametrize("command", ["runs", "show @last", "history stats two", "history export"])
def test_without_a_server_a_history_that_knows_nothing_does_not_pretend_that_nothing_ran(nflow: Program, command: str):
    done = nflow(*command.split(), NFLOW_SERVER_URL="nats://127.0.0.1:1")

    assert (done.code, done.out) == (3, "")
    assert done.err.startswith("nflow: No NATS server answers at nats://127.0.0.1:1 ")
