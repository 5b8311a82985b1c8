"""What went wrong in Lightflow, as its users saw it, does not go wrong any more."""

import json
import signal

import pytest

from tests.cli.program import Done


def said(done: Done) -> list[str]:
    """What the tasks of a run have printed, without its summary."""
    return done.out.splitlines()[:-1]


# --- a failure is a failure ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("work", "reason"),
    [
        ("os.kill(os.getpid(), 9)", "SIGKILL"),
        ("return data", "not an Action"),
        ("return Action({'a': 1})", "An Action cannot carry a dict"),
        ("data['lock'] = threading.Lock()", "data['lock']"),
    ],
)
def test_a_run_whose_last_task_ended_badly_is_not_reported_as_succeeded(run, work, reason):
    done = run(
        f"""
        import os, threading

        def work(data, store, signal, context):
            {work}

        dag = Dag('main_dag')
        dag.define({{PythonTask('first'): PythonTask('last', work)}})
        """
    )

    assert done.code == 1
    assert "flow failed" in done.out
    assert reason in done.out


def test_a_run_whose_task_was_killed_between_others_is_not_reported_as_succeeded(run):
    done = run(
        """
        import os

        def die(data, store, signal, context):
            os.kill(os.getpid(), 9)

        def after(data, store, signal, context):
            print('after')

        dag = Dag('main_dag')
        dag.define({PythonTask('dies', die): PythonTask('after', after)})
        """
    )

    assert done.code == 1
    assert "flow failed" in done.out
    assert "after" not in said(done)


def test_a_run_whose_started_dag_failed_is_not_reported_as_succeeded(run):
    done = run(
        """
        def start(data, store, signal, context):
            signal.join_dags([signal.start_dag(sub_dag)])

        def fail(data, store, signal, context):
            raise ValueError('no beam')

        main_dag = Dag('main_dag')
        main_dag.define({PythonTask('start', start): None})
        sub_dag = Dag('sub_dag', autostart=False)
        sub_dag.define({PythonTask('fail', fail): None})
        """
    )

    assert done.code == 1
    assert "sub_dag:1/fail failed" in done.out
    assert "ValueError: no beam" in done.out


def test_a_dag_that_was_never_defined_is_refused_before_anything_runs(run):
    done = run(
        """
        def work(data, store, signal, context):
            print('work')

        good = Dag('good')
        good.define({PythonTask('work', work): None})
        forgotten = Dag('forgotten')
        """
    )

    assert done.code == 2
    assert "Dag 'forgotten' has no schema" in done.err
    assert done.out == ""


@pytest.mark.parametrize("ending", ["", "raise StopTask('enough')", "raise AbortWorkflow('enough')"])
def test_a_task_whose_callback_finally_raises_is_not_reported_as_succeeded(run, ending):
    done = run(
        f"""
        def work(data, store, signal, context):
            print('work')
            {ending}

        def tidy_up(status, data, store, signal, context):
            print('tidy up')
            raise OSError('the disk is full')

        work_task = PythonTask('work', work, callback_finally=tidy_up)
        dag = Dag('main_dag')
        dag.define({{work_task: PythonTask('after', lambda *_: print('after'))}})
        """
    )

    assert done.code == 1
    assert "flow failed" in done.out
    assert "OSError: the disk is full" in done.out
    assert said(done).count("tidy up") == 1
    assert "after" not in said(done)


def test_a_failed_task_and_its_dag_have_an_end_and_a_duration(run):
    done = run(
        """
        META = DataStoreDocumentSection.Meta

        def start(data, store, signal, context):
            name = signal.start_dag('sub_dag')
            signal.join_dags([name])
            log = store.get('log.{}'.format(name), section=META)
            print('dag', sorted(log), log['end_time'] >= log['start_time'], log['duration'] >= 0.0)
            task = log['tasks']['fail']
            print('task', task['end_time'] >= task['start_time'], task['duration'] >= 0.0)

        def fail(data, store, signal, context):
            raise ValueError('no beam')

        main_dag = Dag('main_dag')
        main_dag.define({PythonTask('start', start): None})
        sub_dag = Dag('sub_dag', autostart=False)
        sub_dag.define({PythonTask('fail', fail): None})
        """
    )

    assert "dag ['duration', 'end_time', 'start_time', 'tasks'] True True" in said(done)
    assert "task True True" in said(done)


def test_a_failed_run_tells_its_end_to_programs_too(nflow, write):
    write(
        """
        def fail(data, store, signal, context):
            raise ValueError('no beam')

        dag = Dag('main_dag')
        dag.define({PythonTask('fail', fail): None})
        """
    )

    told = json.loads(nflow("run", "flow", "--json").out)
    [entry] = json.loads(nflow("status", "@last", "--json").out)

    assert (told["status"], told["tasks"]) == ("failed", {"failed": 1})
    assert [(failure["task"], failure["message"]) for failure in told["failures"]] == [("fail", "no beam")]
    assert entry["state"] == "failed"


# --- nothing hangs ---------------------------------------------------------------------------------------------------


