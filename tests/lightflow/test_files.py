"""Workflow files in the ways that Lightflow's users write them run as they did."""

import json


def said(done):
    """What the tasks of a run have printed, without its summary."""
    return done.out.splitlines()[:-1]


def test_a_dag_from_another_module_is_started_for_each_frame_of_a_scan(nflow):
    done = nflow("run", "scan", "frames=2", "--slots", "2")

    assert done.code == 0, done
    assert said(done) == [
        "frame [0, 10, 1] integrates to 2.0 in frame",
        "last stage integrate of AgBh at 0",
        "frame [1, 10, 1] integrates to 4.0 in frame",
        "last stage integrate of AgBh at 1",
        "started ['frame:1', 'frame:2'] from scan:1",
    ]


def test_callbacks_around_a_task_are_told_how_it_ended(nflow):
    done = nflow("run", "reporting")

    assert done.code == 1
    assert said(done) == [
        "init of succeeds",
        "finally of succeeds Success succeeds",
        "init of stops",
        "finally of stops Stopped stops",
        "init of stops_all",
        "finally of stops_all Stopped stops_all",
        "init of aborts",
        "finally of aborts Aborted aborts",
    ]
    assert "reporting stopped" in done.out
    assert "no beam" in done.out.splitlines()[-1]


def test_a_callback_around_a_failing_task_is_told_so(run):
    done = run(
        """
        def fail(data, store, signal, context):
            raise ValueError('no sample')

        def judge(status, data, store, signal, context):
            print(status is TaskStatus.Error, status == TaskStatus.Success)

        dag = Dag('main_dag')
        dag.define({PythonTask('fail', fail, callback_finally=judge): None})
        """
    )

    assert done.code == 1
    assert said(done)[0] == "True False"


def test_a_task_reads_the_times_of_the_tasks_before_it(nflow):
    done = nflow("run", "timetable")

    assert said(done) == [
        "first True True True",
        "it waited in task",
        "second True True True",
        "it waited in other",
        "last still runs False",
        "of timetable ['first', 'second']",
    ]


def test_each_task_has_globals_and_chance_of_its_own(nflow):
    done = nflow("run", "globals", "--slots", "1")

    assert said(done) == ["1 ['task_0']", "1 ['task_1']", "1 ['task_2']", "3 draws, 1 number"]


def test_all_dags_and_all_parameters_of_a_file_count(nflow):
    done = nflow("run", "station", "sample=AgBh", "recursive=no", "threshold=1e-3")

    assert done.code == 0
    assert sorted(said(done)) == ["recursive False", "sample 'AgBh'", "threshold 0.001"]
    assert sorted(done.err.splitlines()) == [
        "WARNING station: announce_processing is done",
        "WARNING station: announce_sample is done",
    ]


def test_a_parameter_without_a_default_must_be_given(nflow):
    done = nflow("run", "station")

    assert done.code == 2
    assert "Parameter 'sample' (The sample's name) is missing" in done.err


def test_successors_are_chosen_by_task_and_by_name(run):
    done = run(
        """
        def choose(data, store, signal, context):
            data['value'] = 5
            return Action(data, limit=[left, 'middle'])

        def show(data, store, signal, context):
            store.push('ran', context.task_name)

        def join(data, store, signal, context):
            print(sorted(store.get('ran')), data['value'], len(list(data)))

        left, middle, right = (PythonTask(name, show) for name in ('left', 'middle', 'right'))
        join_task = PythonTask('join', join)

        dag = Dag('main_dag')
        dag.define({
            PythonTask('choose', choose): [left, middle, right],
            left: join_task, middle: join_task, right: join_task,
        })
        """
    )

    assert done.code == 0
    assert said(done) == ["['left', 'middle'] 5 2"]
    assert "(4 succeeded, 1 skipped, run" in done.out


