"""`nflow store`: what a person sees of the data of runs, and may change."""

import fcntl
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from tests.cli.conftest import WORKFLOWS
from tests.cli.program import Done, Program


def run_of(done: Done) -> str:
    found = re.search(r"run (\w{16})", done.out)
    assert found, (done.out, done.err)
    return found[1]


@pytest.fixture(scope="module")
def kept(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A run that succeeded and has kept its data."""
    folder = shutil.copytree(WORKFLOWS, tmp_path_factory.mktemp("kept") / "here")
    program = Program(folder, home)
    done = program("run", "fills", "--keep-data")
    assert done.code == 0, done.err
    yield run_of(done)
    program.close()


@pytest.fixture
def gate(nflow_folder: Path) -> Iterator[IO[str]]:
    """A file that holds up all tasks of `held` until it is closed."""
    with (nflow_folder / "gate").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def test_text_is_printed_as_it_is(nflow: Program, kept: str):
    assert nflow("store", "get", kept, "sample.name") == Done(0, "LaB6\n", "")


def test_text_is_json_for_programs(nflow: Program, kept: str):
    assert nflow("store", "get", kept, "sample.name", "--json") == Done(0, '"LaB6"\n', "")


def test_a_run_may_be_shortened_and_a_key_lead_to_a_part_of_the_tree(nflow: Program, kept: str):
    done = nflow("store", "get", kept[:14], "sample")

    assert json.loads(done.out) == {"name": "LaB6", "energy": 12.4}


def test_a_long_array_is_told_by_its_kind_and_a_short_one_with_its_numbers(nflow: Program, kept: str):
    assert nflow("store", "get", kept, "frame").out == "float64 array of shape 100x1000\n"
    assert nflow("store", "get", kept, "matrix").out == "float64 array of shape 2x2\n[[1. 0.]\n [0. 1.]]\n"


def test_an_array_is_a_list_for_programs(nflow: Program, kept: str):
    assert json.loads(nflow("store", "get", kept, "matrix", "--json").out) == [[1.0, 0.0], [0.0, 1.0]]


def test_what_json_has_no_words_for_is_noted(nflow: Program, kept: str):
    done = nflow("store", "get", kept, "wave", "--json")

    assert json.loads(done.out) == "1j"
    assert done.err == "nflow: 'wave' is of the type complex, shown as Python writes it\n"


def test_a_value_whose_module_is_not_here_cannot_be_shown(nflow: Program, kept: str):
    done = nflow("store", "get", kept, "reading")

    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(f"nflow: 'reading' of {kept} cannot be opened here.")
    assert "needs the module 'instrument', which is not installed here" in done.err


def test_a_key_that_is_not_there_is_told_with_how_to_list_them(nflow: Program, kept: str):
    done = nflow("store", "get", kept, "sample.nmae")

    assert (done.code, done.out) == (2, "")
    assert f"No key 'sample.nmae' in the store of run {kept}. The keys that there are: nflow store keys {kept}" in (
        done.err
    )


def test_keys_are_listed_all_or_below_one(nflow: Program, kept: str):
    every = nflow("store", "keys", kept).out.split()

    assert {"fail", "frame", "log", "raw", "sample.energy", "sample.name"} < set(every)
    assert every == sorted(every)
    assert json.loads(nflow("store", "keys", kept, "sample", "--json").out) == ["sample.energy", "sample.name"]


def test_an_export_has_all_that_can_be_told_and_says_what_cannot(nflow: Program, kept: str):
    done = nflow("store", "export", kept)

    told = json.loads(done.out)
    assert done.code == 1
    assert told["sample"] == {"name": "LaB6", "energy": 12.4}
    assert told["frame"][1][:2] == [1000.0, 1001.0]
    assert told["raw"] == "AAE="
    assert told["log"] == ["first", "second"]
    assert told["nothing"] is told["reading"] is None
    assert "'nothing' is nan, shown as null" in done.err
    assert "'reading' is left out. " in done.err


def test_who_did_what_is_in_the_meta_section(nflow: Program, kept: str):
    tasks = json.loads(nflow("store", "get", kept, "log", "--section", "meta").out)["main:1"]["tasks"]

    assert set(tasks) == {"fill", "read"}
    assert tasks["fill"]["queue"] == "task"
    assert tasks["fill"]["duration"] > 0
    assert "start_time" in nflow("store", "keys", kept, "--section", "meta").out.split()


def test_what_is_typed_is_json_or_else_text(nflow: Program, kept: str):
    for key, value in (("limits.high", "35.5"), ("limits.names", '["a", 1]'), ("limits.note", "35 degrees")):
        assert nflow("store", "set", kept, key, value).code == 0

    assert json.loads(nflow("store", "get", kept, "limits").out) == {
        "high": 35.5,
        "names": ["a", 1],
        "note": "35 degrees",
    }


def test_one_key_can_be_removed(nflow: Program, kept: str):
    nflow("store", "set", kept, "waste.paper", "1")

    done = nflow("store", "rm", kept, "waste")

    assert done.out == f"Removed 'waste' of fills ({kept}).\n"
    assert nflow("store", "rm", kept, "waste").code == 2


def test_all_data_of_a_run_are_removed_only_when_that_is_confirmed(nflow: Program):
    run = run_of(nflow("run", "fills", "-k"))

    unasked = nflow("store", "rm", run)
    assert unasked.code == 2
    assert "Nobody can be asked here: add --yes." in unasked.err
    assert nflow("store", "get", run, "sample.name").code == 0

    assert nflow("store", "rm", run, "--yes").out == f"Removed all data of fills ({run}).\n"
    done = nflow("store", "get", run, "sample.name")
    assert "succeeded, and its data were dropped by hand (nflow store rm)." in done.err


def test_a_person_is_asked_before_all_data_are_removed(nflow: Program):
    run = run_of(nflow("run", "fills", "-k"))

    asked = nflow.answered("n", "store", "rm", run)

    assert f"Remove all data of fills ({run})? [y/N]" in asked.out
    assert asked.code == 130
    assert nflow("store", "get", run, "sample.name").code == 0
    assert nflow.answered("y", "store", "rm", run).code == 0
    assert nflow("store", "get", run, "sample.name").code == 2


def test_the_data_of_a_run_that_succeeded_are_gone_but_not_what_is_known_of_it(nflow: Program):
    run = run_of(nflow("run", "fills"))

    done = nflow("store", "get", run, "sample.name")

    assert done.code == 2
    assert done.err == (
        f"nflow: Run {run} succeeded, and its data were dropped when it ended. "
        "Keep them next time: nflow run --keep-data\n"
    )
    assert "fill" in json.loads(nflow("store", "get", run, "log", "--section", "meta").out)["main:1"]["tasks"]


def test_a_failed_run_has_its_data(nflow: Program):
    run = run_of(nflow("run", "fills", "fail=true"))

    assert nflow("store", "get", run, "sample.name").out == "LaB6\n"


def test_start_keeps_data_too(nflow: Program):
    worker = nflow.start("worker")
    run = nflow("start", "fills", "-k", "--wait").out.strip()

    assert nflow("store", "get", run, "sample.name").out == "LaB6\n"
    worker.close()


def test_the_data_of_a_run_that_goes_on_can_be_seen_and_changed_but_not_removed_unawares(nflow: Program, gate: IO[str]):
    running = nflow.start("run", "held", f"gate={gate.name}").until_says("first begins")

    assert nflow("store", "get", "@last", "gate").out == f"{gate.name}\n"
    assert nflow("store", "set", "@last", "hint", "7").code == 0
    assert nflow("store", "get", "@last", "hint").out == "7\n"
    refused = nflow("store", "rm", "@last", "--yes")
    assert refused.code == 2
    assert "is still going on, and its tasks may need their data. Stop it first, or add --force." in refused.err
    assert nflow("store", "rm", "@last", "--yes", "--force").code == 0
    assert nflow("store", "keys", "@last").out == ""
    gate.close()
    running.done()
