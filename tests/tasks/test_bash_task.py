"""A task that runs a program: what the program gets, what comes of what it writes, and how it ends."""

import grp
import math
import os
import pwd
import sys

import pytest

from nflow.errors import (
    ProgramError,
    ProgramFailed,
    ProgramNotStarted,
    ProgramTimedOut,
    WorkflowDefinitionError,
)
from nflow.models import AbortWorkflow, Action, StopTask
from nflow.models.execution import Failed, Succeeded, run_task
from nflow.tasks import BashTask
from nflow.wire.code import pack_code, unpack_code

from .stage import MuteSign

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
NOBODY = pwd.getpwnam("nobody")

# What the program gets


def test_a_command_is_a_line_for_the_shell(stage):
    stage.run(BashTask("work", "for i in 1 2; do echo $i; done", callback_stdout=stage.out))

    assert stage.lines == ["1\n", "2\n"]


def test_a_list_runs_without_a_shell(stage):
    stage.run(BashTask("work", ["printf", "%s|", "$HOME", "a b"], callback_stdout=stage.out))

    assert stage.lines == ["$HOME|a b|"]


def test_another_shell_can_be_asked_for(stage):
    stage.run(BashTask("work", "x=(1 2); echo ${#x[@]}", executable="/bin/bash", callback_stdout=stage.out))

    assert stage.lines == ["2\n"]


def test_a_program_runs_in_its_folder(stage, tmp_path):
    stage.run(BashTask("work", "pwd", cwd=tmp_path, callback_stdout=stage.out))

    assert stage.lines == [f"{tmp_path}\n"]


def test_env_replaces_the_environment(stage):
    stage.run(BashTask("work", ["/usr/bin/env"], env={"ONLY": "this"}, callback_stdout=stage.out))

    assert stage.lines == ["ONLY=this\n"]


def test_env_update_is_laid_over_the_environment(stage):
    stage.run(BashTask("work", "echo $PATH $EXTRA", env_update={"EXTRA": "yes"}, callback_stdout=stage.out))

    assert stage.lines == [f"{os.environ['PATH']} yes\n"]


def test_parameters_may_be_functions_of_data_and_store(stage):
    stage.data["name"] = "sample"
    task = BashTask(
        "work",
        command=lambda data, store: f"echo {data['name']} {store['count']} $X; cat",
        stdin=lambda data, store: "given",
        env=lambda data, store: {"X": "env"},
        capture_stdout=lambda data, store: True,
        callback_end=stage.end,
    )

    stage.run(task)

    assert stage.ends == [(0, b"sample 2 env\ngiven", None)]


def test_the_command_is_asked_for_last(stage):
    asked = []
    task = BashTask(
        "work",
        command=lambda data, store: asked.append("command") or "true",
        cwd=lambda data, store: asked.append("cwd"),
        env_update=lambda data, store: asked.append("env_update"),
    )

    stage.run(task)

    assert asked == ["cwd", "env_update", "command"]


@pytest.mark.parametrize(("given", "expected"), [("µ\n", "µ\n"), (b"a\xffb", "a\\xffb"), ("", None)])
def test_a_program_reads_what_it_is_given_and_then_its_end(stage, given, expected):
    stage.run(BashTask("work", "cat", stdin=given, callback_stdout=stage.out))

    assert stage.lines == ([expected] if expected else [])


def test_without_stdin_a_program_reads_nothing(stage):
    stage.run(BashTask("work", "wc -c", callback_stdout=stage.out))

    assert [line.strip() for line in stage.lines] == ["0"]


def test_a_program_need_not_read_what_it_is_given(stage):
    stage.run(BashTask("work", "exec <&-; echo done", stdin="x" * 1_000_000, callback_stdout=stage.out))

    assert stage.lines == ["done\n"]


def test_a_program_inherits_no_open_file_but_its_streams_and_the_lifeline(stage):
    stage.run(BashTask("work", ["ls", "/proc/self/fd"], callback_stdout=stage.out))

    assert len(stage.lines) == 3 + 1 + 1  # the last is the folder that `ls` itself reads


