"""The server of one state directory, whoever started it: made to run, and stopped when nobody uses it."""

from contextlib import suppress
from itertools import islice

from nflow.errors import ServerError, ServerUnreachable
from nflow.server import process, program
from nflow.server.configuration import configuration
from nflow.server.folder import Folder, url_of
from nflow.server.lock import Lock

#: A server with much to recover takes its time; one with little takes 10 ms.
START_SECONDS = 60.0
#: Longer than the longest of decisions.
DECISION_SECONDS = START_SECONDS + 2 * process.STOP_SECONDS + process.ANSWER_SECONDS

TRIES = 5


class Embedded:
    """Decides about starting and stopping, one at a time: under the folder's start lock.

    Blocks for the time of a start (tens of milliseconds): call it from a thread where an event loop runs.
    """

    def __init__(self, folder: Folder) -> None:
        self.folder = folder

    def ensure_running(self) -> str:
        """Start the server unless it runs, and return its address: the same as before if the port is still free.

        Raises:
            ServerMissing, ServerTooOld: There is no program that could serve.
            ServerUnreachable: A server holds the directory and does not answer.
            ServerError: It does not start; the reason is that of its log.
        """
        with self.folder.lock(self.folder.start_lock).exclusive(DECISION_SECONDS):
            for _ in range(TRIES):
                with self.folder.lock(self.folder.server_lock) as lock:
                    port = self._start(lock) if lock.try_exclusive() else self._answering()
                if port is not None:
                    return url_of(port)
        raise ServerUnreachable(f"The server ended {TRIES} times while nflow looked. Its log: {self.folder.log}")

    def stop_unless_used(self, users: Lock) -> bool:
        """Give up a shared hold on the users lock; whoever was the last to hold it stops the server."""
        with users, self.folder.lock(self.folder.start_lock).exclusive(DECISION_SECONDS):
            try:
                last = users.try_exclusive()
                if last:
                    self._stop()
                return last
            finally:
                users.close()  # before the start lock: the next one to leave must not count this one

    def _stop(self) -> None:
        with self.folder.lock(self.folder.server_lock) as lock:
            if lock.try_exclusive():
                return  # nothing runs
        pid = self.folder.pid()
        if pid is None:
            # whoever started it was killed in that very moment, and it has not come to write its pid
            process.wait_until_ready(self.folder, None, START_SECONDS)
            pid = self.folder.pid()
        if pid is not None:
            process.end(self.folder, pid)

    def _start(self, lock: Lock) -> int:
        """Start the server under the lock that it inherits, and return its port."""
        executable = program.find()
        token = self.folder.token()
        for port in islice(process.free_ports(self.folder.port()), TRIES):
            self.folder.remember(port)
            self.folder.write(self.folder.config, configuration(self.folder, port, token))
            pid = process.launch(executable, self.folder, lock)
            if self._is_ready(pid) and self._greets(port):
                return port
            if "address already in use" not in self.folder.last_words():
                break  # else somebody was faster; another port will do
        words = self.folder.last_words() or "it left no word, as on a full disk"
        raise ServerError(f"The server ended while starting: {words} (log: {self.folder.log})")

    def _is_ready(self, pid: int) -> bool:
        try:
            return process.wait_until_ready(self.folder, pid, START_SECONDS)
        except ServerUnreachable:
            with suppress(ServerError):
                process.end(self.folder, pid)
            raise

    def _answering(self) -> int | None:
        """The port of the server that holds the directory; None when it has ended meanwhile."""
        port, pid = self.folder.port(), self.folder.pid()
        if port is None:
            raise ServerUnreachable(f"A server (pid {pid}) runs, but {self.folder.state} is unreadable: `kill {pid}`.")
        if self._greets(port):
            return port
        # It listens not yet, because whoever started it was killed meanwhile, or no more, because it is ending.
        if not process.wait_until_ready(self.folder, pid, START_SECONDS):
            return None
        if self._greets(port):
            return port
        ending = pid or self.folder.pid()
        if ending is not None and not process.wait_until_ended(ending, process.STOP_SECONDS):
            raise ServerUnreachable(f"The server (pid {ending}) does not listen. Its log: {self.folder.log}")
        return None

    def _greets(self, port: int) -> bool:
        """Whether it is our server that listens on this port, and it can serve."""
        try:
            greeting = process.greeting(port)
        except TimeoutError:
            silent = f"The server (pid {self.folder.pid()}) on port {port} is silent. Its log: {self.folder.log}"
            raise ServerUnreachable(silent) from None
        if greeting is None or greeting.server_name != self.folder.server_name:
            return False
        program.require(greeting.version, of=f"The server that runs in {self.folder.path}")
        if not greeting.jetstream:
            raise ServerError(
                f"The server runs without its storage: {self.folder.last_words()} (log: {self.folder.log})"
            )
        return True
