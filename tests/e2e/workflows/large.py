"""One task makes a large array; three others look at it, each whether it is what was made."""

import numpy as np
from gates import begin

from nflow.models import Dag, Option, Parameters
from nflow.tasks import PythonTask

parameters = Parameters(
    [Option("folder", help="Where the ledger and the gates are."), Option("megabytes", help="Of the array.", type=int)]
)

_MEGABYTE = 1 << 20


def make_image(data, store, signal, context):
    begin(store, context)
    data["image"] = np.arange(store.get("megabytes") * _MEGABYTE // 8)


def look_at_image(data, store, signal, context):
    begin(store, context)
    image = data["image"]
    assert image.nbytes == store.get("megabytes") * _MEGABYTE
    for start in range(0, len(image), _MEGABYTE):
        part = image[start : start + _MEGABYTE]
        assert part[0] == start
        assert (np.diff(part) == 1).all()


make = PythonTask("make", make_image)
looks = [PythonTask(f"look_{number}", look_at_image) for number in range(3)]

main = Dag("main")
main.define({make: looks})