def test_starting_a_dag_that_does_not_exist_fails_the_task_and_nothing_hangs(run):
    done = run(
        """
        def start(data, store, signal, context):
            signal.start_dag('unknown')

        dag = Dag('main_dag')
        dag.define({PythonTask('start', start): None})
        """
    )

    assert done.code == 1
    assert "DagNameUnknown" in done.out
    assert "'unknown'" in done.out


def test_a_task_may_catch_that_a_dag_does_not_exist(run):
    done = run(
        """
        from nflow.models.exceptions import DagNameUnknown

        def start(data, store, signal, context):
            try:
                signal.start_dag('unknown')
            except DagNameUnknown:
                print('there is none')

        dag = Dag('main_dag')
        dag.define({PythonTask('start', start): None})
        """
    )

    assert done.code == 0
    assert said(done) == ["there is none"]


def test_a_task_that_waits_for_a_dag_does_not_outlive_the_stop_of_its_run(nflow, write):
    write(
        """
        import signal as signals

        def start(data, store, signal, context):
            signal.join_dags([signal.start_dag(endless_dag)])

        def endless(data, store, signal, context):
            print('endless begins')
            signals.pause()

        main_dag = Dag('main_dag')
        main_dag.define({PythonTask('start', start): None})
        endless_dag = Dag('endless_dag', autostart=False)
        endless_dag.define({PythonTask('endless', endless): None})
        """
    )
    running = nflow.start("run", "flow", "--slots", "2").until_says("endless begins")

    stopped = nflow("stop", "@last", "--grace", "0.1")

    assert stopped.code == 0, stopped.err
    assert running.done().code == 1
    assert "flow stopped" in running.said


def test_more_runs_than_slots_that_all_wait_for_dags_of_their_own_come_to_their_ends(nflow, write):
    write(
        """
        def start(data, store, signal, context):
            depth = data['depth'] if 'depth' in data else 0
            if depth < 3:
                data['depth'] = depth + 1
                signal.join_dags([signal.start_dag('nested', data=data)])

        main_dag = Dag('main_dag')
        main_dag.define({PythonTask('start', start): None})
        nested = Dag('nested', autostart=False)
        nested.define({PythonTask('start_nested', start): None})
        """
    )
    worker = nflow.start("worker", "--slots", "1").until_says(" serves ")

    waiting = [nflow.start("start", "--wait", "flow") for _ in range(5)]

    assert [each.done().code for each in waiting] == [0] * 5
    worker.send(signal.SIGTERM).done()


# --- skipping --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("skipped", "joined"), [("", ", force_run=True"), (", propagate_skip=False", "")], ids=["force_run", "propagate"]
)
def test_a_task_runs_with_data_of_its_own_though_all_before_it_were_skipped(run, skipped, joined):
    done = run(
        f"""
        def choose(data, store, signal, context):
            return Action(data, limit=[])

        def work(data, store, signal, context):
            data['value'] = 5

        def show(data, store, signal, context):
            print(data['value'])

        dag = Dag('main_dag')
        skipped = PythonTask('skipped'{skipped})
        work_task = PythonTask('work', work{joined})
        dag.define({{PythonTask('choose', choose): skipped, skipped: work_task, work_task: PythonTask('show', show)}})
        """
    )

    assert done.code == 0
    assert said(done) == ["5"]
    assert "(3 succeeded, 1 skipped, run" in done.out


# --- data and store --------------------------------------------------------------------------------------------------


def test_the_store_gives_the_default_where_it_has_no_value(run):
    done = run(
        """
        def work(data, store, signal, context):
            store.set('sample.name', 'AgBh')
            print(store.get('sample.name', 'none'), store.get('sample.mass', 1.5), store.get('sample.name.first', 2))
            print(store.get('sample.mass'), store.get('missing', default='d', section=DataStoreDocumentSection.Meta))

        dag = Dag('main_dag')
        dag.define({PythonTask('work', work): None})
        """
    )

    assert said(done) == ["AgBh 1.5 2", "None d"]


def test_a_value_that_cannot_be_stored_leaves_the_one_before_as_it_was(run):
    done = run(
        """
        import threading

        def work(data, store, signal, context):
            store.set('image', b'x' * 100_000)
            try:
                store.set('image', {'new': threading.Lock()})
            except Exception as error:
                print(type(error).__name__)
            print(len(store.get('image')))
            store.set('image', [1, 2])
            print(store.get('image'))

        dag = Dag('main_dag')
        dag.define({PythonTask('work', work): None})
        """
    )

    assert said(done) == ["NotShippable", "100000", "[1, 2]"]


def test_a_number_and_a_dict_under_one_key_may_meet_in_a_join(run):
    done = run(
        """
        def number(data, store, signal, context):
            data['result'] = 5

        def nested(data, store, signal, context):
            data['result'] = {'width': 2}

        def show(data, store, signal, context):
            print([each['result'] for each in data])

        def after(data, store, signal, context):
            print(data['result'])

        dag = Dag('main_dag')
        show_task = PythonTask('show', show)
        dag.define({
            PythonTask('nested', nested): show_task,
            PythonTask('number', number): show_task,
            show_task: PythonTask('after', after),
        })
        """
    )

    assert done.code == 0
    assert said(done) == ["[{'width': 2}, 5]", "{'width': 2}"]


