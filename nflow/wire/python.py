"""Which Python this is: code that one has packed, only its like can open."""

import sys


def python_tag() -> str:
    """The minor version, as specs and jobs carry it: `py311`."""
    return f"py{sys.version_info.major}{sys.version_info.minor}"