def test_the_datasets_of_a_join_come_in_the_order_of_the_schema_and_the_default_wins(run):
    done = run(
        """
        def give(data, store, signal, context):
            data['value'] = context.task_name
            data['only_' + context.task_name] = True

        def join(data, store, signal, context):
            print([each['value'] for each in data], data['value'], data.get_by_index(1)['value'])
            data.set_default_by_alias('second')

        def after(data, store, signal, context):
            print(data['value'], 'only_first' in data, 'only_second' in data, data.default_dataset.task_history)

        join_task = PythonTask('join', join)
        dag = Dag('main_dag')
        dag.define({
            PythonTask('first', give): join_task,
            PythonTask('second', give): join_task,
            join_task: PythonTask('after', after),
        })
        """
    )

    assert said(done) == [
        "['first', 'second'] first second",
        "second True True ['first', 'second', 'join']",
    ]


def test_a_started_dag_gets_all_datasets_and_aliases_that_it_is_given(run):
    done = run(
        """
        def start(data, store, signal, context):
            given = MultiTaskData(dataset=TaskData({'image': 1}), aliases=['first'])
            given.add_dataset('other', TaskData({'image': 2}), aliases=['second'])
            signal.join_dags([signal.start_dag('sub_dag', data=given)])

        def show(data, store, signal, context):
            print(data('first')['image'], data('other')['image'], data('second')['image'], data['image'])

        main_dag = Dag('main_dag')
        main_dag.define({PythonTask('start', start): None})
        sub_dag = Dag('sub_dag', autostart=False)
        sub_dag.define({PythonTask('show', show): None})
        """
    )

    assert said(done) == ["1 2 2 1"]


def test_a_pushed_list_is_one_element_and_an_extending_one_several(run):
    done = run(
        """
        def work(data, store, signal, context):
            store.set('buffer.observable', 20)
            store.push('sample.files', 'a')
            store.push('sample.files', ['b', 'c'])
            store.extend('sample.files', ['d', 'e'])
            print(store.get('sample.files'), store.get('sample'), store.get('buffer'), store.get('nothing'))

        dag = Dag('main_dag')
        dag.define({PythonTask('work', work): None})
        """
    )

    assert said(done) == [
        "['a', ['b', 'c'], 'd', 'e'] {'files': ['a', ['b', 'c'], 'd', 'e']} {'observable': 20} None",
    ]


def test_a_task_finds_itself_in_its_context(run):
    done = run(
        """
        def work(data, store, signal, context):
            told = context.to_dict()
            print('{task_name} in {dag_name} of {workflow_name}'.format(**told), len(told))
            print(type(context.workflow_id) is str, bool(context.worker_hostname))

        dag = Dag('main_dag')
        dag.define({PythonTask('work', work): None})
        """
    )

    assert said(done) == ["work in main_dag:1 of flow 5", "True True"]


def test_a_workflow_that_runs_is_listed_under_its_id_and_name(nflow):
    done = nflow("run", "timetable")

    [entry] = json.loads(nflow("status", "@last", "--json").out)
    assert (entry["workflow"], entry["state"]) == ("timetable", "succeeded")
    assert entry["run"] in done.out


def test_a_task_of_an_extension_evaluates_its_parameters_when_it_runs(nflow):
    done = nflow("run", "extension", "folder=/data")

    assert done.code == 0
    assert said(done) == ["['/data/run_7.h5'] *.h5 False", "found 1 in list_files"]


def test_programs_are_run_with_callbacks_around_them(nflow):
    done = nflow("run", "programs")

    assert done.code == 0
    assert said(done) == [
        "it runs: True",
        "line 'one\\n'",
        "line 'two'",
        "ended with 3, captured b'one\\ntwo' None",
        "then 3",
    ]


def test_a_line_of_a_program_may_end_its_task(nflow):
    done = nflow("run", "endless")

    assert done.code == 0
    assert said(done) == ["more"]
    assert "(1 succeeded, 1 skipped, run" in done.out
