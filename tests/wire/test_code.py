import functools
import sys
import types

import pytest

from nflow.errors import BrokenMessage, MissingModule, NotShippable
from nflow.wire.code import digest, pack_code, unpack_code


def workflow(source):
    """The globals of a workflow file that was read: no module of `sys.modules`."""
    module = types.ModuleType("scan")
    exec(source, module.__dict__)
    assert "scan" not in sys.modules
    return module


def test_a_function_of_a_workflow_file_travels_with_what_it_uses():
    scan = workflow(
        "import math\nfactor = 3\ndef helper(x): return x * factor\ndef callback(x): return helper(math.floor(x))"
    )

    callback = unpack_code(pack_code(scan.callback))

    assert callback(2.5) == 6


def test_a_class_of_a_workflow_file_travels_whole():
    scan = workflow("class Task:\n    def __init__(self, n): self.n = n\n    def run(self): return self.n + 1\n")

    kind, state = unpack_code(pack_code((scan.Task, {"n": 4})))

    assert kind(**state).run() == 5


def test_every_unpacking_has_globals_of_its_own():
    scan = workflow("seen = []\ndef callback(x):\n    seen.append(x)\n    return list(seen)\n")
    packed = pack_code(scan.callback)

    first, second = unpack_code(packed), unpack_code(packed)

    assert first(1) == [1]
    assert second(2) == [2]
    assert scan.seen == []


def test_the_digest_of_the_same_bytes_is_the_same():
    assert digest(b"abc") == digest(bytearray(b"abc")) == "cf4ab791c62b8d2b2109c90275287816"


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("def callback(): return lock", "global 'lock' in callback() is a lock"),
        ("def helper(): return lock\ndef callback(): return helper()",
         "global 'helper' in callback() → global 'lock' in helper() is a lock"),
        ("def callback():\n    def inner(): return lock\n    return inner", "global 'lock' in callback() is a lock"),
        ("def make(lock):\n    def inner(): return lock\n    return inner\ncallback = make(lock)\ndel lock",
         "variable 'lock' of make.<locals>.inner() is a lock"),
        ("def callback(a=[lock]): return a", "a default argument of callback()[0] is a lock"),
        ("class K:\n    shared = lock\ncallback = K()\ndel lock", "class K.shared is a lock"),
        ("class K:\n    def __init__(self): self.held = lock\ncallback = {'k': K()}['k']", ".held is a lock"),
        ("class K:\n    __slots__ = ('held',)\ncallback = K()\ncallback.held = lock", ".held is a lock"),
        ("import functools\ncallback = functools.partial(print, lock)", ".args[0] is a lock"),
        ("class K:\n    held = 1\n    def run(self): pass\nk = K()\nk.held = lock\ncallback = k.run",
         ".__self__.held is a lock"),
    ],
)  # fmt: skip
def test_a_refusal_names_the_variable_that_is_to_blame(source, told):
    scan = workflow(f"import threading\nlock = threading.Lock()\n{source}")

    with pytest.raises(NotShippable) as refused:
        pack_code(scan.callback, what="Task 'reduce'")

    assert str(refused.value).startswith(f"Task 'reduce' cannot be sent to another process: {told} (")
    assert str(refused.value).endswith("Make it inside the task that uses it.")


def test_a_refusal_of_a_tasks_state_names_the_variable():
    scan = workflow("import threading\nlock = threading.Lock()\ndef callback(): return lock")

    with pytest.raises(NotShippable, match=r"^This tuple cannot be sent .*: global 'lock' in callback\(\) is a lock"):
        pack_code((int, {"callback": scan.callback}))


def test_a_refusal_without_a_name_calls_the_code_by_its_own():
    scan = workflow("import threading\nlock = threading.Lock()\ndef callback(): return lock")

    with pytest.raises(NotShippable, match=r"^'callback' cannot be sent"):
        pack_code(scan.callback)


def test_a_ring_of_objects_does_not_hold_up_the_search():
    scan = workflow("class K: pass\na, b = K(), K()\na.b, b.a = b, a\nb.gen = (n for n in [])")

    with pytest.raises(NotShippable, match="gen is a generator"):
        pack_code(scan.a)


def test_code_that_needs_a_missing_module_names_it(tmp_path, monkeypatch):
    (tmp_path / "beamline_only.py").write_text("def move(): return 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    scan = workflow("import beamline_only\ndef callback(): return beamline_only.move()")
    packed = pack_code(scan.callback)

    monkeypatch.undo()
    del sys.modules["beamline_only"]

    with pytest.raises(MissingModule, match="Task 'reduce' needs the module 'beamline_only', which is not installed"):
        unpack_code(packed, what="Task 'reduce'")


def test_code_whose_module_breaks_at_its_import_names_it(tmp_path, monkeypatch):
    (tmp_path / "breaks_here.py").write_text("def move(): return 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    packed = pack_code(workflow("import breaks_here\ndef callback(): return breaks_here.move()").callback)
    del sys.modules["breaks_here"]
    (tmp_path / "breaks_here.py").write_text("from math import no_such_thing  # as an old library would\n")

    with pytest.raises(MissingModule, match="which cannot be imported here: cannot import name 'no_such_thing'"):
        unpack_code(packed)


@pytest.mark.parametrize("data", [b"", b"junk", pack_code(functools.partial(int, "5"))[:-3]])
def test_bytes_that_are_no_code_are_refused(data):
    with pytest.raises(BrokenMessage, match="The code of this task cannot be opened"):
        unpack_code(data)