@as_root
def test_a_user_has_its_own_groups(stage):
    stage.run(BashTask("work", "id -u; id -g; id -G", cwd="/", user=NOBODY.pw_uid, callback_stdout=stage.out))

    groups = os.getgrouplist("nobody", NOBODY.pw_gid)
    assert stage.lines[:2] == [f"{NOBODY.pw_uid}\n", f"{NOBODY.pw_gid}\n"]
    assert {int(group) for group in stage.lines[2].split()} == set(groups)


@as_root
def test_user_and_group_work_together_and_roots_groups_are_dropped(stage):
    daemon = grp.getgrnam("daemon").gr_gid

    stage.run(BashTask("work", "id -u; id -G", cwd="/", user="nobody", group="daemon", callback_stdout=stage.out))

    assert stage.lines == [f"{NOBODY.pw_uid}\n", f"{daemon}\n"]


def test_the_user_that_one_is_already_needs_no_rights(stage):
    stage.run(BashTask("work", "id -u", user=os.geteuid(), group=os.getegid(), callback_stdout=stage.out))

    assert stage.lines == [f"{os.geteuid()}\n"]


# What comes of what it writes


def test_lines_come_with_their_newline_and_the_last_one_may_be_without(stage):
    stage.run(
        BashTask(
            "work",
            r"printf 'a\r\n\nb'; printf 'e\nf' >&2",
            callback_stdout=stage.out,
            callback_stderr=stage.err,
        )
    )

    assert stage.lines == ["a\r\n", "\n", "b"]
    assert stage.errors == ["e\n", "f"]


def test_bytes_that_are_no_text_reach_the_callback_all_the_same(stage):
    stage.run(BashTask("work", r"printf 'a\377b\n\303\n\303\265\n'", callback_stdout=stage.out))

    assert stage.lines == ["a\\xffb\n", "\\xc3\n", "õ\n"]


def test_captured_bytes_are_as_they_were_written(stage):
    task = BashTask(
        "work",
        r"printf '\000\377\r\n'; printf oh >&2",
        capture_stdout=True,
        capture_stderr=True,
        callback_stdout=stage.out,
        callback_end=stage.end,
    )

    stage.run(task)

    assert stage.ends == [(0, b"\x00\xff\r\n", b"oh")]
    assert stage.lines == ["\x00\\xff\r\n"]


def test_what_nobody_takes_goes_where_this_process_writes(stage, capfd):
    print("before")
    stage.run(BashTask("work", "echo out; echo err >&2"))

    assert capfd.readouterr() == ("before\nout\n", "err\n")


def test_what_nobody_takes_goes_to_a_stream_that_is_no_file_too(stage, capsys):
    print("before")
    stage.run(BashTask("work", r"echo out; printf 'err \377' >&2"))

    assert capsys.readouterr() == ("before\nout\n", "err \\xff")


def test_a_checked_programs_errors_are_still_seen(stage, capfd):
    stage.run(BashTask("work", "echo warning >&2", check=True))

    assert capfd.readouterr().err == "warning\n"


def test_lines_of_what_runs_on_in_the_background_come_too(stage, tmp_path):
    script = "mkfifo f; (cat f; echo late) & exec 8>f; echo early"  # `cat` ends when the shell has

    stage.run(BashTask("work", script, cwd=tmp_path, callback_stdout=stage.out))

    assert stage.lines == ["early\n", "late\n"]


# How it ends


def test_a_task_hands_its_data_on(stage):
    stage.data["x"] = 1

    action = stage.run(BashTask("work", "true"))

    assert isinstance(action, Action)
    assert action.data is stage.data
    assert action.limit is None


@pytest.mark.parametrize(("command", "code"), [("exit 3", 3), ("kill -9 $$", -9), ("no-such-command-xyz", 127)])
def test_a_nonzero_exit_code_is_no_failure_but_told_to_callback_end(stage, command, code):
    stage.run(BashTask("work", command, callback_end=stage.end, callback_stderr=stage.err))

    assert stage.ends == [(code, None, None)]


