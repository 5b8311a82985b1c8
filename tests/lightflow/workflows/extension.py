"""A task as extensions of Lightflow define theirs: parameters are values, or functions of data and store."""

from nflow.logger import get_logger
from nflow.models import Action, BaseTask, Dag, Option, Parameters, TaskParameters
from nflow.queue import JobType
from nflow.tasks import PythonTask

logger = get_logger(__name__)

parameters = Parameters([Option("folder", help="Where to look", type=str)])


class ListTask(BaseTask):
    """Calls back with files."""

    def __init__(
        self,
        name,
        paths,
        callback,
        pattern="*",
        recursive=False,
        *,
        queue=JobType.Task,
        callback_init=None,
        callback_finally=None,
        force_run=False,
        propagate_skip=True,
    ):
        super().__init__(
            name,
            queue=queue,
            callback_init=callback_init,
            callback_finally=callback_finally,
            force_run=force_run,
            propagate_skip=propagate_skip,
        )
        self.params = TaskParameters(paths=paths, pattern=pattern, recursive=recursive)
        self._callback = callback

    def run(self, data, store, signal, context, **kwargs):
        params = self.params.eval(data, store, exclude=["recursive"])
        paths = [params.paths] if isinstance(params.paths, str) else params.paths
        print(paths, params.pattern, "recursive" in params)
        if self._callback is not None:
            self._callback(paths, data, store, signal, context)
        return Action(data)


def number_it(data, store, signal, context):
    data["number"] = 7


def keep(files, data, store, signal, context):
    data["files"] = files


def show(data, store, signal, context):
    print("found", len(data["files"]), "in", data.default_dataset.task_history[-1])


list_task = ListTask(
    "list_files",
    paths=lambda data, store: f"{store.get('folder')}/run_{data['number']}.h5",
    callback=keep,
    pattern="*.h5",
)

dag = Dag("main_dag")
dag.define({PythonTask("number_it", number_it): list_task, list_task: PythonTask("show", show)})
