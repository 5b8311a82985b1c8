"""What a task asks of its run, made by its worker: the slot has no connection of its own."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from nflow.core.dataset import BLOB, Ref
from nflow.core.events import DagRequested, StopRequested
from nflow.core.ids import DagId, DagName
from nflow.core.jobs import TaskJob
from nflow.core.workflow_state import name_of
from nflow.engine.engine import Engine
from nflow.engine.provenance import provenance_of
from nflow.errors import JoinRefused, NflowError
from nflow.store.port import META, Once
from nflow.store.tree import leaves, parts_of
from nflow.wire.messages import pack_events, unpack_input
from nflow.wire.tree import pack_ref, pack_tree, unpack_ref, unpack_tree
from nflow.worker.channel import Channel
from nflow.worker.passing import receive, send
from nflow.worker.pool import Pool
from nflow.worker.runwatch import RunWatch
from nflow.worker.runwatches import RunWatches


class TaskCalls:
    """The calls of one execution."""

    def __init__(self, engine: Engine, pool: Pool, watches: RunWatches, job: TaskJob) -> None:
        self._engine = engine
        self._pool = pool
        self._watches = watches
        self._job = job

    async def __call__(self, name: str, arguments: Sequence[Any]) -> Any:
        """Make the call `name`.

        Raises:
            NflowError: which the task will see.
        """
        call = getattr(self, f"_{name}", None)
        if call is None:
            raise NflowError(f"A task cannot call '{name}' on its run.")
        return await call(*arguments)

    # --- store ---

    async def _store_get(self, section: str, key: str) -> bytes | None:
        tree = await self._engine.store.get(self._job.run, key, section=section)
        if tree is None and section == META:
            tree = await provenance_of(self._engine, self._job, key)
        return None if tree is None else pack_tree(tree)

    async def _store_set(self, section: str, values: Sequence[tuple[str, bytes]]) -> None:
        for key, tree in values:
            await self._engine.store.set(self._job.run, key, unpack_tree(tree), section=section)

    async def _store_delete(self, section: str, key: str) -> bool:
        return await self._engine.store.delete(self._job.run, key, section=section)

    async def _store_keys(self, section: str, prefix: str) -> list[str]:
        store, run = self._engine.store, self._job.run
        if not prefix:
            return sorted(leaves(await store.whole(run, section=section)))
        tree = await store.get(run, prefix, section=section)
        return [] if tree is None else sorted(leaves(tree, tuple(parts_of(prefix))))

    async def _store_extend(self, section: str, key: str, elements: bytes, once: Sequence[Any] | None) -> None:
        trees = unpack_tree(elements)
        assert isinstance(trees, list)
        await self._engine.store.extend(self._job.run, key, trees, section=section, once=_once(once))

    async def _store_increment(self, section: str, key: str, by: float, once: Sequence[Any] | None) -> None:
        await self._engine.store.increment(self._job.run, key, by, section=section, once=_once(once))

    async def _store_compare(self, section: str, key: str, expected: bytes | None, value: bytes) -> bool:
        before = None if expected is None else unpack_tree(expected)
        return await self._engine.store.compare_and_set(self._job.run, key, before, unpack_tree(value), section=section)

    # --- large values ---

    async def _get_blob(self, packed: bytes, may_be_cached: bool, channel: Channel) -> None:
        ref = unpack_ref(packed)
        try:
            await send(ref, channel, self._engine.blobs.server, self._engine.cache, may_be_cached=may_be_cached)
        finally:
            await channel.end()

    async def _put_blob(self, type_: str, size_bytes: int, channel: Channel) -> bytes:
        where, digest = await receive(size_bytes, channel, self._engine.blobs.server, self._job.run)
        return pack_ref(Ref(scheme=BLOB, where=where, size_bytes=size_bytes, digest=digest, type=type_))

    # --- signal ---

    async def _start_dag(self, dag: str, key: str, packed: bytes | None) -> str | None:
        given, blob = await self._engine.pack_up(self._job.run, None if packed is None else unpack_input(packed))
        request = DagRequested(key=key, dag=DagName(dag), by=self._by, input=given, input_blob=blob)
        async with self._watches.of(self._job.run) as watch:
            await self._ask(request)
            return await watch.answer(key)

    async def _join_dags(self, names: Sequence[str] | None, patience: float | None) -> bool:
        wanted = None if names is None else self._joinable(names)
        async with self._watches.of(self._job.run) as watch:
            return await self._lend_until(watch, lambda: not watch.running(wanted, self._job.dag), patience)

    async def _join_any(self, names: Sequence[str], patience: float | None) -> list[DagId]:
        wanted = self._joinable(names)
        async with self._watches.of(self._job.run) as watch:

            def over() -> list[DagId]:
                running = watch.running(wanted, self._job.dag)
                return [name for name in wanted if name not in running]

            await self._lend_until(watch, lambda: not wanted or bool(over()), patience)
            return over()

    def _joinable(self, names: Sequence[str]) -> list[DagId]:
        if self._job.dag in names:
            raise JoinRefused(
                f"Task '{self._job.name}' would wait for its own dag '{self._job.dag}', which cannot end before it. "
                "Leave that name out."
            )
        return list(map(DagId, names))

    async def _running(self, names: Sequence[str]) -> list[DagId]:
        async with self._watches.of(self._job.run) as watch:
            return list(watch.running(map(DagId, names), self._job.dag))

    async def _lend_until(self, watch: RunWatch, is_so: Callable[[], bool], patience: float | None) -> bool:
        """Let other tasks have the slot until it is so; whether it is."""
        if is_so():
            return True
        async with self._pool.lending():
            with suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await watch.until(is_so)
        return is_so()

    async def _stop_dag(self, name: str) -> None:
        if not isinstance(name, str):  # slots are users' processes, and what is written here all must be able to read
            raise NflowError(f"{name!r} is no name of a dag.")
        reason = "stop_dag was called"
        await self._ask(StopRequested(reason=reason, by=self._by, dag=DagId(name)))
        if name in (self._job.dag, name_of(self._job.dag)):
            await self._stop_own_dag(reason)

    async def _stop_workflow(self) -> None:
        reason = "stop_workflow was called"
        await self._ask(StopRequested(reason=reason, by=self._by))
        await self._stop_own_dag(reason)

    async def _stop_own_dag(self, reason: str) -> None:
        """Stop it in its own log too: ahead of this task's outcome, after which a successor could start."""
        subject = self._engine.subjects.stop(self._job.run, self._job.dag)
        stop = StopRequested(reason=reason, by=self._by, opening=self._job.opening)
        await self._engine.bus.append(subject, pack_events([stop]))

    async def _ask(self, event: DagRequested | StopRequested) -> None:
        await self._engine.bus.append(self._engine.subjects.ask(self._job.run), pack_events([event]))

    @property
    def _by(self) -> str:
        return f"{self._job.dag}/{self._job.task}"


def _once(identity: Sequence[Any] | None) -> Once | None:
    return None if identity is None else Once(writer=identity[0], number=identity[1])
