"""A MongoDB for the store that cannot be used: a line that says what to do, exit code 3, and never a password."""

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.program import Done, Program
from tests.cli.test_bad_surroundings import assert_told, in_python
from tests.servers import Mongo, free_port

SECRET = "geheim"


@pytest.fixture(scope="module")
def mongo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongo]:
    """A server that asks for a login."""
    server = Mongo(tmp_path_factory.mktemp("mongo"), login=True).start()
    yield server
    server.kill()


def nobody_there() -> str:
    return f"mongodb://me:{SECRET}@127.0.0.1:{free_port()}/runs"


def without_pymongo(program: Program, folder: Path, *arguments: str) -> Done:
    """Run a command where pymongo is not installed."""
    (folder / "pymongo.py").write_text("raise ModuleNotFoundError(\"No module named 'pymongo'\", name='pymongo')")
    path = os.pathsep.join([str(folder), *sys.path])
    return in_python(program, *arguments, PYTHONPATH=path, NFLOW_STORE_URL=nobody_there())


@pytest.mark.parametrize("arguments", [("worker",), ("run", "two")], ids=" ".join)
def test_who_would_work_is_told_within_seconds_that_nobody_is_there(nflow: Program, arguments: tuple[str, ...]):
    start = time.monotonic()

    done = nflow(*arguments, NFLOW_STORE_URL=nobody_there())

    assert time.monotonic() - start < 20, "three seconds for the check, the rest for a busy machine"
    assert_told(done, 3, "The store at mongodb://127.0.0.1:", "nothing answers there")
    assert SECRET not in done.err


def test_a_wrong_password_is_told_and_not_repeated(nflow: Program, mongo: Mongo):
    done = nflow("worker", NFLOW_STORE_URL=mongo.url.replace(mongo.password, SECRET))

    assert_told(done, 3, "it refuses the login")
    assert SECRET not in done.err


def test_what_is_to_be_installed_is_told(nflow: Program, tmp_path: Path):
    done = without_pymongo(nflow, tmp_path, "worker")

    assert_told(done, 3, "pip install 'nflow[mongodb]'")


@pytest.mark.parametrize(
    ("url", "told"),
    [
        (f"mongodb://me:{SECRET}@@host", "store.url is no address of a MongoDB"),
        (f"mysql://me:{SECRET}@host", "NFLOW_STORE_URL: it is neither 'nats' nor an address such as 'mongodb://"),
    ],
)
@pytest.mark.parametrize("debug", [(), ("--debug",)])
def test_an_address_that_is_none_is_refused_without_a_word_of_it(
    nflow: Program, url: str, told: str, debug: tuple[str, ...]
):
    done = nflow(*debug, "worker", NFLOW_STORE_URL=url)

    assert done.code == 2
    assert told in done.err
    assert SECRET not in done.err


def test_who_only_looks_on_needs_no_database(nflow: Program):
    assert nflow("status", NFLOW_STORE_URL=nobody_there()).code == 0


def test_doctor_looks_at_the_database(nflow: Program, mongo: Mongo):
    done = nflow("doctor", "--json", NFLOW_STORE_URL=mongo.url)

    [store] = [finding for finding in json.loads(done.out) if finding["check"] == "store"]
    assert done.code == 0
    assert (store["state"], store["told"]) == ("ok", f"mongodb://127.0.0.1:{mongo.port}/tests")
    assert mongo.password not in done.out


def test_doctor_tells_what_is_wrong_with_the_database_and_looks_on(nflow: Program):
    done = nflow("doctor", "--json", NFLOW_STORE_URL=nobody_there())

    found = {finding["check"]: finding for finding in json.loads(done.out)}
    assert done.code != 0
    assert found["store"]["state"] == "problem"
    assert "nothing answers there" in found["store"]["told"]
    assert found["server"]["state"] == "ok"
    assert SECRET not in done.out


def test_doctor_tells_once_what_is_to_be_installed(nflow: Program, tmp_path: Path):
    done = without_pymongo(nflow, tmp_path, "doctor")

    assert done.out.count("pip install 'nflow[mongodb]'") == 1
