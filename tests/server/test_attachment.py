"""Who starts the server, who stops it, and what happens to it when somebody is killed: with real processes."""

import asyncio
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from contextlib import closing, suppress
from pathlib import Path

import nats
import pytest

from nflow.errors import ServerError, ServerUnreachable, UsageError
from nflow.server import attach, process
from nflow.server.configuration import configuration
from nflow.server.lock import Lock
from nflow.server.process import wait_until_ended

from .conftest import kill, runs, servers

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for servers in /proc")


async def store(url: str, token: str, text: bytes) -> None:
    client = await nats.connect(url, token=token)
    stream = client.jetstream()
    await stream.add_stream(name="kept", subjects=["kept"])
    await stream.publish("kept", text)
    await client.close()


async def stored(url: str, token: str) -> bytes | None:
    client = await nats.connect(url, token=token)
    message = await client.jetstream().get_last_msg("kept", "kept")
    await client.close()
    return message.data


def test_the_first_to_attach_starts_the_server_and_the_last_to_leave_stops_it(settings, folder):
    first = attach(settings)
    second = attach(settings)

    assert first.url == second.url
    assert not first.detach()
    assert runs(folder)
    assert second.detach()
    assert not runs(folder)
    assert servers(folder) == []


def answer_to(port: int, token: str) -> str:
    """What the server says to a client that shows this token; past its greeting."""
    with closing(socket.create_connection(("127.0.0.1", port), timeout=10)) as connection:
        lines = connection.makefile("r")
        lines.readline()
        connection.sendall(f'CONNECT {{"auth_token": "{token}", "verbose": false}}\r\nPING\r\n'.encode())
        answer = lines.readline()
        lines.close()
        return answer


def test_a_client_with_the_token_gets_in_and_one_without_does_not(settings, folder):
    with attach(settings) as attachment:
        assert "PONG" in answer_to(folder.port(), attachment.token)
        assert "Authorization Violation" in answer_to(folder.port(), "guessed")


def test_the_data_and_the_port_are_there_again_after_a_clean_stop(settings, folder):
    with attach(settings) as attachment:
        url, token = attachment.url, attachment.token
        asyncio.run(store(url, token, b"kept"))

    with attach(settings) as attachment:
        assert (attachment.url, attachment.token) == (url, token)
        assert asyncio.run(stored(url, token)) == b"kept"


def test_many_that_start_at_the_same_time_get_one_server(user, folder):
    users = [user(attached=False) for _ in range(6)]

    for each in users:
        each.tell("attach")
    answers = [each.answer() for each in users]

    assert servers(folder) == [folder.pid()]
    assert [answer["server"] for answer in answers] == [folder.pid()] * 6
    assert len({answer["url"] for answer in answers}) == 1


def test_many_that_come_and_go_never_leave_a_server_behind(user, folder):
    users = [user(attached=False) for _ in range(4)]

    for _ in range(10):
        for each in users:
            each.tell("attach")
            each.tell("detach")
    answers = [(each.answer(), each.answer()) for _ in range(10) for each in users]

    assert all("url" in came and "stopped" in went for came, went in answers)
    assert not runs(folder)
    assert servers(folder) == []


def test_whoever_started_the_server_can_leave_without_a_restart(user, folder):
    starter, other = user(), user()
    server = folder.pid()

    assert starter.do("detach") == {"stopped": False}
    assert other.do("ensure")["server"] == server
    assert other.do("detach") == {"stopped": True}
    assert servers(folder) == []


def test_a_killed_starter_takes_nobody_with_it(user, folder):
    starter, other = user(), user()
    server = folder.pid()

    starter.kill()

    assert other.do("ensure")["server"] == server
    assert other.do("detach") == {"stopped": True}


def test_a_server_that_a_kill_left_alone_is_used_and_stopped_by_the_next(user, settings, folder):
    user().kill()
    left_alone = folder.pid()
    assert runs(folder)

    with attach(settings):
        assert folder.pid() == left_alone

    assert not runs(folder)


