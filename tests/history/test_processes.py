"""Real processes that catch up at once, and some that are killed in the middle of it."""

import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from nflow.bus.nats import NatsBus, connect
from tests.history.chronicle import Chronicle
from tests.history.recount import counted_in, recounted
from tests.servers import Server

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0
PORTION = 20


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("history")).start()
    yield server
    server.kill()


@pytest.fixture
async def bus(server: Server) -> AsyncIterator[NatsBus]:
    bus = await connect(server.url, token=server.token)
    yield bus
    await bus.purge("nflow.event.>")
    await bus.close()


@pytest.fixture
async def chronicle(bus: NatsBus) -> Chronicle:
    chronicle = Chronicle(bus)
    for seed in range(10):
        await chronicle.live(f"r{seed}", seed)
    chronicle.policies.clear()  # which the processes do not know either
    return chronicle


class Process:
    """One that catches up, once it is told to begin."""

    def __init__(self, server: Server, history: Path | str, statement: int = 0) -> None:
        arguments = [server.url, server.token, str(history), str(PORTION), str(statement)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.history.process", *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ready(self) -> "Process":
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"
        return self

    def ended(self) -> tuple[int, str]:
        """How, and what it said."""
        out, err = self._process.communicate("\n", timeout=PATIENCE)
        return self._process.returncode, out + err

    def begin(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()


async def test_two_that_catch_up_at_once_agree_and_share_the_work(chronicle, server, url, opened):
    database = opened(url)
    processes = [Process(server, url).ready() for _ in range(2)]

    for process in processes:
        process.begin()
    ends = [process.ended() for process in processes]

    assert [code for code, _ in ends] == [0, 0], ends
    records = await chronicle.records()
    assert sum(int(out) for _, out in ends) == len(records)
    assert recounted(records).differences(counted_in(database)) == []


@pytest.mark.parametrize("statements", [range(1, 8), range(8, 15), range(15, 22)])
async def test_however_often_it_is_killed_while_it_writes_nothing_is_lost_or_doubled(
    chronicle, server, tmp_path, opened, statements
):
    history = tmp_path / "history.db"
    database = opened(history)

    codes = [Process(server, history, statement).ready().ended()[0] for statement in statements]
    code, _ = Process(server, history).ready().ended()

    assert set(codes) <= {-signal.SIGKILL, 0}
    assert -signal.SIGKILL in codes
    assert code == 0
    assert recounted(await chronicle.records()).differences(counted_in(database)) == []
