"""Locks that exclude, are shared, are inherited, and never outlive their holders."""

import os
import subprocess

import pytest

from nflow.errors import ServerUnreachable
from nflow.server.lock import Lock


@pytest.fixture
def path(tmp_path):
    return tmp_path / "some.lock"


def test_an_exclusive_lock_has_one_holder(path):
    with Lock(path) as one, Lock(path) as other:
        assert one.try_exclusive()
        assert not other.try_exclusive()

        one.close()

        assert other.try_exclusive()


def test_a_shared_lock_has_many_holders_and_only_the_last_can_make_it_exclusive(path):
    with Lock(path).shared(1) as one, Lock(path).shared(1) as other:
        assert not one.try_exclusive()
        assert other.try_exclusive()


def test_a_wait_for_a_lock_ends_and_names_the_holder(path):
    with (
        Lock(path).exclusive(1),
        pytest.raises(ServerUnreachable, match=rf"pid {os.getpid()}\) has held .*some\.lock for 0\.01 s"),
    ):
        Lock(path).exclusive(0.01)


def test_a_given_up_wait_takes_nothing_later(path):
    with Lock(path).exclusive(1), pytest.raises(ServerUnreachable):
        Lock(path).shared(0.01)

    with Lock(path) as later:
        later.exclusive(5)


def test_a_child_that_inherits_a_lock_holds_it_when_its_parent_let_go(path):
    with Lock(path) as lock:
        assert lock.try_exclusive()
        child = subprocess.Popen(["sleep", "60"], pass_fds=(lock.fd,))

    with Lock(path) as other:
        assert not other.try_exclusive()
        child.kill()
        child.wait()
        assert other.try_exclusive()


def test_a_child_inherits_no_lock_by_accident(path):
    with Lock(path) as lock:
        assert lock.try_exclusive()
        child = subprocess.Popen(["sleep", "60"], close_fds=False)

    with Lock(path) as other:
        assert other.try_exclusive()
    child.kill()
    child.wait()