def test_a_killed_server_comes_back_on_its_port_with_its_data(settings, folder):
    back = threading.Event()
    with attach(settings) as attachment:
        url, killed = attachment.url, folder.pid()
        asyncio.run(store(url, attachment.token, b"kept"))
        attachment.watch(lambda: (attachment.ensure_running(), back.set()))

        kill(killed)

        assert back.wait(10)
        assert folder.pid() != killed
        assert attachment.url == url
        assert asyncio.run(stored(url, attachment.token)) == b"kept"
    assert not runs(folder)


def test_a_server_that_is_killed_again_comes_back_again(settings, folder):
    back = threading.Semaphore(0)
    with attach(settings) as attachment:
        attachment.watch(lambda: (attachment.ensure_running(), back.release()))

        for _ in range(3):
            kill(folder.pid())
            assert back.acquire(timeout=10)

        assert servers(folder) == [folder.pid()]


def test_many_who_watch_a_killed_server_start_one(user, folder):
    users = [user() for _ in range(3)]
    for each in users:
        each.do("watch and tell")

    kill(folder.pid())
    answers = [each.answer() for each in users]

    assert servers(folder) == [folder.pid()]
    assert len({answer["restarted"] for answer in answers}) == 1


def test_a_watch_that_is_closed_lets_the_server_lie(settings, folder):
    called = threading.Event()
    with attach(settings) as attachment:
        attachment.watch(called.set).close()

        kill(folder.pid())

        assert not called.is_set()
        assert not runs(folder)


def test_one_who_detached_starts_nothing(settings, folder):
    attachment = attach(settings)
    attachment.detach()

    with pytest.raises(ServerError, match="Detached"):
        attachment.ensure_running()

    assert not attachment.detach()
    assert not runs(folder)


def test_a_server_whose_starter_was_killed_at_once_is_waited_for(settings, folder):
    port = next(process.free_ports(None))
    folder.remember(port)
    folder.write(folder.config, configuration(folder, port, folder.token()))
    program = Path(sys.executable).with_name("nats-server")
    with Lock(folder.server_lock) as lock:
        assert lock.try_exclusive()
        launched = process.launch(program, folder, lock)

    with attach(settings) as attachment:
        assert attachment.url.endswith(f":{port}")
        assert servers(folder) == [launched]


def test_a_server_that_is_ending_is_replaced(settings, folder):
    with attach(settings) as attachment:
        for _ in range(5):
            ending = folder.pid()
            os.kill(ending, signal.SIGTERM)
            attachment.ensure_running()  # it may still answer, and is then as good as running
            wait_until_ended(ending, 10)
            attachment.ensure_running()

            assert servers(folder) == [folder.pid()] != [ending]


def test_attaching_and_detaching_leaves_no_file_open(settings, folder):
    def use_it() -> None:
        with attach(settings) as attachment:
            attachment.watch()

    use_it()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        use_it()
    for thread in threading.enumerate():
        if thread.name == "nflow-signs":
            thread.join(10)

    assert len(list(Path("/proc/self/fd").iterdir())) <= before


def test_a_stale_state_of_an_earlier_boot_harms_nobody(settings, folder):
    with (
        subprocess.Popen(["sleep", "60"]) as innocent,
        closing(socket.create_server(("127.0.0.1", 0))) as stranger,
    ):
        folder.remember(stranger.getsockname()[1])
        folder.write(folder.pid_file, str(innocent.pid))

        with attach(settings) as attachment:
            assert attachment.url != f"nats://127.0.0.1:{stranger.getsockname()[1]}"
            assert folder.pid() != innocent.pid

        assert innocent.poll() is None
        innocent.kill()


def test_a_pid_file_that_names_a_stranger_does_not_get_it_killed(settings, folder):
    attachment = attach(settings)
    server = folder.pid()
    with subprocess.Popen(["sleep", "60"]) as innocent:
        folder.write(folder.pid_file, str(innocent.pid))

        attachment.detach()

        assert innocent.poll() is None
        innocent.kill()
    kill(server)


