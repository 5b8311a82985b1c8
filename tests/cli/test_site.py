"""With a site's server: exit code 3 when it cannot be talked to, and what a laptop does with it."""

import fcntl
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.program import Program
from tests.servers import Server, free_port


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A site's server."""
    server = Server(tmp_path_factory.mktemp("site")).start()
    yield server
    server.stop()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Where an embedded server would live."""
    return tmp_path / "home"


@pytest.mark.parametrize("command", ["run two", "start two", "status", "stop @last", "workers", "worker"])
def test_a_server_that_nobody_answers_at_is_exit_code_3(nflow: Program, command: str):
    url = f"nats://127.0.0.1:{free_port()}"

    done = nflow(*command.split(), "--server", url)

    assert done.code == 3
    assert f"nflow: No NATS server answers at {url}" in done.err
    assert "Traceback" not in done.err
    assert done.out == ""
    assert not nflow.home.exists(), "a server was started"


def test_a_wrong_token_is_exit_code_3_and_is_not_shown(nflow: Program, site: Server):
    done = nflow("status", NFLOW_SERVER_URL=site.url, NFLOW_SERVER_TOKEN="wrong-secret")

    assert done.code == 3
    assert "Check the token or user." in done.err
    assert "wrong-secret" not in done.err


def test_a_laptop_submits_looks_on_and_says_what_is_missing(nflow: Program, site: Server):
    there = {"NFLOW_SERVER_URL": site.url, "NFLOW_SERVER_TOKEN": site.token}
    running = nflow.start("run", "two", **there).until_says("No worker is there yet")
    worker = nflow.start("worker", **there)

    done = running.done()

    assert done.code == 0
    assert done.out.splitlines()[:2] == ["first speaks", "second speaks"]
    assert not nflow.home.exists()
    worker.send(signal.SIGTERM).done()


def test_a_laptop_works_too_where_it_is_told_to(nflow: Program, site: Server):
    done = nflow("run", "two", "--work", NFLOW_SERVER_URL=site.url, NFLOW_SERVER_TOKEN=site.token)

    assert done.code == 0
    assert done.err == ""


def test_no_server_is_started_here_where_one_is_configured(nflow: Program, site: Server):
    done = nflow("server", NFLOW_SERVER_URL=site.url)

    assert done.code == 2
    assert f"Your commands use the server at {site.url}." in done.err


def test_a_run_waits_for_a_server_that_is_away_and_says_so(nflow: Program, tmp_path: Path):
    server = Server(tmp_path / "server").start()
    there = {"NFLOW_SERVER_URL": server.url, "NFLOW_SERVER_TOKEN": server.token}
    gate = tmp_path / "gate"
    with gate.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        running = nflow.on_terminal("run", "held", f"gate={gate}", "--work", **there).until_says("main:1  0/2  first")
        server.kill()
        running.until_says("no server, waiting for it")
    server.start()

    done = running.done()

    assert done.code == 0
    assert "held succeeded" in done.out
    server.stop()
