"""How the end of a process is told."""

import pytest

from nflow.worker.death import Death


@pytest.mark.parametrize(
    ("death", "words", "hint"),
    [
        (Death(exit_code=3), "ended itself with exit code 3", "os._exit"),
        (Death(exit_code=0), "ended itself with exit code 0", "os._exit"),
        (Death(exit_code=-9), "was killed by SIGKILL", "dmesg"),
        (Death(exit_code=-9, peak_memory_bytes=3 << 30), "by SIGKILL after it had used 3.0 GiB", "dmesg"),
        (Death(exit_code=-9, out_of_memory=True), "by the kernel for want of memory", "more memory"),
        (Death(exit_code=-11, out_of_memory=True), "was killed by SIGSEGV", "compiled code"),
        (Death(exit_code=-6, peak_memory_bytes=5 << 20), "by SIGABRT after it had used 5 MiB", "compiled code"),
        (Death(exit_code=-15), "was killed by SIGTERM", ""),
        (Death(exit_code=-40), "was killed by signal 40", ""),
    ],
)
def test_a_death_is_told_with_what_can_be_done_about_it(death, words, hint):
    assert death.words.startswith("the process of the task ")
    assert words in death.words
    assert hint in death.hint
    assert bool(hint) == bool(death.hint)