@pytest.mark.parametrize("rubbish", ["", "{", "[]", '{"port": "x"}', '{"port": 99999999}', "null"])
def test_a_state_that_cannot_be_read_is_replaced(settings, folder, rubbish):
    folder.write(folder.state, rubbish)
    folder.write(folder.pid_file, rubbish)

    with attach(settings):
        assert runs(folder)


def test_a_port_that_somebody_took_is_left_to_them(settings, folder):
    with attach(settings) as attachment:
        taken = folder.port()
    with closing(socket.create_server(("127.0.0.1", taken))), attach(settings) as attachment:
        assert attachment.url != f"nats://127.0.0.1:{taken}"


def test_nobody_else_may_read_anything(settings, folder):
    folder.path.chmod(0o755)

    with attach(settings):
        assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
        for file in folder.path.iterdir():
            assert stat.S_IMODE(file.stat().st_mode) in (0o600, 0o700), file


def test_the_token_is_in_no_argument_variable_log_or_repr(settings, folder, monkeypatch):
    monkeypatch.setenv("SOME_SECRET", "hidden")
    with attach(settings) as attachment:
        proc = Path(f"/proc/{folder.pid()}")
        seen = [(proc / name).read_text() for name in ("cmdline", "environ")]
        seen += [folder.log.read_text(), folder.state.read_text(), repr(attachment)]

        assert attachment.token
        assert not any(attachment.token in text or "hidden" in text for text in seen)


def test_the_server_is_in_a_session_of_its_own_and_holds_no_file_of_its_starter(settings, folder):
    with attach(settings):
        server = folder.pid()

        assert os.getsid(server) == server
        files = {str(Path(f"/proc/{server}/fd/{number}").readlink()) for number in range(3)}
        assert files == {"/dev/null", str(folder.log)}


def open_files(pid: int) -> set[str]:
    """What a process has open; a file that it closes meanwhile counts no more."""
    found = set()
    for file in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            found.add(str(file.readlink()))
    return found


def test_the_server_listens_on_the_loopback_interface_only(settings, folder):
    with attach(settings):
        table = Path(f"/proc/{folder.pid()}/net/tcp").read_text().splitlines()[1:]
        sockets = open_files(folder.pid())
        rows = [line.split() for line in table]
        listening = [row[1] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in sockets]

        assert listening == [f"0100007F:{folder.port():04X}"]


def test_a_silent_server_is_reported_and_not_waited_for(settings, folder, monkeypatch):
    monkeypatch.setattr(process, "ANSWER_SECONDS", 0.2)
    monkeypatch.setattr(process, "STOP_SECONDS", 0.2)
    attachment = attach(settings)
    os.kill(folder.pid(), signal.SIGSTOP)
    os.waitid(os.P_PID, folder.pid(), os.WSTOPPED | os.WNOWAIT)

    with pytest.raises(ServerUnreachable, match=rf"pid {folder.pid()}\) on port {folder.port()} is silent"):
        attachment.ensure_running()

    assert attachment.detach()
    assert servers(folder) == []


def test_a_server_that_does_not_start_says_why(settings, folder):
    (folder.data / "jetstream").write_text("not a directory")

    with pytest.raises(ServerError, match=r"ended while starting: Can't start JetStream: .*log: .*server\.log"):
        attach(settings)

    assert not runs(folder)


def test_a_home_that_cannot_be_a_folder_says_what_to_do(tmp_path, settings):
    (tmp_path / "home").write_text("a file")

    with pytest.raises(UsageError, match=r"Cannot keep nflow's data in .*: Not a directory\. Set NFLOW_HOME"):
        attach(settings)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_home_that_may_not_be_written_says_what_to_do(tmp_path, settings):
    tmp_path.chmod(0o500)

    with pytest.raises(UsageError, match=r"Permission denied\. Set NFLOW_HOME"):
        attach(settings)