# --- definitions -----------------------------------------------------------------------------------------------------


def test_a_task_with_an_empty_dict_of_children_runs_all_the_same(run):
    done = run(
        """
        dag = Dag('main_dag')
        dag.define({PythonTask('work', lambda data, store, signal, context: print('work')): {}})
        """
    )

    assert said(done) == ["work"]


def test_a_tuple_of_children_is_as_good_as_a_list(run):
    done = run(
        """
        def show(data, store, signal, context):
            print(context.task_name)

        dag = Dag('main_dag')
        dag.define({PythonTask('root'): (PythonTask('left', show), PythonTask('right', show))})
        """
    )

    assert sorted(said(done)) == ["left", "right"]


def test_a_workflow_called_like_an_installed_module_is_the_one_that_runs(nflow, write):
    write(
        """
        import random

        def work(data, store, signal, context):
            print('mine', random.Random(1).randint(5, 5))

        dag = Dag('main_dag')
        dag.define({PythonTask('work', work): None})
        """,
        name="random",
    )

    done = nflow("run", "random")

    assert said(done) == ["mine 5"]


# --- dags that are started and stopped -------------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["{'image': 5}", "TaskData({'image': 5})", "[1]"])
def test_a_dag_started_with_data_of_another_kind_is_refused_instead_of_started_without(run, given):
    done = run(
        f"""
        def start(data, store, signal, context):
            signal.start_dag('sub_dag', data={given})

        main_dag = Dag('main_dag')
        main_dag.define({{PythonTask('start', start): None}})
        sub_dag = Dag('sub_dag', autostart=False)
        sub_dag.define({{PythonTask('work', lambda *_: print('work')): None}})
        """
    )

    assert done.code == 1
    assert "TypeError: start_dag(data=...) takes a MultiTaskData" in done.out
    assert "work" not in said(done)


def test_stopping_a_dag_by_the_name_it_was_defined_with_stops_all_its_runs(run):
    done = run(
        """
        def start(data, store, signal, context):
            names = [signal.start_dag(sub_dag), signal.start_dag(sub_dag)]
            signal.stop_dag('sub_dag')
            signal.join_dags(names)
            print('both have ended')

        def work(data, store, signal, context):
            while not signal.is_stopped:
                pass  # what it works on

        main_dag = Dag('main_dag')
        main_dag.define({PythonTask('start', start): None})
        sub_dag = Dag('sub_dag', autostart=False)
        sub_dag.define({PythonTask('work', work): PythonTask('after', lambda *_: print('after'))})
        """
    )

    assert done.code == 0
    assert said(done) == ["both have ended"]


def test_a_stopped_dag_starts_no_further_task_and_the_run_goes_on(run):
    done = run(
        """
        def start(data, store, signal, context):
            signal.join_dags([signal.start_dag(sub_dag)])
            print('went on')

        def stop(data, store, signal, context):
            signal.stop_dag()

        main_dag = Dag('main_dag')
        main_dag.define({PythonTask('start', start): None})
        sub_dag = Dag('sub_dag', autostart=False)
        sub_dag.define({PythonTask('stop', stop): PythonTask('after', lambda *_: print('after'))})
        """
    )

    assert done.code == 0
    assert said(done) == ["went on"]


# --- the command line ------------------------------------------------------------------------------------------------


def test_a_parameter_of_the_wrong_type_is_refused_before_anything_starts(run):
    done = run(
        """
        parameters = Parameters([Option('iterations', default=1, help='How often', type=int)])
        dag = Dag('main_dag')
        dag.define({PythonTask('work', lambda *_: print('work')): None})
        """,
        "iterations=many",
    )

    assert done.code == 2
    assert "Parameter 'iterations': Cannot convert 'many' to int" in done.err
    assert done.out == ""


def test_starting_a_run_prints_its_id_and_following_it_gives_its_exit_code(nflow, write):
    write(
        """
        def fail(data, store, signal, context):
            raise ValueError('no beam')

        dag = Dag('main_dag')
        dag.define({PythonTask('fail', fail): None})
        """
    )

    waiting = nflow.start("start", "--wait", "flow")
    worker = nflow.start("worker", "--slots", "1").until_says(" serves ")
    done = waiting.done()
    [entry] = json.loads(nflow("status", done.out.splitlines()[0], "--json").out)
    worker.send(signal.SIGTERM).done()

    assert done.code == 1
    assert (entry["workflow"], entry["state"]) == ("flow", "failed")


@pytest.mark.parametrize("arguments", [("no_such_workflow",), ("flow", "no-equals-sign"), ("flow", "unknown=1")])
def test_what_cannot_be_started_gives_a_message_and_an_exit_code(nflow, write, arguments):
    write(
        """
        dag = Dag('main_dag')
        dag.define({PythonTask('work'): None})
        """
    )

    done = nflow("start", *arguments)

    assert done.code == 2
    assert done.err.startswith("nflow: ")
    assert "Traceback" not in done.err
    assert done.out == ""
