"""A workflow that is told what to do: parameters, from the command line into the store.

    nflow run examples/parameters.py filepath=/data/scan_0001.h5
    nflow run examples/parameters.py filepath=/data/scan_0001.h5 iterations=3 recursive=no

An option without a default must be given: without `filepath` nothing is started, and nflow says what is missing. All
others have the type that is stated here when a task reads them, or the run is refused: try `iterations=many`.
"""

from nflow.models import Dag, Option, Parameters
from nflow.tasks import PythonTask

parameters = Parameters(
    [
        Option("filepath", help="file to work on", type=str),
        Option("recursive", default=True, help="look into its folders too", type=bool),
        Option("iterations", default=1, help="how often to refine", type=int),
        Option("threshold", default=0.4, help="what counts as a peak", type=float),
    ]
)


def print_filepath(data, store, signal, context):
    """Read a parameter: it is in the store, under its name."""
    print(f"The filepath is: {store.get('filepath')}")


def print_iterations(data, store, signal, context):
    """Read one that is a number by now."""
    print(f"Number of iterations: {store.get('iterations')}")


print_filepath_task = PythonTask(name="print_filepath_task", callback=print_filepath)
print_iterations_task = PythonTask(name="print_iterations_task", callback=print_iterations)

dag = Dag("main_dag")
dag.define({print_filepath_task: print_iterations_task})
