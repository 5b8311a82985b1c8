"""The limit of open files."""

import resource

import pytest

from nflow.worker.files import FILES_PER_SLOT, allow_open_files


@pytest.fixture
def limit():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield lambda: resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_it_is_raised_as_far_as_slots_need_it(limit):
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))

    allow_open_files(100)

    assert limit() >= 100 * FILES_PER_SLOT


def test_it_is_never_lowered(limit):
    before = limit()

    allow_open_files(1)

    assert limit() == before


def test_what_the_system_does_not_allow_is_no_error(limit):
    allow_open_files(10**9)

    assert limit() == resource.getrlimit(resource.RLIMIT_NOFILE)[1]
