"""The client for programs that have an event loop: services, notebooks, anything that does several things at once."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from logging import getLogger
from typing import Self

from nflow import config
from nflow.bus.paging import all_records
from nflow.client.changes import encoded_changes
from nflow.client.following import LogLine, events_of_all, events_of_run, lines_of
from nflow.client.loading import Startable, packed, read
from nflow.client.result import Result, result_of
from nflow.client.stored import Stored
from nflow.core.events import TaskSucceeded
from nflow.core.ids import DagId, RunId, TaskId
from nflow.engine.engine import Engine
from nflow.engine.lines import Selection
from nflow.engine.log import readable
from nflow.engine.retrying import refuse_if_needless, reopening_of
from nflow.engine.runs import RunEntry
from nflow.errors import CallTimedOut, UsageError
from nflow.files.found import Found, candidates, look_into
from nflow.files.needs import advice, needs_of
from nflow.runs import Runs, view_of_known, whoever_asks
from nflow.session import open_engine
from nflow.view.words import Told
from nflow.worker.heartbeat import WorkerEntry, workers

_log = getLogger("nflow.client")

#: A stop without a word about time leaves running tasks as much as the settings say.
USUAL = -1.0


class AsyncClient:
    """Starts, follows and steers runs, all over one connection, for any number of callers on one event loop.

    ```python
    async with nflow.AsyncClient() as client:
        run = await client.start("sequence")
        result = await client.wait(run)
    ```

    A run is named as on the command line: by its id, a beginning of it, or `@last`. Calls wait through an outage of
    the server; `asyncio.timeout` puts an end to any of them, and leaves nothing half done.
    """

    def __init__(self, server: str | None = None, *, settings: Mapping[str, object] | None = None) -> None:
        """Make a client, which connects when it is entered.

        Args:
            server: The address of the site's server, instead of the one in the settings. Without any, nflow's own
                server is used, and started if need be.
            settings: Further settings by their dotted names, over those of file and environment:
                `{"server.token": "…"}`.

        Raises:
            ConfigError: a setting is unknown or out of range.
        """
        self._settings = config.load({**(settings or {}), **({} if server is None else {"server.url": server})})
        self._open = AsyncExitStack()
        self._runs: Runs | None = None

    @classmethod
    def on(cls, engine: Engine) -> Self:
        """A client on an open connection, which stays open after it."""
        client = cls()
        client._runs = Runs(engine)
        return client

    async def __aenter__(self) -> Self:
        if self._runs is None:
            self._runs = Runs(await self._open.enter_async_context(open_engine(self._settings)))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._runs = None
        await self._open.aclose()

    # --- workflows ---

    async def workflows(self) -> list[Found]:
        """The workflow files that `start` finds by name, each with its parameters, dags, or what is wrong with it."""
        return await asyncio.to_thread(lambda: look_into(candidates(self._settings.workflows.folders)))

    async def start(
        self,
        workflow: Startable,
        arguments: Mapping[str, object] | None = None,
        *,
        queue: str = "workflow",
        keep_data: bool = False,
        deadline: float | None = None,
    ) -> RunId:
        """Start a run and return its id; from then on it is never lost. A worker does it: `nflow worker`.

        Args:
            workflow: The name of a workflow or the path of its file; a module, `__main__` too; or a dag.
            arguments: Values of its parameters: text as on the command line, or any value that can be pickled.
            queue: Workers that serve this workflow queue may drive the run.
            keep_data: Keep what the run has in its store, and what its tasks handed on, though it succeeds.
            deadline: Seconds after which the run is ended, as failed.

        Raises:
            UsageError: nothing was started: no such workflow, or it cannot run, or an argument is wrong.
            StorageFull: nothing was started: the server has no room.
        """
        runs = self._opened()
        loaded, shipment = await asyncio.to_thread(
            packed, workflow, arguments or {}, self._settings, queue=queue, deadline=deadline
        )
        run = await runs.send(shipment, queue=queue, keep_data=keep_data)
        if text := await advice(runs.engine, needs_of(loaded, queue)):
            _log.warning("%s (%s): %s", loaded.name, run, text)
        return run

    # --- runs ---

    async def runs(
        self,
        *,
        status: str | Sequence[str] = (),
        workflow: str | None = None,
        since: float | datetime | None = None,
        limit: int | None = None,
    ) -> list[RunEntry]:
        """The runs that are known, the newest first.

        Args:
            status: Only those that are so, or one of so: waiting, running, stopping, succeeded, failed, stopped.
            workflow: Only runs of this workflow.
            since: Only those submitted from then on: a time, or seconds since the epoch.
            limit: At most so many.
        """
        states = (status,) if isinstance(status, str) else tuple(status)
        begin = since.timestamp() if isinstance(since, datetime) else since

        def chosen() -> Iterator[RunEntry]:
            for entry in reversed(entries):
                is_meant = (not states or entry.state in states) and workflow in (None, entry.workflow)
                if is_meant and (begin is None or entry.submitted >= begin):
                    yield entry

        entries = await self._opened().all()
        return list(chosen())[:limit]

    async def find(self, run: str) -> RunEntry:
        """What is known of one run. Raises RunNotFound."""
        return await self._opened().find(run)

    async def result(self, run: str) -> Result:
        """How a run ended, or how far it is, without waiting."""
        return await self._result(await self.find(run))

    async def wait(self, run: str, *, timeout: float | None = None) -> Result:  # noqa: ASYNC109 - reads better
        """How a run ended, once it has; one that was retried, for the last time.

        Raises:
            CallTimedOut: it goes on after `timeout` seconds. Wait again whenever you like.
        """
        runs, entry = self._opened(), await self.find(run)
        try:
            async with asyncio.timeout(timeout) as limit:
                await runs.wait(entry.run, opening=await runs.opening_of(entry))
        except TimeoutError:
            if not limit.expired():
                raise
            raise CallTimedOut(
                f"Run {entry.run} ({entry.workflow}) goes on after {timeout:g} s. Wait on, or look: "
                f"nflow status {entry.run}"
            ) from None
        return await self._result(entry)

    async def stop(self, run: str, *, dag: str | None = None, grace: float | None = USUAL) -> None:
        """Ask a run to stop, or one of its dags. It is kept for workers that are away; `wait` tells when it is done.

        Args:
            run: Which.
            dag: Only this dag run, `sub_dag:1`, or all of a dag, `sub_dag`.
            grace: Seconds until tasks that go on are killed, 0 for at once; None: they may finish. Without it as the
                settings say: 10.

        Raises:
            UsageError: it has ended, or no such dag run moves in it.
        """
        seconds = self._settings.worker.grace if grace == USUAL else grace
        await self._opened().ask_to_stop(run, dag=dag, grace=seconds, by=whoever_asks())

    async def retry(
        self, run: str, *, tasks: Sequence[str] = (), parameters: Mapping[str, object] | None = None
    ) -> None:
        """Let a run go on that failed or was stopped: what succeeded counts, the rest begins again.

        Args:
            run: Which.
            tasks: Tasks that are done again with all that follows them, though they succeeded: `reduce`, or with the
                dag run in front, `sub_dag:2/reduce`.
            parameters: New values of parameters.

        Raises:
            UsageError: it goes on, is complete, or its data are gone; there is no such task or parameter.
        """
        runs = self._opened()
        past = await runs.past((await runs.find(run)).run)
        refuse_if_needless(past, tasks)
        reopening_of(past, tasks, {}, by="")  # bad input is told before a workflow file is read
        changes = await encoded_changes(runs.engine, past, parameters or {}, read)
        await runs.reopen(past, tasks=tasks, parameters=changes, by=whoever_asks())

    # --- what happens ---

    async def events(
        self, run: str | None = None, *, after: int | None = None, follow: bool = True
    ) -> AsyncIterator[Told]:
        """What happens, each event once and in order: of one run from its beginning until its end, else of all runs.

        Args:
            run: Which; None: all, from the first step of the iteration on and without an end.
            after: Go on behind the event of this `seq`.
            follow: False: only what has happened by now.
        """
        async for page in self.event_pages(run, after=after, follow=follow):
            for event in page:
                yield event

    async def event_pages(
        self, run: str | None = None, *, after: int | None = None, follow: bool = True
    ) -> AsyncIterator[list[Told]]:
        """The same, as many at a time as are there."""
        engine = self._opened().engine
        if run is None:
            pages = events_of_all(engine, after=after, follow=follow)
        else:
            pages = events_of_run(engine, await self.find(run), after=after or 0, follow=follow)
        async for page in pages:
            yield page

    async def logs(
        self,
        run: str,
        task: str | None = None,
        *,
        attempt: int | None = None,
        after: int = 0,
        follow: bool = True,
    ) -> AsyncIterator[LogLine]:
        """What the tasks of a run print and log, line by line, until its end.

        Args:
            run: Which.
            task: Only this task, `reduce`, or with the dag run in front, `sub_dag:2/reduce`.
            attempt: Only this attempt.
            after: Go on behind the lines of this `seq`.
            follow: False: only what was written by now.
        """
        async for page in self.log_pages(run, task, attempt=attempt, after=after, follow=follow):
            for line in page:
                yield line

    async def log_pages(
        self,
        run: str,
        task: str | None = None,
        *,
        attempt: int | None = None,
        after: int = 0,
        follow: bool = True,
    ) -> AsyncIterator[list[LogLine]]:
        """The same, as many at a time as are there."""
        dag, name = _place(task)
        entry, only = await self.find(run), Selection(dag=dag, task=name, attempt=attempt)
        async for page in lines_of(self._opened().engine, entry, only, after=after, follow=follow):
            yield page

    # --- data ---

    async def get(self, run: str, key: str, default: object = None, *, section: str = "data") -> object:
        """The value at a dotted key of the store of a run, which is there until it has succeeded, or with `keep_data`.

        Raises:
            UsageError: the data of the run are gone.
            MissingModule, BlobLost: the value cannot be opened here.
        """
        stored = await self._stored(run, section)
        tree = await stored.at(key)
        return default if tree is None else await stored.opened(tree, f"'{key}'")

    async def keys(self, run: str, prefix: str = "", *, section: str = "data") -> list[str]:
        """The dotted keys of all values in the store of a run, or of those below `prefix`."""
        return await (await self._stored(run, section)).keys(prefix)

    async def output(self, run: str, task: str) -> dict[str, object]:
        """What a task handed on to those after it, by key; it is there for as long as the store is.

        Args:
            run: Which.
            task: `main_dag:1/reduce`; without a number the first run of that dag is meant.

        Raises:
            UsageError: the task has not succeeded, or the data of the run are gone.
        """
        stored = await self._stored(run, "data")
        stored.require_data()
        dag, name = _place(task)
        if dag is None or name is None:
            raise UsageError(f"'{task}' does not say which dag it means. Write main_dag:1/{task}, for example.")
        place = stored.engine.subjects.task(stored.entry.run, DagId(dag if ":" in dag else f"{dag}:1"), TaskId(name))
        ended = [event async for record in all_records(stored.engine.bus, place) for event in readable(record)]
        if not ended or not isinstance(ended[-1], TaskSucceeded):
            raise UsageError(f"No task '{task}' has succeeded in run {stored.entry.run} ({stored.entry.workflow}).")
        return {
            key: await stored.opened(ref, f"'{key}', which {task} handed on,")
            for key, ref in ended[-1].output.values.items()
        }

    # --- workers ---

    async def workers(self) -> list[WorkerEntry]:
        """The workers that are there, what they serve, and how much they do."""
        return await workers(self._opened().engine)

    # --- inside ---

    def _opened(self) -> Runs:
        if self._runs is None:
            raise UsageError("This client is not connected. Use it inside `async with nflow.AsyncClient() as client:`.")
        return self._runs

    async def _stored(self, run: str, section: str) -> Stored:
        return Stored(self._opened().engine, await self.find(run), section)

    async def _result(self, entry: RunEntry) -> Result:
        """Of a run without failures the log of its workflow tells all; only else are those of its dags read."""
        runs = self._opened()
        engine, opening = runs.engine, await runs.opening_of(entry)
        for subject in (engine.subjects.log(entry.run), engine.subjects.run_events(entry.run)):
            view = await view_of_known(engine, entry.run)
            async for record in all_records(engine.bus, subject):
                for event in readable(record):
                    view.take(event, record)
            if view.finished is not None and not view.counts["failed"]:
                break
        return result_of(entry, view, opening=opening)


def _place(task: str | None) -> tuple[str | None, str | None]:
    """Dag and task of `sub_dag:2/reduce`; of a task alone no dag."""
    dag, _, name = (task or "").rpartition("/")
    return dag or None, name or None
