"""Signs of the kernel: a process that ended, a file that grew, a bell."""

import os
import subprocess

import pytest

from nflow.server.signs import Bell, Sign, Signs


@pytest.fixture
def bell():
    bell = Bell()
    yield bell
    bell.close()


def test_nothing_happens_when_the_time_is_up():
    with Signs() as signs:
        assert signs.wait(0.01) == Sign.NOTHING


def test_the_end_of_a_process_is_seen():
    with subprocess.Popen(["sleep", "60"]) as process, Signs(pid=process.pid) as signs:
        assert signs.wait(0) == Sign.NOTHING

        process.kill()

        assert signs.wait(10) == Sign.ENDED


def test_a_process_that_is_no_more_has_ended():
    with subprocess.Popen(["true"]) as process:
        process.wait()

    with Signs(pid=process.pid) as signs:
        assert signs.wait() == Sign.ENDED


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="is the one case that there is here")
def test_the_end_of_a_process_is_seen_by_a_python_that_lacks_the_call(monkeypatch):
    monkeypatch.delattr(os, "pidfd_open")

    test_the_end_of_a_process_is_seen()
    test_a_process_that_is_no_more_has_ended()


def test_a_file_that_grows_is_seen_each_time(tmp_path):
    file = tmp_path / "log"
    file.touch()
    with Signs(path=file) as signs:
        for _ in range(2):
            assert signs.wait(0) == Sign.NOTHING

            file.write_text("more")

            assert signs.wait(10) == Sign.CHANGED


def test_a_new_file_in_a_folder_is_seen(tmp_path):
    with Signs(path=tmp_path) as signs:
        (tmp_path / "fresh").touch()

        assert signs.wait(10) == Sign.CHANGED


def test_a_file_that_is_missing_is_an_error_that_leaves_nothing_open(tmp_path):
    with pytest.raises(FileNotFoundError):
        Signs(path=tmp_path / "missing")


def test_a_bell_wakes_once_rung_before_or_after(bell):
    with Signs(bell=bell) as signs:
        assert signs.wait(0) == Sign.NOTHING

        bell.ring()
        bell.ring()

        assert signs.wait() == Sign.RANG
        assert bell.wait()


def test_a_bell_that_was_put_away_may_still_be_rung(bell):
    bell.close()

    bell.ring()
    bell.close()
