"""`serve_foreground`: the server for as long as somebody wants it, in a process of its own."""

import signal
import subprocess
import sys

import pytest

from nflow.server import attach

from .conftest import CHECKOUT, kill, runs

PROGRAM = """
from pathlib import Path
import sys
from nflow.config import load
from nflow.server import serve_foreground
serve_foreground(load({"home": Path(sys.argv[1])}), say=lambda text: print(text, flush=True))
"""


@pytest.fixture
def foreground(settings, folder):
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, settings.home],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert "ready at nats://127.0.0.1:" in process.stdout.readline()
        yield process
        process.kill()


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_and_the_server(foreground, folder, kind):
    foreground.send_signal(kind)

    assert foreground.wait(10) == 0
    assert not runs(folder)


def test_it_leaves_the_server_to_those_who_use_it(foreground, settings, folder):
    with attach(settings):
        server = folder.pid()

        foreground.terminate()

        assert foreground.wait(10) == 0
        assert runs(folder)
        assert folder.pid() == server
    assert not runs(folder)


def test_it_starts_a_killed_server_again(foreground, settings, folder):
    killed = folder.pid()

    kill(killed)
    with attach(settings) as attachment:
        assert folder.pid() != killed
        assert attachment.url

    foreground.terminate()
    assert foreground.wait(10) == 0
    assert not runs(folder)
