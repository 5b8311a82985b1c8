"""The store of a run: values that any of its tasks can read and change, at any time.

    nflow run examples/data_store.py

`set` and `get` keep single values; `push` and `extend` let several tasks append to one list at once. A key with dots is
a path: `sample.spectra` is the list `spectra` inside of `sample`.
"""

import numpy as np

from nflow.models import Dag
from nflow.tasks import PythonTask


def store_values(data, store, signal, context):
    """Keep a number, a value deeper down, an image, and the first element of a list."""
    store.set("number", 5)
    store.set("buffer.observable", 20)
    store.set("image", np.ones((100, 100)))
    store.push("sample.spectra", 7)


def modify_values(data, store, signal, context):
    """Read what was kept, change it, and begin a list of files."""
    number = store.get("number")
    print(f"The number is: {number}")
    print(f"The dimension of the image is: {store.get('image').shape}")
    store.set("number", number * 10)
    store.push("filenames", "file_a.spec")


def add_filename(data, store, signal, context):
    """Append one name."""
    store.push("filenames", "file_b.spec")


def add_more_filenames(data, store, signal, context):
    """Append a list as one element, then two single names."""
    store.push("filenames", ["nested_a", "nested_b"])
    store.extend("filenames", ["file_c.spec", "file_d.spec"])


def show_filenames(data, store, signal, context):
    """Print the list that three tasks have written to."""
    print(f"The filenames are: {store.get('filenames')}")


store_task = PythonTask(name="store_task", callback=store_values)
modify_task = PythonTask(name="modify_task", callback=modify_values)
add_filename_task = PythonTask(name="add_filename_task", callback=add_filename)
add_more_filenames_task = PythonTask(name="add_more_filenames_task", callback=add_more_filenames)
show_task = PythonTask(name="show_task", callback=show_filenames)

dag = Dag("main_dag")
dag.define(
    {
        store_task: modify_task,
        modify_task: [add_filename_task, add_more_filenames_task],
        add_filename_task: show_task,
        add_more_filenames_task: show_task,
    }
)
