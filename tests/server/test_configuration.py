"""The embedded server's configuration and a site's: the same settings, and both are understood by the real program."""

import os
import re
import subprocess

from nflow.server import program
from nflow.server.configuration import JETSTREAM, SETTINGS, configuration

from .conftest import CHECKOUT

SITE = CHECKOUT / "nats-server.conf"


def settings_in(text: str) -> dict[str, str]:
    lines = (re.fullmatch(r"\s*(\w+): (.+)", line) for line in text.splitlines() if not line.lstrip().startswith("#"))
    return {line[1]: line[2] for line in lines if line}


def check(file, **variables) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program.find(), "-t", "-c", file], env={**os.environ, **variables}, capture_output=True, text=True, check=False
    )


def test_a_sites_server_has_the_settings_of_the_embedded_one():
    embedded = settings_in(SETTINGS + JETSTREAM)

    assert embedded
    assert embedded.items() <= settings_in(SITE.read_text()).items()


def test_the_program_understands_the_sites_file():
    result = check(SITE, NFLOW_SERVER_TOKEN="t0ken")

    assert result.returncode == 0, result.stderr


def test_the_program_understands_the_sites_file_with_its_examples_in_force(tmp_path):
    file = tmp_path / "nats-server.conf"
    examples = r"^(\s*)# ((?:\w+ \{|  \w+: |\w+: [\"\d]|logfile_\w+: |\}).*)"
    text = re.sub(examples, r"\1\2", SITE.read_text(), flags=re.MULTILINE)
    file.write_text(re.sub(r"tls \{.*?\n\}", "", text, flags=re.DOTALL))

    result = check(file, NFLOW_SERVER_TOKEN="t0ken")

    assert result.returncode == 0, result.stderr
    assert {"log_file", "max_file_store", "routes"} <= settings_in(file.read_text()).keys()


def test_a_folder_with_strange_characters_is_written_so_that_the_program_reads_it(settings, folder):
    odd = type(folder)(folder.path / 'a "quoted" $HOME\\ # ü' / "host")
    odd.data.mkdir(parents=True)
    odd.write(odd.config, configuration(odd, 23456, "t0ken"))

    result = check(odd.config)

    assert result.returncode == 0, result.stderr


def test_what_is_stored_already_counts_as_room(folder):
    before = folder.room_bytes()
    (folder.data / "block").write_bytes(bytes(40_000_000))

    assert folder.room_bytes() > before


def test_the_token_is_made_once(folder):
    token = folder.token()

    assert len(token) >= 40
    assert folder.token() == token
