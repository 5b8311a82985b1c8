"""`python -m nflow.files.glance FILE ANSWER`: read one workflow file, and write down what is in it.

A process of its own, for the file may do whatever it likes when it is read: print, exit, never end.
"""

import faulthandler
import json
import os
import sys
from pathlib import Path
from typing import Any

from nflow.errors import UsageError
from nflow.models.conversion import type_name
from nflow.models.dag import Dag
from nflow.models.parameters import Option
from nflow.models.workflow import Workflow, load

#: Seconds after which this process ends in any case, should whoever started it be gone.
LONGEST = 60.0


def main() -> None:
    """Read the file that the command line names."""
    file, answer = sys.argv[1:]
    faulthandler.dump_traceback_later(LONGEST, exit=True)
    sys.argv[1:] = []  # a file that looks at its arguments has none
    try:
        told = _told(load(Path(file)))
    except UsageError as error:
        told = {"problem": str(error)}
    except BaseException as error:  # noqa: BLE001 - KeyboardInterrupt too, if a file raises it
        told = {"problem": f"{Path(file).name} raises {type(error).__name__} while it is read."}
    fresh = Path(f"{answer}.new")
    fresh.write_text(json.dumps(told, default=str), encoding="utf-8")
    fresh.replace(answer)
    os._exit(0)  # whatever threads the file has started


def _told(workflow: Workflow) -> dict[str, Any]:
    return {
        "purpose": workflow.doc.partition("\n")[0],
        "parameters": [_parameter(option) for option in workflow.parameters],
        "dags": [_dag(dag) for dag in workflow.dags.values()],
    }


def _dag(dag: Dag) -> dict[str, Any]:
    tasks = len(dag.graph().tasks) if dag.has_schema else 0
    return {"name": dag.name, "autostart": bool(dag.autostart), "tasks": tasks}


def _parameter(option: Option) -> dict[str, Any]:
    return {
        "name": option.name,
        "type": type_name(option.type),
        "default": option.default,
        "required": option.must_be_given,
        "help": option.help or "",
    }


if __name__ == "__main__":  # not so in a process that the file starts with `multiprocessing`
    main()
