"""The names that users import, and what importing them costs."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import nflow
import nflow.models
import nflow.tasks
from nflow.errors import StoreTypeError
from nflow.models.datastore import DataStoreDocumentSection

CHECKOUT = Path(__file__).parents[2]


def loaded_by(statement):
    code = f"import sys; {statement}; print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    return set(result.stdout.split())


def test_the_public_names_are_these():
    assert nflow.__all__ == [
        "AbortWorkflow",
        "Action",
        "AsyncClient",
        "BaseTask",
        "BashTask",
        "Client",
        "Dag",
        "MultiTaskData",
        "NflowError",
        "Option",
        "Parameters",
        "Policy",
        "PythonTask",
        "Retry",
        "StopTask",
        "TaskData",
        "TaskStatus",
        "__version__",
    ]
    assert nflow.models.__all__ == [
        "AbortWorkflow",
        "Action",
        "BaseTask",
        "Dag",
        "DataStoreDocument",
        "DataStoreDocumentSection",
        "MultiTaskData",
        "Option",
        "Parameters",
        "Policy",
        "Retry",
        "StopTask",
        "TaskContext",
        "TaskData",
        "TaskParameters",
        "TaskSignal",
        "TaskStatus",
    ]
    assert nflow.tasks.__all__ == ["BashTask", "PythonTask"]


@pytest.mark.parametrize("module", [nflow, nflow.models, nflow.tasks])
def test_every_public_name_is_there(module):
    for name in module.__all__:
        assert getattr(module, name) is not None
        assert name in dir(module)


def test_the_short_names_are_the_same_things():
    assert nflow.Dag is nflow.models.Dag
    assert nflow.PythonTask is nflow.tasks.PythonTask


def test_another_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'zzz'"):
        nflow.zzz  # noqa: B018


def test_whoever_imports_nflow_has_its_modules():
    code = "import nflow; print(nflow.models.Dag.__name__, nflow.tasks.PythonTask.__name__, nflow.queue.JobType.Task)"

    result = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=True)

    assert result.stdout == "Dag PythonTask task\n"


def test_what_lightflow_had_cannot_be_imported_and_the_error_says_what_to_do():
    with pytest.raises(ImportError, match=r"nflow\.models has no 'Arguments' any more\. It is called `Parameters` now"):
        from nflow.models import Arguments  # noqa: F401
    with pytest.raises(ImportError, match="nflow has no 'Config' any more"):
        from nflow import Config  # noqa: F401


def test_errors_that_workflow_files_catch_have_their_names():
    names = ("ConfigLoadError", "DataStoreNotConnected", "DataStoreGridfsIdInvalid", "DataStoreDecodeUnknownType")

    assert all(issubclass(getattr(nflow.models.exceptions, name), nflow.NflowError) for name in names)
    assert issubclass(StoreTypeError, TypeError)


def test_an_ending_shows_its_message():
    assert (repr(nflow.StopTask("enough")), repr(nflow.StopTask())) == ("<StopTask - enough>", "<StopTask>")


def test_the_version_is_the_one_of_the_package():
    assert nflow.__version__ == tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["version"]


def test_importing_nflow_loads_next_to_nothing():
    extra = loaded_by("import nflow") - loaded_by("import importlib")

    assert extra == {"nflow", "nflow._version"}


def test_what_users_write_needs_none_of_what_carries_it():
    modules = loaded_by("import nflow.models, nflow.tasks, nflow.models.execution, nflow.models.plan")

    foreign = {"msgpack", "cloudpickle", "nats", "pydantic", "typer", "rich", "numpy", "asyncio"}
    assert not foreign & modules
    wings = {name.split(".")[1] for name in modules if name.startswith("nflow.")}
    assert wings == {"_version", "core", "errors", "models", "tasks"}


def test_the_values_that_users_see_are_the_ones_they_know():
    assert [(status.name, status.value) for status in nflow.TaskStatus] == [
        ("Success", 1),
        ("Stopped", 2),
        ("Aborted", 3),
        ("Error", 4),
    ]
    assert (DataStoreDocumentSection.Data, DataStoreDocumentSection.Meta) == ("data", "meta")


def test_a_context_gives_its_fields_by_name():
    context = nflow.models.TaskContext("task", "dag:1", "flow", "id", "host")

    assert context.to_dict() == {
        "task_name": "task",
        "dag_name": "dag:1",
        "workflow_name": "flow",
        "workflow_id": "id",
        "worker_hostname": "host",
    }


def test_a_module_that_is_there_can_be_imported_though_lightflow_had_more_in_it():
    assert "nflow.config" in loaded_by("from nflow import config")
