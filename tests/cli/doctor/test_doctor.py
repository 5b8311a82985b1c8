"""`nflow doctor`: what is found, where nothing is wrong and where something is; and that nothing is started."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from nflow.cli.doctor import surroundings
from nflow.cli.doctor.finding import limited, ok
from nflow.config import Settings, load
from nflow.server import program
from nflow.server.folder import Folder
from tests.cli.program import Program
from tests.servers import Server, free_port


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A site's server."""
    server = Server(tmp_path_factory.mktemp("site")).start()
    yield server
    server.stop()


@pytest.fixture
def alone(tmp_path: Path, nflow_folder: Path) -> Iterator[Program]:
    """The program where no embedded server runs."""
    program = Program(nflow_folder, tmp_path / "empty")
    yield program
    program.close()


def found(program: Program, *arguments: str, code: int = 0, **variables: str) -> dict[str, dict[str, str]]:
    """What it finds, by what it looked at."""
    done = program("doctor", "--json", *arguments, **variables)
    assert (done.code, done.err) == (code, "")
    return {finding["check"]: finding for finding in json.loads(done.out)}


def with_site(site: Server) -> dict[str, str]:
    return {"NFLOW_SERVER_URL": site.url, "NFLOW_SERVER_TOKEN": site.token}


def test_where_all_is_well_each_line_says_what_is_there(alone: Program):
    done = alone("doctor")

    lines = done.out.splitlines()
    assert (done.code, done.err) == (0, "")
    assert [line.split()[:2] for line in lines] == [
        ["✔", check] for check in ("python", "settings", "state", "nats-server", "server")
    ]
    assert "not running; it starts when it is needed" in lines[-1]
    assert not alone.home.exists(), "something was started"


def test_an_embedded_server_that_runs_is_looked_at(nflow: Program, home: Path):
    findings = found(nflow)

    assert {finding["state"] for finding in findings.values()} == {"ok"}
    assert list(findings)[4:] == ["server", "round trip", "streams", "storage", "workers", "runs", "dead letters"]
    assert f"nats-server {program.version(program.find())} with JetStream" in findings["server"]["told"]
    assert findings["state"]["told"].startswith(str(Folder.expected(home).path))


def test_a_run_that_nobody_works_at_is_told(alone: Program, site: Server):
    started = alone("start", "two", **with_site(site))
    assert started.code == 0

    findings = found(alone, **with_site(site))

    assert findings["runs"]["state"] == "warning"
    assert findings["runs"]["told"] == "1 unfinished, 1 of them in queues that nobody serves"
    assert findings["runs"]["advice"] == "nflow worker"
    assert alone("stop", "@last", **with_site(site)).code == 0


def test_workers_and_what_they_serve_are_told(alone: Program, site: Server):
    worker = alone.start("worker", "-q", "task,gpu", "--slots", "1", **with_site(site)).until_says(" serves ")

    findings = found(alone, **with_site(site))

    assert findings["workers"]["told"] == "1 serve task, gpu"
    worker.send(signal.SIGTERM).done()


def test_a_server_that_nobody_answers_at_is_exit_code_3(alone: Program):
    findings = found(alone, "--server", f"nats://127.0.0.1:{free_port()}", code=3)

    assert findings["server"]["state"] == "problem"
    assert "No NATS server answers" in findings["server"]["told"]


def test_a_server_that_is_silent_does_not_hold_it_up(alone: Program, tmp_path: Path):
    server = Server(tmp_path / "silent").start()
    server.freeze()

    findings = found(alone, code=3, **with_site(server))

    assert findings["server"]["state"] == "problem"
    server.thaw()
    server.stop()


def test_a_server_without_jetstream_is_exit_code_3(alone: Program, tmp_path: Path):
    server = Server(tmp_path / "plain", jetstream=False).start()

    findings = found(alone, code=3, **with_site(server))

    assert "JetStream" in findings["server"]["told"]
    server.stop()


def test_a_secret_is_never_shown(alone: Program, site: Server):
    for token, code in ((site.token, 0), ("wrong-secret", 3)):
        done = alone("doctor", NFLOW_SERVER_URL=site.url, NFLOW_SERVER_TOKEN=token)

        assert done.code == code
        assert token not in done.out + done.err


def test_a_settings_file_with_a_secret_is_not_for_all_to_read(alone: Program, site: Server):
    file = alone.folder / "nflow.toml"
    file.write_text(f"[server]\nurl = '{site.url}'\ntoken = '{site.token}'\n")
    file.chmod(0o644)
    open_to_all = found(alone)["settings"]

    file.chmod(0o600)
    private = found(alone)["settings"]

    assert (open_to_all["state"], open_to_all["advice"]) == ("warning", f"chmod 600 {file}")
    assert (private["state"], private["told"]) == ("ok", str(file))


def test_settings_that_cannot_be_read_are_a_problem(alone: Program):
    findings = found(alone, code=1, NFLOW_WORKER_SLOTS="many")

    assert findings["settings"]["state"] == "problem"
    assert "NFLOW_WORKER_SLOTS" in findings["settings"]["told"]


# --- the state directory ---


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load({"home": tmp_path / "state"})


def test_a_state_directory_that_is_open_to_others_is_told(settings: Settings):
    folder = Folder.of_this_host(settings.home)
    folder.path.chmod(0o755)

    [finding] = surroundings.state_directory(settings)

    assert (finding.state, finding.advice) == ("warning", f"chmod 700 {folder.path}")


def test_a_state_directory_that_is_private_is_well_and_keeps_no_trace(settings: Settings):
    folder = Folder.of_this_host(settings.home)
    before = list(folder.path.rglob("*"))

    [finding] = surroundings.state_directory(settings)

    assert finding.state == "ok"
    assert list(folder.path.rglob("*")) == before


def test_a_file_in_the_place_of_the_state_directory_is_told(settings: Settings):
    settings.home.write_text("in the way")

    [finding] = surroundings.state_directory(settings)

    assert finding.state == "problem"
    assert finding.told == f"{settings.home} is not a directory"
    assert "NFLOW_HOME" in finding.advice


def test_the_file_system_of_a_path_is_that_of_the_deepest_mount(tmp_path: Path):
    mounts = tmp_path / "mountinfo"
    home = tmp_path / "my home"
    mounted = str(home).replace(" ", r"\040")
    mounts.write_text(
        "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
        f"40 22 0:40 / {mounted} rw - nfs4 server:/home rw\n"
        "23 22 0:5 / /proc rw shared:1 - proc proc rw\n"
    )

    assert surroundings.file_system(home / "state", mounts) == "nfs4"
    assert surroundings.file_system(tmp_path, mounts) == "ext4"
    assert surroundings.file_system(home, tmp_path / "nowhere") == ""


def test_a_look_that_hangs_is_given_up():
    forever = Event()

    [finding] = limited("state", lambda: [ok("state", "late")] if forever.wait() else [], seconds=0.1)

    assert (finding.state, finding.told) == ("problem", "no answer within 0.1 s")
    forever.set()


def test_a_look_that_fails_is_told():
    [finding] = limited("state", lambda: [ok("state", str(1 // 0))])

    assert (finding.state, finding.told) == ("problem", "ZeroDivisionError: integer division or modulo by zero")
