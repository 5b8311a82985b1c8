"""
Several dags, and parameters in several places.

More words.
"""

from nflow.logger import get_logger
from nflow.models import BaseTask, Dag, Option, Parameters
from nflow.queue import DefaultJobQueueName, JobType

logger = get_logger(__name__)

sample = Parameters([Option("sample", help="The sample's name")])
processing = Parameters(
    [
        Option("recursive", default=True, help="Also folders below", type=bool),
        Option("threshold", 0.5, "Least intensity", float),
    ]
)


class Announce(BaseTask):
    """A task of the site's own."""

    def __init__(self, name, words, *, queue=JobType.Task, force_run=False, **kwargs):
        super().__init__(name, queue=queue, force_run=force_run, **kwargs)
        self.words = words

    def run(self, data, store, signal, context, **kwargs):
        for word in self.words:
            print(word, repr(store.get(word)))
        logger.warning("%s is done", context.task_name)


one = Dag("one", queue=DefaultJobQueueName.Dag)
one.define({Announce("announce_sample", ["sample"]): [None]})

two = Dag("two")
two.define({Announce("announce_processing", ["recursive", "threshold"], propagate_skip=False): []})
