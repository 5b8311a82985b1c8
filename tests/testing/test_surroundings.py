"""What a play changes in the process of the test: nothing that is seen from outside, or from the next task."""

import asyncio
import io
import logging
import os
import signal
import subprocess
import sys
import threading
import types
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nflow.logger import get_logger
from nflow.models import Dag
from nflow.tasks import PythonTask
from nflow.testing import Stuck, play


def chain(*callbacks):
    """A dag of tasks that follow each other; each is called what its callback is called."""
    dag = Dag("main")
    tasks = [PythonTask(callback.__name__, callback) for callback in callbacks]
    dag.define(dict(zip(tasks, [*tasks[1:], None], strict=True)))
    return dag


def beside(*callbacks):
    """A dag of tasks that are ready at once."""
    dag = Dag("main")
    dag.define({PythonTask(callback.__name__, callback): None for callback in callbacks})
    return dag


# --- plays at the same time ------------------------------------------------------------------------------------------


def test_plays_in_threads_take_turns_and_each_has_its_own_output(capsys):
    before = sys.stdin, sys.stdout, sys.stderr

    def play_one(number):
        def work(data, store, signal, context):
            print("before", number)
            store.set("number", number)
            print("after", number)

        return play(chain(work))

    with ThreadPoolExecutor(4) as threads:
        outputs = [played.output for played in threads.map(play_one, range(12))]

    assert outputs == [f"before {number}\nafter {number}\n" for number in range(12)]
    assert (sys.stdin, sys.stdout, sys.stderr) == before
    assert capsys.readouterr() == ("", "")


def test_plays_in_threads_of_a_loop_take_turns():
    async def main():
        return await asyncio.gather(*(asyncio.to_thread(play, chain(work)) for _ in range(4)))

    def work(data, store, signal, context):
        print("here")

    assert [played.output for played in asyncio.run(main())] == ["here\n"] * 4


def test_a_task_may_play_a_workflow_of_its_own(capsys):
    def outer(data, store, signal, context):
        def inner(data, store, signal, context):
            print("inside")
            get_logger("inner").info("inside too")
            data["found"] = store.get("sample")

        async def in_a_loop():
            return play(chain(inner), sample="C9")

        print("before")
        data["played"] = [
            play(chain(inner), sample="B7")["inner"].data["found"],
            asyncio.run(in_a_loop())["inner"].data["found"],
            asyncio.run(asyncio.to_thread(play, chain(inner)))["inner"].output,
        ]
        print("after")

    played = play(chain(outer)).check()

    assert played["outer"].data["played"] == ["B7", "C9", "inside\nINFO inner: inside too\n"]
    assert played.output == "before\nafter\n"
    assert capsys.readouterr() == ("", "")


def test_a_file_that_plays_another_while_it_is_read_need_not_wait(tmp_path):
    path = tmp_path / "wf.py"
    path.write_text(
        """
from nflow.models import Dag
from nflow.tasks import PythonTask
from nflow.testing import play

main = Dag("main")
main.define({PythonTask("work"): None})
status = play([main]).status
"""
    )

    async def in_a_loop():
        return play(path)

    assert play(path).status == "succeeded"
    assert asyncio.run(in_a_loop()).status == "succeeded"


def test_a_failing_load_lets_the_next_play_have_its_turn(tmp_path):
    before = sys.stdout, sys.path[:], sys.meta_path[:]
    (tmp_path / "wf.py").write_text("1 / 0")
    with pytest.raises(Exception, match="ZeroDivisionError"):
        play(tmp_path / "wf.py")

    def work(data, store, signal, context):
        pass

    assert play(chain(work)).status == "succeeded"
    assert (sys.stdout, sys.path, sys.meta_path) == before


# --- what they write -------------------------------------------------------------------------------------------------


def test_what_a_task_logs_is_in_its_output_as_a_run_shows_it():
    def work(data, store, signal, context):
        print("first")
        get_logger("scan").info("%d frames", 3)
        get_logger("scan").debug("unseen")
        try:
            1 / 0  # noqa: B018
        except ZeroDivisionError:
            logging.getLogger("scan.detector").exception("no beam")

    lines = play(chain(work)).output.splitlines()

    assert lines[:3] == ["first", "INFO scan: 3 frames", "ERROR scan.detector: no beam"]
    assert lines[-1] == "ZeroDivisionError: division by zero"


def test_what_threads_of_a_task_print_and_log_is_the_tasks():
    def work(data, store, signal, context):
        thread = threading.Thread(target=lambda: (print("from a thread"), get_logger("scan").info("and logged")))
        thread.start()
        thread.join()

    assert play(chain(work)).output == "from a thread\nINFO scan: and logged\n"


