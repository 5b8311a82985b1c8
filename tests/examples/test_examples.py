"""Every example does what it says, when it is run as a person would run it."""

import ast
import re
import socket
from pathlib import Path

import numpy as np
import pytest

from tests.cli.program import Done, Program
from tests.examples.conftest import EXAMPLES

NAMES = sorted(file.stem for file in EXAMPLES.glob("*.py"))
README = (EXAMPLES / "README.md").read_text()


def printed(done: Done) -> list[str]:
    """What the tasks printed, of a run that went well: all lines but the summary."""
    assert done.code == 0, done
    *lines, last = done.out.splitlines()
    assert last.startswith("✔ ")
    return lines


def summary(done: Done) -> str:
    return done.out.splitlines()[-1]


def countless(line: str) -> str:
    """A line without its numbers: times, ids, and which of several comes first."""
    return re.sub(r"\d\w*(\.\d+)?", "#", line)


def test_simple_hands_the_five_on(example):
    done = example("simple")

    assert printed(done) == ["Task put_task runs in main_dag:1 of workflow simple.", "The value is: 5"]


def test_sequence_counts_to_three(example):
    done = example("sequence")

    assert printed(done)[1::2] == ["This is task #1", "This is task #2", "This is task #3"]


def test_parallel_joins_after_its_three_lanes(example):
    lines = printed(example("parallel"))

    begun = [line.split()[1] for line in lines if line.startswith("Task ")]
    assert begun[0] == "branch_task"
    assert sorted(begun[1:4]) == ["lane1_task", "lane2_task", "lane3_task"]
    assert begun[4:] == ["join_task"]


def test_the_join_of_parallel_has_data_from_all_lanes(example):
    lines = printed(example("parallel"))

    assert [line.split(": ")[1] for line in lines if line.startswith("  join_task")] == [
        "branch_task, lane1_task",
        "branch_task, lane2_task",
        "branch_task, lane3_task",
    ]


def test_branching_runs_two_lanes_and_the_join_but_not_the_third_lane(example):
    done = example("branching")

    *lanes, join = printed(done)
    assert sorted(lanes) == [
        "Task lane1_print_task and value 5, received from branch_task",
        "Task lane2_print_task and value 5, received from branch_task",
    ]
    assert join == "Task t_join_me and value 5, received from lane1_print_task, lane2_print_task"
    assert "(5 succeeded, 1 skipped," in summary(done)


def test_decision_takes_the_way_that_its_number_asks_for(example):
    done = example("decision")

    [line] = printed(done)
    size, number = line.split(" number: ")
    assert size == ("Small" if float(number) < 0.5 else "Large")
    assert "(2 succeeded, 1 skipped," in summary(done)


def test_multi_data_computes_in_the_order_of_its_datasets(example):
    done = example("multi_data")

    assert sorted(printed(done)) == [
        "print_task_1: The value is: 5",
        "print_task_2: The value is: 25",
        "print_task_3: The value is: 125",
        "print_task_4: The value is: -120",
    ]


def test_data_store_keeps_what_its_tasks_put_there(example):
    number, dimension, filenames = printed(example("data_store"))

    assert number == "The number is: 5"
    assert dimension == "The dimension of the image is: (100, 100)"
    listed = ast.literal_eval(filenames.removeprefix("The filenames are: "))
    assert len(listed) == 5
    assert listed[0] == "file_a.spec"  # what follows was appended by two tasks at a time
    assert [name for name in listed if name != "file_b.spec"][1:] == [
        ["nested_a", "nested_b"],
        "file_c.spec",
        "file_d.spec",
    ]


def test_sub_dag_waits_for_five_dags_with_an_image_each(example):
    first, *images, last = printed(example("sub_dag"))

    assert first.startswith("Task init_task runs ")
    assert sorted(images) == [f"sub_dag:{n} received an image with dimensions: (100, 100)" for n in range(1, 6)]
    assert last == "These have ended: sub_dag:1, sub_dag:2, sub_dag:3, sub_dag:4, sub_dag:5"


def test_chunking_dag_starts_a_dag_for_each_complete_group(example):
    lines = printed(example("chunking_dag"))

    groups = sorted(line for line in lines if " has " in line)
    assert groups == [
        "print_dag:1 has lysozyme_0001.dat, lysozyme_0002.dat",
        "print_dag:2 has buffer_0001.dat, buffer_0002.dat, buffer_0003.dat",
        "print_dag:3 has glucose_0001.dat",
        "print_dag:4 has glucose_0002.dat",
        "print_dag:5 has empty_0001.dat",
        "print_dag:6 has water_0001.dat, water_0002.dat",
    ]


def test_chunking_dag_has_at_most_four_dags_in_flight(example):
    lines = printed(example("chunking_dag"))

    in_flight = [int(line.split()[-3]) for line in lines if line.endswith(" in flight")]
    assert in_flight[:4] == [1, 2, 3, 4]
    assert len(in_flight) == 6
    assert max(in_flight) == 4


def test_bash_prints_its_ten_lines_before_the_return_code(example):
    lines = printed(example("bash"))

    assert lines == [
        *(f"This is line {n}" for n in range(1, 11)),
        "Process return code: 0",
        "Number of lines: 10",
        "Size of stdout: 151 bytes",
        "What stderr says: acquisition begins",
    ]


def test_stop_ends_the_program_at_its_fifth_line(example):
    lines = printed(example("stop"))

    assert [line for line in lines if line.startswith("Content")] == [
        f"Content of current line is {n}" for n in range(1, 5)
    ]