def test_callback_process_gets_the_pid_of_the_process(stage):
    pids = []
    task = BashTask(
        "work", "echo $$", callback_process=lambda pid, *around: pids.append(pid), callback_stdout=stage.out
    )

    stage.run(task)

    assert stage.lines == [f"{pids[0]}\n"]


def test_a_program_has_a_process_group_of_its_own(stage):
    groups = []

    stage.run(BashTask("work", "cat", callback_process=lambda pid, *around: groups.append(os.getpgid(pid))))

    assert groups != [os.getpgrp()]


def test_all_callbacks_get_what_the_task_gets(stage):
    calls = []
    task = BashTask(
        "work",
        "echo x; echo x >&2",
        callback_process=lambda pid, *around: calls.append(around),
        callback_stdout=lambda line, *around: calls.append(around),
        callback_stderr=lambda line, *around: calls.append(around),
        callback_end=lambda code, out, err, *around: calls.append(around),
    )

    stage.run(task)

    assert calls == [(stage.data, stage.store, stage.sign, stage.context)] * 4


def test_a_checked_program_that_fails_makes_the_task_fail_with_the_end_of_its_stderr(stage, capfd):
    task = BashTask("work", "echo pump off >&2; echo no vacuum >&2; exit 3", check=True, callback_end=stage.end)

    with pytest.raises(ProgramFailed) as raised:
        stage.run(task)

    first, *rest = str(raised.value).splitlines()
    assert first == "The program of task 'work' ended with exit code 3, after it wrote to stderr: no vacuum"
    assert rest[-2:] == ["pump off", "no vacuum"]
    assert stage.ends == [(3, None, None)]


def test_a_checked_program_that_is_killed_makes_the_task_fail_with_the_signals_name(stage):
    with pytest.raises(ProgramFailed, match="was killed by SIGSEGV"):
        stage.run(BashTask("work", "kill -SEGV $$", check=True))


def test_a_program_that_takes_too_long_is_ended_and_the_task_fails(stage):
    task = BashTask("work", "echo begin; sleep 100; echo never", timeout=0.2, callback_stdout=stage.out)

    with pytest.raises(ProgramTimedOut, match=r"'work' was ended because it took longer than 0\.2 seconds"):
        stage.run(task)

    assert stage.lines == ["begin\n"]


def test_a_program_within_its_timeout_is_left_alone(stage):
    stage.run(BashTask("work", "echo done", timeout=60, callback_stdout=stage.out))

    assert stage.lines == ["done\n"]


@pytest.mark.parametrize("mute", [False, True])
def test_a_stop_ends_the_program_and_the_task_ends_well(stage, mute):
    if mute:
        stage.sign = MuteSign()
    task = BashTask(
        "work",
        "echo begin; sleep 100; echo never",
        callback_stdout=stage.stop_at_a_line,
        callback_end=stage.end,
        check=True,
        refresh_time=0.01,
    )

    action = stage.run(task)

    assert isinstance(action, Action)
    assert stage.lines == ["begin\n"]
    assert stage.ends == [(-15, None, None)]


def test_a_stop_ends_a_program_of_which_nothing_is_read(stage):
    task = BashTask("work", "exec sleep 100", callback_process=lambda *_: stage.sign.set(), callback_end=stage.end)

    stage.run(task)

    assert stage.ends == [(-15, None, None)]


def test_a_signal_that_was_set_before_ends_the_program_at_once(stage):
    stage.sign.set()

    stage.run(BashTask("work", "exec sleep 100", callback_end=stage.end))

    assert stage.ends == [(-15, None, None)]


def test_what_a_stopped_program_still_says_is_heard(stage):
    script = "trap 'echo bye; exit 5' TERM; echo begin; sleep 1000 & wait"

    stage.run(BashTask("work", script, callback_stdout=stage.stop_at_a_line, callback_end=stage.end))

    assert stage.lines == ["begin\n", "bye\n"]
    assert stage.ends == [(5, None, None)]