def test_what_a_thread_of_the_test_prints_and_logs_is_not_the_tasks(capsys, monkeypatch):
    shared = types.ModuleType("shared_with_the_test")
    shared.asked, shared.answered = threading.Event(), threading.Event()
    monkeypatch.setitem(sys.modules, "shared_with_the_test", shared)

    def talk():
        shared.asked.wait()
        print("from the test")
        get_logger("test").warning("logged by the test")
        shared.answered.set()

    def work(data, store, signal, context):
        import shared_with_the_test as shared

        shared.asked.set()
        shared.answered.wait()

    thread = threading.Thread(target=talk)
    thread.start()
    played = play(chain(work)).check()
    thread.join()

    assert played.output == ""
    assert capsys.readouterr().out == "from the test\n"


def test_caplog_hears_what_it_heard_without_a_play(caplog):
    logging.getLogger("loud").setLevel(logging.DEBUG)

    def work(data, store, signal, context):
        logging.getLogger("scan").info("not asked for")
        logging.getLogger("scan").warning("asked for")
        logging.getLogger("loud").debug("asked for by its logger")

    output = play(chain(work)).output
    logging.getLogger("loud").setLevel(logging.NOTSET)

    assert [record.message for record in caplog.records] == ["asked for", "asked for by its logger"]
    assert output == "INFO scan: not asked for\nWARNING scan: asked for\nDEBUG loud: asked for by its logger\n"


def test_the_level_that_caplog_has_set_holds_in_tasks(caplog):
    def work(data, store, signal, context):
        logging.getLogger("scan").debug("details")

    with caplog.at_level(logging.DEBUG):
        output = play(chain(work)).output

    assert "details" in caplog.messages
    assert output == "DEBUG scan: details\n"


def test_a_task_that_sets_up_logging_changes_nothing_for_the_test():
    root = logging.getLogger()
    before = root.level, root.handlers[:], [handler.filters[:] for handler in root.handlers]

    def work(data, store, signal, context):
        import logging

        logging.getLogger().setLevel(logging.CRITICAL)
        logging.getLogger().addHandler(logging.StreamHandler())

    play(chain(work)).check()

    assert (root.level, root.handlers, [handler.filters for handler in root.handlers]) == before


def test_complaints_of_the_engine_do_not_reach_stderr_where_nobody_takes_them(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        """
import logging
import sys
from nflow.models import Dag, Option, Parameters
from nflow.tasks import PythonTask
from nflow.testing import play

def complains(text):
    logging.getLogger("nflow.engine").error("in the thread of the engine")
    return text

parameters = Parameters([Option("sample", type=complains)])
main = Dag("main")
main.define({PythonTask("work"): None})
print(play(sys.modules["__main__"], sample="B7").status)
"""
    )

    ended = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60, check=True)

    assert (ended.stdout, ended.stderr) == ("succeeded\n", "")


def test_bytes_may_be_written_and_there_is_no_file():
    def work(data, store, signal, context):
        raw = "Å\n".encode()
        sys.stdout.buffer.write(raw[:1])
        sys.stdout.buffer.write(raw[1:])
        sys.stdout.reconfigure(line_buffering=True)
        sys.stderr.buffer.write(b"\xff\n")
        print("\udc80")
        data["is_terminal"] = sys.stdout.isatty(), sys.stdin.isatty()
        with pytest.raises(io.UnsupportedOperation):
            sys.stdout.fileno()

    played = play(chain(work)).check()

    assert played.output == "Å\n\ufffd\n\\udc80\n"
    assert played["work"].data["is_terminal"] == (False, False)


def test_nobody_answers_a_question_as_in_a_slot():
    def ask(data, store, signal, context):
        print(repr(sys.stdin.read()))
        input("Is the shutter open? ")

    played = play(chain(ask))

    assert played["ask"].error.type == "EOFError"
    assert played.output == "''\nIs the shutter open? "


def test_streams_that_a_task_replaces_or_closes_are_whole_for_others():
    def closes(data, store, signal, context):
        sys.stdout.close()

    def replaces(data, store, signal, context):
        sys.stdout = sys.stderr = sys.stdin = io.StringIO()
        store.set("replaced", True)
        print("nowhere")

    def prints(data, store, signal, context):
        print("here")

    assert play(beside(replaces, closes, prints)).check().output == "here\n"


def test_a_stream_that_a_workflow_keeps_leads_to_the_output(tmp_path):
    (tmp_path / "wf.py").write_text(
        """
import sys
from nflow.models import Dag
from nflow.tasks import PythonTask

out = sys.stdout

def work(data, store, signal, context):
    print("kept", file=out)

main = Dag("main")
main.define({PythonTask("work", work): None})
"""
    )

    assert play(tmp_path / "wf.py").check().output == "kept\n"


