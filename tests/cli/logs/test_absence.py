"""A server that goes away while somebody follows a run, and comes back."""

import fcntl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.program import Program
from tests.servers import Server


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path / "site").start()
    yield server
    server.kill()


@pytest.mark.parametrize("command", ["logs @last -f", "events -f --since 1h"])
def test_whoever_follows_is_told_that_the_server_is_away_and_back(
    nflow: Program, site: Server, tmp_path: Path, command: str
):
    there = {"NFLOW_SERVER_URL": site.url, "NFLOW_SERVER_TOKEN": site.token}
    gate = tmp_path / "gate"
    with gate.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        run = nflow.start("run", "held", f"gate={gate}", "--work", **there).until_says("first begins")
        following = nflow.start(*command.split(), **there).until_says("main:1/first")

        site.kill()
        following.until_says("nflow: The server is away. Waiting for it; nothing will be missing here.")
        site.start()
        following.until_says("nflow: The server is back.")
    assert run.done().code == 0

    following.until_says("main:1/second")