@pytest.mark.parametrize("error", [StopTask("enough"), AbortWorkflow("broken"), KeyError("x"), KeyboardInterrupt()])
@pytest.mark.parametrize("where", ["callback_process", "callback_stdout", "callback_stderr"])
def test_whatever_a_callback_raises_ends_the_program_and_the_task(stage, where, error):
    def refuse(*_):
        raise error

    task = BashTask("work", "echo x; echo x >&2; sleep 100", callback_end=stage.end, **{where: refuse})

    with pytest.raises(type(error)) as raised:
        stage.run(task)

    assert raised.value is error
    assert stage.ends == []


def test_what_callback_end_raises_ends_the_task(stage):
    def refuse(*_):
        raise StopTask("no result")

    with pytest.raises(StopTask, match="no result"):
        stage.run(BashTask("work", "true", capture_stdout=True, callback_end=refuse))


def test_captured_files_are_closed_however_the_task_ends(stage):
    files = []

    def refuse(code, out, err, *_):
        files.extend([out, err])
        raise KeyError

    with pytest.raises(KeyError):
        stage.run(BashTask("work", "true", capture_stdout=True, capture_stderr=True, callback_end=refuse))

    assert [file.closed for file in files] == [True, True]


# What cannot be started


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"command": "true", "cwd": "/no/such"}, r"there is no folder '/no/such' on '.+'\. Make it, or mend cwd=\."),
        ({"command": "true", "cwd": "/etc/passwd"}, r"there is no folder '/etc/passwd'"),
        ({"command": ["no-such-program"]}, r"there is no program 'no-such-program' on '.+'\. Install it"),
        ({"command": "true", "executable": "/bin/zzz"}, r"there is no program '/bin/zzz'"),
        ({"command": ["/etc/passwd"]}, r"'/etc/passwd' on '.+' may not be executed\. Make it executable"),
        ({"command": "true", "user": "zzz"}, r"there is no user 'zzz' on '.+'\. Mend user=\."),
        ({"command": "true", "group": "zzz"}, r"there is no group 'zzz' on '.+'\. Mend group=\."),
        ({"command": "true", "user": 3_999_999}, r"has no account .* Give group= too\."),
        ({"command": "true", "env": {"N": 5}}, r"the environment variable 'N' is 5, which is not text"),
        ({"command": "a\0b"}, r"null byte"),
        ({"command": lambda data, store: None}, r"command=None is not a command"),
        (
            {"command": "true", "stdin": lambda data, store: 5},
            r"stdin of task 'work' is a int\. Give it text, or bytes",
        ),
        ({"command": "true", "timeout": lambda data, store: "soon"}, r"timeout='soon' of task 'work' is no time"),
        ({"command": "true", "timeout": lambda data, store: 0}, r"timeout=0 of task 'work' is no time"),
        ({"command": "true", "refresh_time": lambda data, store: None}, r"refresh_time=None of task 'work' is no time"),
        ({"command": "x" * 5_000_000}, r"too long for the system"),
    ],
)
def test_a_program_that_cannot_be_started_is_an_error_that_says_why(stage, arguments, reason):
    with pytest.raises(ProgramNotStarted, match=reason):
        stage.run(BashTask("work", **arguments))


def test_a_file_that_is_no_program_is_an_error_that_says_so(stage, tmp_path):
    script = tmp_path / "script"
    script.write_text("echo x")
    script.chmod(0o755)

    with pytest.raises(ProgramNotStarted, match=r"is not a program\. Begin it with a line such as '#!/bin/sh'"):
        stage.run(BashTask("work", [script]))


# Where it is defined