# --- where they work -------------------------------------------------------------------------------------------------


def test_a_task_that_changes_its_folder_changes_no_other_tasks_and_not_the_tests(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "below").mkdir()

    def goes(data, store, signal, context):
        os.chdir("below")
        store.set("gone", True)
        data["folder"] = Path.cwd().name

    def stays(data, store, signal, context):
        data["folder"] = Path.cwd().name

    def follows(data, store, signal, context):
        data["folder"] = Path.cwd().name

    dag = Dag("main")
    dag.define({PythonTask("goes", goes): PythonTask("follows", follows), PythonTask("stays", stays): None})

    played = play(dag).check()

    assert played["goes"].data["folder"] == "below"
    assert played["stays"].data["folder"] == played["follows"].data["folder"] == tmp_path.name
    assert Path.cwd() == tmp_path


def test_a_task_that_removes_its_folder_leaves_the_others_theirs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def removes(data, store, signal, context):
        Path("gone").mkdir()
        os.chdir("gone")
        Path("../gone").rmdir()

    def follows(data, store, signal, context):
        data["folder"] = str(Path.cwd())

    assert play(chain(removes, follows)).check()["follows"].data["folder"] == str(tmp_path)


def test_a_task_that_ends_python_fails():
    def leave(data, store, signal, context):
        sys.exit("enough")

    played = play(chain(leave))

    assert (played.status, played["leave"].error.type) == ("failed", "SystemExit")


def test_a_task_is_told_that_only_the_main_thread_takes_signals():
    def listen(data, store, signal_, context):
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)

    assert "main thread" in play(chain(listen))["listen"].error.message


# --- who waits -------------------------------------------------------------------------------------------------------


def test_who_waits_for_whom_is_told_of_a_run_that_is_stuck():
    def starts(data, store, signal, context):
        signal.join_dags([signal.start_dag("sub"), signal.start_dag("short")])

    def waits(data, store, signal, context):
        signal.join_dags(["main:1"])

    main, sub, short = chain(starts), Dag("sub", autostart=False), Dag("short", autostart=False)
    sub.define({PythonTask("waits", waits): PythonTask("after")})
    short.define({PythonTask("ends"): None})

    with pytest.raises(Stuck) as told:
        play([main, sub, short])

    assert "Running are 'main:1/starts', 'sub:1/waits'; dag runs that have not ended: 'main:1', 'sub:1'." in str(
        told.value
    )


# --- what they import ------------------------------------------------------------------------------------------------

WORKFLOW = """
import helpers
from nflow.models import Dag
from nflow.tasks import PythonTask

def work(data, store, signal, context):
    import lazy_helpers
    from helping import deeper
    data["names"] = [helpers.NAME, helpers.name(), lazy_helpers.NAME, deeper.NAME]

main = Dag("main")
main.define({PythonTask("work", work): None})
"""

NEIGHBOURS = {"wf", "helpers", "lazy_helpers", "helping", "helping.deeper"}


def folder_with_helpers(folder):
    (folder / "helping").mkdir(parents=True)
    (folder / "wf.py").write_text(WORKFLOW)
    for file in ("helpers.py", "lazy_helpers.py", "helping/deeper.py"):
        (folder / file).write_text(f"NAME = {folder.name!r}\ndef name(): return NAME\n")
    (folder / "helping" / "__init__.py").touch()
    return folder


@pytest.fixture
def folders(tmp_path):
    yield [folder_with_helpers(tmp_path / name) for name in ("n1", "n2")]
    for name in NEIGHBOURS & set(sys.modules):
        del sys.modules[name]


def test_each_workflow_has_the_modules_of_its_own_folder(folders):
    before = sys.path[:], sys.meta_path[:]

    names = [play(folder / "wf.py").check()["work"].data["names"] for folder in (*folders, folders[0])]

    assert names == [["n1"] * 4, ["n2"] * 4, ["n1"] * 4]
    assert (sys.path, sys.meta_path) == before
    assert not NEIGHBOURS & set(sys.modules)


def test_a_module_that_the_test_had_imported_stays(folders, monkeypatch):
    monkeypatch.syspath_prepend(folders[0])
    path = sys.path[:]
    play(folders[0] / "wf.py").check()
    import helpers

    play(folders[0] / "wf.py").check()

    assert sys.modules["helpers"] is helpers
    assert "lazy_helpers" not in sys.modules
    assert sys.path == path


def test_what_a_played_module_imports_stays(folders, monkeypatch):
    monkeypatch.syspath_prepend(folders[1])
    import wf

    assert play(wf).check()["work"].data["names"] == ["n2"] * 4
    assert sys.modules["helpers"] is wf.helpers
    assert "lazy_helpers" in sys.modules