def test_stop_skips_the_successors_of_all_but_one_path(example):
    done = example("stop")

    lines = printed(done)
    assert lines[0] == "Starting main_dag:1"
    assert [line.split()[1] for line in lines if line.startswith("Task ")] == ["print_task_2"]
    assert "(5 succeeded, 2 skipped," in summary(done)


def test_abort_stops_the_run_before_its_last_task(example):
    done = example("abort")

    assert done.code == 1
    first, last = done.out.splitlines()
    assert first == "Collected 3 images"
    assert last.startswith("■ abort stopped in ")
    assert ": At least 5 images are required  (" in last


def test_timing_tells_how_long_each_task_took(example):
    *slept, last = printed(example("timing"))

    names, seconds = zip(*(line.removesuffix(" seconds").split(" took ") for line in slept), strict=True)
    assert names == ("sleep_task_1", "sleep_task_2", "sleep_task_3")
    assert all(float(value) > 0 for value in seconds)
    assert last == "print_task is still running"


def test_queues_runs_alone(example):
    done = example("queues", "-q", "main")

    assert [line.split(" runs on ")[0] for line in printed(done)] == [
        "Task print_task of main_dag:1",
        "Task print_memory_task of main_dag:1",
    ]


def test_the_workers_that_queues_names_run_it(nflow: Program):
    told = re.findall(r"^    nflow (worker -q \S+)$", (EXAMPLES / "queues.py").read_text(), re.MULTILINE)
    workers = [nflow.start(*command.split(), "--slots", "1") for command in told]
    for worker in workers:
        worker.until_says(" serves ")

    done = nflow("run", "--no-work", "-q", "main", str(EXAMPLES / "queues.py"))

    assert len(workers) == 3
    assert len(printed(done)) == 2


def test_parameters_reach_the_tasks(example):
    done = example("parameters", "filepath=/data/scan_0001.h5", "iterations=3")

    assert printed(done) == ["The filepath is: /data/scan_0001.h5", "Number of iterations: 3"]


def test_parameters_have_defaults(example):
    done = example("parameters", "filepath=/data/scan_0001.h5")

    assert printed(done)[-1] == "Number of iterations: 1"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ([], "Parameter 'filepath' (file to work on) is missing."),
        (["filepath=x", "iterations=many"], "Parameter 'iterations': Cannot convert 'many' to int."),
    ],
)
def test_parameters_that_are_missing_or_wrong_start_nothing(example, arguments, problem):
    done = example("parameters", *arguments)

    assert done.code == 2
    assert problem in done.err
    assert done.out == ""


def test_phase_id_tells_layers_from_the_profiles_in_a_folder(example, tmp_path: Path):
    q = np.arange(0.1, 7.0, 0.0066)
    peaks = sum(height * np.exp(-0.5 * ((q - order * 1.2566) / 0.017) ** 2) for order, height in ((1, 5), (2, 0.5)))
    counts = np.random.default_rng(1).poisson(20_000 * (0.02 + peaks))
    np.savetxt(tmp_path / "layers.dat", np.column_stack([q, counts]), header="q (nm^-1)  I")

    done = example("phase_id", f"data={tmp_path}", f"out={tmp_path / 'out'}")

    profile, files = printed(done)
    assert profile.startswith("layers.dat: lamellar, 5.000 nm")
    assert files == f"1 profiles: {tmp_path}/out/phases.csv, {tmp_path}/out/phases.png"
    assert (tmp_path / "out" / "phases.csv").read_text().splitlines()[1].startswith("layers.dat,lamellar,5.000,")


# --- as a whole ------------------------------------------------------------------------------------------------------


def test_every_example_is_run_by_a_test():
    tests = Path(__file__).read_text()

    assert sorted(set(re.findall(r"\bexample\(\"(\w+)\"", tests))) == NAMES


def test_the_readme_tells_of_every_example_once():
    told = re.findall(r"^\*\*\[(\w+)\]\((\w+)\.py\)\*\*: ", README, re.MULTILINE)

    assert sorted(told) == [(name, name) for name in NAMES]


def test_the_readme_shows_how_to_run_every_example():
    shown = re.findall(r"^    \$ nflow run (?:-q main )?examples/(\w+)\.py", README, re.MULTILINE)

    assert sorted(set(shown)) == NAMES


# One of them prints what chance wants; the other draws for seconds, and has its own tests.
@pytest.mark.parametrize("name", sorted({*NAMES} - {"decision", "phase_id"}))
def test_the_readme_shows_what_an_example_prints(example, name):
    [(arguments, shown)] = re.findall(rf"^    \$ nflow run (.*{name}\.py.*)\n((?:    .*\n)+)", README, re.MULTILINE)
    shown = shown.replace("beamline-7", socket.gethostname())

    done = example(name, *(each for each in arguments.split() if each != f"examples/{name}.py"))

    assert shown
    assert {countless(line.strip()) for line in shown.splitlines()} - {"..."} <= {
        countless(line.strip()) for line in done.out.splitlines()
    }


@pytest.mark.parametrize("name", NAMES)
def test_an_example_says_in_a_line_what_it_shows_and_then_how_it_is_run(name):
    text = ast.get_docstring(ast.parse((EXAMPLES / f"{name}.py").read_text()))

    first, empty, *rest = text.splitlines()
    assert first.endswith((".", "!")) or "?" in first
    assert len(first) < 120
    assert empty == ""
    assert rest[0].startswith("    nflow run ")
    assert f"examples/{name}.py" in rest[0]