@pytest.mark.parametrize("key", ["timeout", "refresh_time"])
@pytest.mark.parametrize(
    ("seconds", "reason"),
    [
        ("soon", "is no time"),
        (math.nan, "is no time"),
        (-1, "is no time that anything could take"),
        (-math.inf, "is no time that anything could take"),
        (1e300, "is longer than a year"),
    ],
)
def test_a_time_that_is_none_is_refused_where_the_task_is_made(key, seconds, reason):
    with pytest.raises(WorkflowDefinitionError, match=rf"^{key}={seconds!r} of task 'work' {reason}".replace("+", ".")):
        BashTask("work", "true", **{key: seconds})


def test_a_timeout_of_no_time_at_all_is_refused():
    with pytest.raises(WorkflowDefinitionError, match="timeout=0 of task 'work' is no time that anything could take"):
        BashTask("work", "true", timeout=0)


@pytest.mark.parametrize("seconds", [math.inf, 100 * 86400])
def test_times_may_be_long_or_have_no_end(stage, seconds):
    stage.run(BashTask("work", "echo done", timeout=seconds, refresh_time=seconds, callback_stdout=stage.out))

    assert stage.lines == ["done\n"]


def wrong(data):
    pass


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"callback_process": wrong}, r"callback_process of task 'work' must take 5 arguments: \(pid, data, store,"),
        ({"callback_stdout": wrong}, r"callback_stdout of task 'work' must take 5 arguments: \(line, data, store,"),
        ({"callback_stderr": wrong}, r"callback_stderr of task 'work' must take 5 arguments: \(line, data, store,"),
        ({"callback_end": wrong}, r"must take 7 arguments: \(returncode, stdout_file, stderr_file, data, store,"),
        ({"callback_end": "end"}, r"callback_end of task 'work' is 'end', which cannot be called"),
        ({"cwd": wrong}, r"cwd of task 'work' must take 2 arguments: \(data, store\)"),
        ({"command": ""}, r"The command of task 'work' is ''\. Give it a line for the shell"),
        ({"command": 5}, r"The command of task 'work' is 5\."),
    ],
)
def test_what_cannot_work_is_refused_where_it_is_defined(arguments, reason):
    with pytest.raises(WorkflowDefinitionError, match=reason):
        BashTask("work", **{"command": "true", **arguments})


def test_arguments_have_lightflows_order(tmp_path):
    values = ["c", tmp_path, {"A": "b"}, 1, 2, "in", 0.5, True, False]

    task = BashTask("work", *values, None, None, None, None, queue="gpu", force_run=True)

    assert list(task.params.values())[:9] == values
    assert (task.queue, task.has_to_run) == ("gpu", True)


# In another process


class Loud(BashTask):
    def run(self, data, store, signal, context, **kwargs):
        super().run(data, store, signal, context, **kwargs)
        data["loud"] = True
        return Action(data)


def sent(task):
    kind, state = unpack_code(pack_code(task.shipped()))
    return kind.restored(state, name=task.name, queue=task.queue)


@pytest.mark.parametrize("kind", [BashTask, Loud])
def test_a_task_with_lambdas_can_be_sent_and_run_elsewhere(stage, kind):
    task = kind(
        "work",
        command=lambda data, store: "echo hello",
        cwd=lambda data, store: None,
        callback_stdout=lambda line, data, store, signal, context: data.__setitem__("line", line),
    )

    ending = run_task(sent(task), stage.data, stage.store, stage.sign, stage.context)

    assert isinstance(ending, Succeeded)
    assert ending.data["line"] == "hello\n"
    assert ("loud" in ending.data) == (kind is Loud)


def test_a_failure_of_the_program_is_a_failure_of_the_task(stage):
    ending = run_task(BashTask("work", "exit 1", check=True), stage.data, stage.store, stage.sign, stage.context)

    assert isinstance(ending, Failed)
    assert isinstance(ending.exception, ProgramError)


def test_making_a_task_loads_nothing_that_only_running_one_needs():
    import subprocess

    code = "import nflow.tasks, sys; nflow.tasks.BashTask('work', 'true'); print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    assert not {"subprocess", "tempfile", "selectors", "nflow.programs.program"} & set(modules)
