"""The client for programs without an event loop, on nflow's own server, with a worker that is a process."""

import asyncio
import inspect
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nflow.client import AsyncClient, Client
from nflow.config import load
from nflow.errors import CallTimedOut, ServerError, UsageError
from nflow.server import attach
from nflow.server.folder import Folder
from tests.cli.program import Program
from tests.client.conftest import chain
from tests.servers import Server

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the server of these tests keeps its data; a worker works there."""
    home = tmp_path_factory.mktemp("home")
    with attach(load({"home": home})):
        program = Program(home, home)
        program.start("worker", "--slots", "2").until_says(" serves ")
        yield home
        program.close()


@pytest.fixture
def client(home: Path) -> Iterator[Client]:
    with Client(settings={"home": home}) as client:
        yield client


def tasks_of(events):
    return [f"{event.task} {event.what}" for event in events if event.kind == "task"]


def python(code: str, home: Path) -> "subprocess.Popen[str]":
    """A program of somebody who uses a client."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NFLOW_")}
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=CHECKOUT,
        env=environment | {"NFLOW_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_run_is_started_followed_and_asked_for_its_result(client):
    run = client.start(chain("a", "b"))

    events, result = list(client.events(run)), client.wait(run, timeout=30)

    assert tasks_of(events) == ["a started", "a succeeded", "b started", "b succeeded"]
    assert (result.succeeded, client.result(run), client.find("@last").run) == (True, result, run)


def test_the_lines_of_a_run_come_one_by_one(client, tmp_path):
    file = tmp_path / "speaks.py"
    file.write_text(
        "from nflow.models import Dag\nfrom nflow.tasks import PythonTask\n"
        "def speak(data, store, signal, context):\n    print('one')\n    print('two')\n"
        "dag = Dag('main')\ndag.define({PythonTask('t', speak): None})\n"
    )

    run = client.start(file)

    assert [(line.task, line.text) for line in client.logs(run)] == [("t", "one"), ("t", "two")]


def test_eight_threads_share_one_client(client):
    def user(number):
        run = client.start(chain("a", dag=f"scan{number}"))
        return client.wait(run, timeout=60).workflow, tasks_of(client.events(run))

    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(user, range(8)))

    assert told == [(f"scan{number}", ["a started", "a succeeded"]) for number in range(8)]


async def test_plain_calls_work_where_a_loop_is_running_as_in_a_notebook(home):
    with Client(settings={"home": home}) as client:
        run = client.start(chain("a"))
        ticks = asyncio.ensure_future(asyncio.sleep(0))

        result = client.wait(run, timeout=30)

    await ticks
    assert result.succeeded


def test_an_iteration_that_is_left_early_leaves_nothing_behind(client):
    run = client.start(chain("a"))
    threads = threading.active_count()

    for _ in range(3):
        next(client.events(run))

    assert client.wait(run, timeout=30).succeeded
    assert threading.active_count() == threads


def test_a_thread_that_waits_is_told_when_the_client_is_closed(home):
    client = Client(settings={"home": home})
    events = client.events()
    waiting = threading.Event()

    def wait():
        waiting.set()
        return next(events)

    with ThreadPoolExecutor(1) as pool:
        told = pool.submit(wait)
        waiting.wait(10)
        client.close()

        with pytest.raises(UsageError, match="closed"):
            told.result(10)


def test_a_closed_client_says_so_and_can_be_closed_again(home):
    client = Client(settings={"home": home})
    client.close()

    client.close()

    with pytest.raises(UsageError, match="This client is closed"):
        client.runs()


def test_a_child_that_was_forked_is_told_to_open_a_client_of_its_own(home):
    code = """
import os, nflow
client = nflow.Client()
pid = os.fork()
if not pid:
    try:
        client.runs()
    except nflow.NflowError as error:
        print(error, flush=True)
    client.close()
    raise SystemExit(0)
assert os.waitpid(pid, 0)[1] == 0
client.runs()
client.close()
print("the parent goes on")
"""
    out, err = python(code, home).communicate(timeout=60)

    assert out.splitlines() == [
        "This client was opened by another process, before a fork. Open one in this process.",
        "the parent goes on",
    ], err


def test_ctrl_c_ends_a_wait_and_the_client_goes_on(home):
    code = """
import nflow
client = nflow.Client()
events = client.events()
try:
    print("waits", flush=True)
    next(events)
except KeyboardInterrupt:
    print("interrupted", len(client.runs()) >= 0, flush=True)
"""
    program = python(code, home)
    assert program.stdout
    assert program.stdout.readline() == "waits\n"

    program.send_signal(signal.SIGINT)

    out, err = program.communicate(timeout=60)
    assert (out, program.returncode) == ("interrupted True\n", 0), err


def test_a_program_that_forgets_to_close_its_client_stops_the_server_that_it_has_started(tmp_path):
    out, err = python("import nflow; client = nflow.Client(); print(client.runs())", tmp_path).communicate(timeout=60)

    assert (out, err) == ("[]\n", "")
    folder = Folder.of_this_host(tmp_path)
    assert folder.log.exists(), "it has started none"
    with folder.lock(folder.server_lock) as lock:
        assert lock.try_exclusive(), "the server goes on"


def test_a_client_that_is_dropped_disconnects(home):
    client = Client(settings={"home": home})
    [thread] = [each for each in threading.enumerate() if each.name == "nflow-client"][-1:]

    del client

    thread.join(10)
    assert not thread.is_alive()


def test_without_a_server_there_is_no_client():
    with pytest.raises(ServerError, match=r"127\.0\.0\.1:9"):
        Client("nats://127.0.0.1:9", timeout=20)


def test_a_call_ends_in_time_while_the_server_is_away_and_the_next_one_is_answered_when_it_is_back(tmp_path):
    server = Server(tmp_path / "server").start()
    try:
        with Client(server.url, settings={"server.token": server.token}, timeout=0.5) as client:
            server.kill()
            with pytest.raises(CallTimedOut, match=r"No answer within 0\.5 s"):
                client.runs()
            server.start()

            client._timeout = 30.0
            assert client.runs() == []
    finally:
        server.kill()


def test_both_clients_have_the_same_calls_with_the_same_arguments():
    def calls(kind):
        return {name: call for name, call in vars(kind).items() if callable(call) and not name.startswith("_")}

    plain, waiting = calls(Client), calls(AsyncClient)

    assert {*waiting} - {*plain} == {"event_pages", "log_pages"}
    assert {*plain} - {*waiting} == {"close"}
    for name in {*plain} & {*waiting}:
        assert inspect.signature(plain[name]).parameters == inspect.signature(waiting[name]).parameters, name
