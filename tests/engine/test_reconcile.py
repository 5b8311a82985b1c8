"""The tick that makes pushes safe."""

from nflow.engine.reconcile import Reconciler
from nflow.errors import BusError


async def test_what_had_to_be_repaired_is_counted():
    reconciler = Reconciler()

    async def check() -> int:
        return 2

    reconciler.add(check)
    await reconciler.tick()
    await reconciler.tick()

    assert reconciler.repaired == 4
    reconciler.close()


async def test_a_log_that_cannot_be_read_does_not_keep_the_others_from_being_looked_at(caplog):
    reconciler = Reconciler()
    looked: list[str] = []

    async def broken() -> int:
        raise BusError("no such stream")

    async def other() -> int:
        looked.append("other")
        return 0

    reconciler.add(broken)
    reconciler.add(other)
    await reconciler.tick()

    assert looked == ["other"]
    assert "no such stream" in caplog.text
    reconciler.close()


async def test_what_was_taken_out_is_not_called_any_more():
    reconciler = Reconciler()

    class Log:
        checks = 0

        async def check(self) -> int:
            self.checks += 1
            return 0

    log = Log()
    reconciler.add(log.check)
    reconciler.discard(log.check)
    await reconciler.tick()

    assert log.checks == 0
    reconciler.close()
