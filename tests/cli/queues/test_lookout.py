"""Jobs that wait for workers which are not there are told when they happen, and once."""

import fcntl
import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.program import Program, Running
from tests.servers import Server

LATE = """
from nflow.models import Dag
from nflow.tasks import PythonTask

def hold(data, store, signal, context):
    import fcntl
    print("first begins", flush=True)
    with open({gate!r}) as file:
        fcntl.flock(file, fcntl.LOCK_SH)

dag = Dag("main")
dag.define({{PythonTask("first", hold): PythonTask("second", queue="gpu")}})
"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Server]:
    """A site's server."""
    server = Server(tmp_path / "site").start()
    yield server
    server.stop()


@pytest.fixture
def there(site: Server) -> dict[str, str]:
    """How to reach it."""
    return {"NFLOW_SERVER_URL": site.url, "NFLOW_SERVER_TOKEN": site.token}


@pytest.fixture
def late(nflow_folder: Path) -> Path:
    """A workflow whose second task needs a GPU; a lock on this file holds up the first one."""
    gate = nflow_folder / "gate"
    gate.touch()
    (nflow_folder / "late.py").write_text(LATE.format(gate=str(gate)))
    return gate


class Crew:
    """Workers of the site, ended with the test."""

    def __init__(self, nflow: Program, there: dict[str, str]) -> None:
        self._nflow = nflow
        self._there = there
        self._workers: list[Running] = []

    def start(self, queues: str = "workflow,dag,task") -> Running:
        worker = self._nflow.start("worker", "-q", queues, "--slots", "1", **self._there)
        self._workers.append(worker)
        return worker.until_says(" serves ")

    def close(self) -> None:
        for worker in self._workers:
            worker.send(signal.SIGTERM)
        for worker in self._workers:
            worker.done()


@pytest.fixture
def crew(nflow: Program, there: dict[str, str]) -> Iterator[Crew]:
    """Starts workers."""
    crew = Crew(nflow, there)
    yield crew
    crew.close()


def test_a_queue_whose_last_worker_leaves_is_told_when_a_job_waits_there(nflow, there, crew, late):
    crew.start()
    gpu = crew.start("gpu")
    with late.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        running = nflow.start("run", "late", **there).until_says("first begins")
        gpu.send(signal.SIGTERM).done()
        before = running.said

    running.until_says("Queue 'gpu': no worker serves it, and the run waits for one. Start it: nflow worker -q gpu\n")
    crew.start("gpu")

    done = running.done()
    assert "gpu" not in before
    assert done.code == 0
    assert done.err.count("no worker serves it") == 1


def test_that_a_queue_is_served_again_is_told(nflow, there, crew, late):
    with late.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        running = nflow.start("run", "late", **there).until_says("No worker is there yet")

        crew.start("workflow,dag,task,gpu")

        running.until_says("Queues 'workflow', 'dag', 'task', 'gpu' are served now.\n")
    assert running.done().code == 0


def test_what_was_told_at_the_start_is_not_told_again(nflow, there, crew, late):
    crew.start()
    running = nflow.start("run", "late", **there).until_says("No worker serves gpu yet").until_says("first begins")

    crew.start("gpu")

    done = running.done()
    assert done.code == 0
    assert done.err.count("No worker serves gpu yet") == 1
    assert "no worker serves it" not in done.err


def test_a_queue_that_is_missed_beside_all_others_is_told_by_its_name_later(nflow, there, crew, late):
    running = nflow.start("run", "late", **there).until_says("No worker is there yet")

    crew.start()

    running.until_says("Queue 'gpu': no worker serves it")
    [entry] = json.loads(nflow("status", "@last", "--json", **there).out)
    assert (entry["state"], entry["reason"]) == ("running", "waits for a worker on queue 'gpu'")
    [listed] = json.loads(nflow("status", "--json", **there).out)
    [line] = json.loads(nflow("runs", "--status", "running", "--json", **there).out)
    page = json.loads(nflow("show", "@last", "--json", **there).out)
    assert entry["reason"] == listed["reason"] == line["reason"] == page["reason"]
    crew.start("gpu")
    assert running.done().code == 0


def test_start_tells_it_too_while_it_waits_for_the_end(nflow, there, crew, late):
    running = nflow.start("start", "late", "--wait", **there).until_says("No worker is there yet")

    crew.start()

    running.until_says("Queue 'gpu': no worker serves it")
    crew.start("gpu")
    assert running.done().code == 0


def test_status_says_what_a_run_waits_for(nflow, there, late):
    run = nflow("start", "late", **there).out.strip()

    [closely] = json.loads(nflow("status", run, "--json", **there).out)
    [listed] = json.loads(nflow("status", "--json", **there).out)

    assert closely["reason"] == listed["reason"] == "waits for a worker on queue 'workflow'"


def test_a_run_that_is_served_hears_nothing(nflow, there, crew, late):
    crew.start("workflow,dag,task,gpu")

    done = nflow("run", "late", **there)

    assert (done.code, done.err) == (0, "")
