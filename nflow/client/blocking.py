"""The client for programs without an event loop: scripts, threads, prompts. Every call waits for its answer."""

import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Self

from nflow.client.asynchronous import USUAL, AsyncClient
from nflow.client.bridge import Bridge
from nflow.client.following import LogLine
from nflow.client.loading import Startable
from nflow.client.result import Result
from nflow.core.ids import RunId
from nflow.engine.runs import RunEntry
from nflow.errors import NflowError
from nflow.files.found import Found
from nflow.view.words import Told
from nflow.worker.heartbeat import WorkerEntry


class Client:
    """Starts, follows and steers runs; any number of threads may share one. `AsyncClient` tells more of each call.

    ```python
    with nflow.Client() as client:
        run = client.start("sequence")
        result = client.wait(run)
    ```

    It is connected when it has been made, until `close`, the end of the `with`, or the end of the process. It must not
    be used on both sides of a fork. In a coroutine its calls hold up the loop: there, use `AsyncClient`.
    """

    def __init__(
        self,
        server: str | None = None,
        *,
        settings: Mapping[str, object] | None = None,
        timeout: float | None = None,
    ) -> None:
        """Connect.

        Args:
            server: The address of the site's server, instead of the one in the settings. Without any, nflow's own
                server is used, and started if need be.
            settings: Further settings by their dotted names, over those of file and environment.
            timeout: Seconds after which a call raises CallTimedOut, for instance while the server is away; by default
                it waits. It is not for `wait` and the iterators, which may take as long as a run.

        Raises:
            ConfigError: a setting is unknown or out of range.
            ServerError: there is no server, or it cannot serve.
        """
        self._client = AsyncClient(server, settings=settings)
        self._timeout = timeout
        self._bridge = Bridge()
        # Also when it is forgotten, and when the process ends: others count on a server that is left in order.
        self._close = weakref.finalize(self, _close, self._bridge, self._client)
        try:
            self._bridge.call(self._client.__aenter__(), timeout=timeout)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Disconnect. Calls that still wait in other threads end with a UsageError."""
        self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- workflows ---

    def workflows(self) -> list[Found]:
        """The workflow files that `start` finds by name, each with its parameters, dags, or what is wrong with it."""
        return self._bridge.call(self._client.workflows(), timeout=self._timeout)

    def start(
        self,
        workflow: Startable,
        arguments: Mapping[str, object] | None = None,
        *,
        queue: str = "workflow",
        keep_data: bool = False,
        deadline: float | None = None,
    ) -> RunId:
        """Start a run and return its id; from then on it is never lost. A worker does it: `nflow worker`."""
        starting = self._client.start(workflow, arguments, queue=queue, keep_data=keep_data, deadline=deadline)
        return self._bridge.call(starting, timeout=self._timeout)

    # --- runs ---

    def runs(
        self,
        *,
        status: str | Sequence[str] = (),
        workflow: str | None = None,
        since: float | datetime | None = None,
        limit: int | None = None,
    ) -> list[RunEntry]:
        """The runs that are known, the newest first."""
        listing = self._client.runs(status=status, workflow=workflow, since=since, limit=limit)
        return self._bridge.call(listing, timeout=self._timeout)

    def find(self, run: str) -> RunEntry:
        """What is known of one run. Raises RunNotFound."""
        return self._bridge.call(self._client.find(run), timeout=self._timeout)

    def result(self, run: str) -> Result:
        """How a run ended, or how far it is, without waiting."""
        return self._bridge.call(self._client.result(run), timeout=self._timeout)

    def wait(self, run: str, *, timeout: float | None = None) -> Result:
        """How a run ended, once it has. Raises CallTimedOut where it goes on after `timeout` seconds."""
        return self._bridge.call(self._client.wait(run, timeout=timeout))

    def stop(self, run: str, *, dag: str | None = None, grace: float | None = USUAL) -> None:
        """Ask a run to stop, or one of its dags; `wait` tells when it is done."""
        self._bridge.call(self._client.stop(run, dag=dag, grace=grace), timeout=self._timeout)

    def retry(self, run: str, *, tasks: Sequence[str] = (), parameters: Mapping[str, object] | None = None) -> None:
        """Let a run go on that failed or was stopped: what succeeded counts, the rest begins again."""
        self._bridge.call(self._client.retry(run, tasks=tasks, parameters=parameters), timeout=self._timeout)

    # --- what happens ---

    def events(self, run: str | None = None, *, after: int | None = None, follow: bool = True) -> Iterator[Told]:
        """What happens, each event once and in order: of one run until its end, else of all from the first step on."""
        return self._bridge.iterate(self._client.event_pages(run, after=after, follow=follow))

    def logs(
        self,
        run: str,
        task: str | None = None,
        *,
        attempt: int | None = None,
        after: int = 0,
        follow: bool = True,
    ) -> Iterator[LogLine]:
        """What the tasks of a run print and log, line by line, until its end."""
        return self._bridge.iterate(self._client.log_pages(run, task, attempt=attempt, after=after, follow=follow))

    # --- data ---

    def get(self, run: str, key: str, default: object = None, *, section: str = "data") -> object:
        """The value at a dotted key of the store of a run, while that is there; else `default`."""
        return self._bridge.call(self._client.get(run, key, default, section=section), timeout=self._timeout)

    def keys(self, run: str, prefix: str = "", *, section: str = "data") -> list[str]:
        """The dotted keys of all values in the store of a run, or of those below `prefix`."""
        return self._bridge.call(self._client.keys(run, prefix, section=section), timeout=self._timeout)

    def output(self, run: str, task: str) -> dict[str, object]:
        """What a task handed on to those after it, by key; it is there for as long as the store is."""
        return self._bridge.call(self._client.output(run, task), timeout=self._timeout)

    # --- workers ---

    def workers(self) -> list[WorkerEntry]:
        """The workers that are there, what they serve, and how much they do."""
        return self._bridge.call(self._client.workers(), timeout=self._timeout)


def _close(bridge: Bridge, client: AsyncClient) -> None:
    with suppress(NflowError):  # a server that is away need not be told
        bridge.close(client.__aexit__())
