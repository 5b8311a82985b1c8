"""Being attached to the embedded server: it runs for as long as anybody is."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Self

from nflow.config import Settings
from nflow.errors import NflowError, ServerError
from nflow.server.embedded import DECISION_SECONDS, Embedded
from nflow.server.folder import Folder
from nflow.server.lock import Lock
from nflow.server.signs import Bell
from nflow.server.watch import Watch


class Attachment:
    """One use of the server, from `attach` to `detach`. Its calls block; any thread may make them."""

    def __init__(self, embedded: Embedded, users: Lock) -> None:
        self.folder = embedded.folder
        self._embedded = embedded
        self._users = users
        self._watches: list[Watch] = []
        self._deciding = threading.Lock()  # a restart that crosses a detach would leave a server behind
        self.url = ""
        self.token = ""

    def __repr__(self) -> str:
        return f"<Attachment {self.url} {'attached' if self._users.is_open else 'detached'}>"

    def ensure_running(self) -> str:
        """Start the server again if it died, on the same data and, if that is free, the same port; return its address.

        Raises:
            ServerError: It does not start, or does not answer.
        """
        with self._deciding:
            if not self._users.is_open:
                raise ServerError("Detached from the server already.")
            self.url = self._embedded.ensure_running()
            self.token = self.folder.token()
            return self.url

    def watch(self, on_death: Callable[[], object] | None = None) -> Watch:
        """Do this, in a thread of its own, as soon as the server died; by default start it again.

        Everybody who is attached may watch: whoever is first starts the server, and the others find it running.
        """
        watch = Watch(self.folder, on_death or self._restart)
        self._watches.append(watch)
        return watch

    def detach(self) -> bool:
        """Use the server no more; whether it was stopped, because nobody else does. Safe to call twice."""
        for watch in self._watches:
            watch.close()
        with self._deciding:
            return self._users.is_open and self._embedded.stop_unless_used(self._users)

    def _restart(self) -> None:
        # Whoever needs the server meets the error again when calling `ensure_running`; here nobody could handle it.
        with suppress(NflowError):
            self.ensure_running()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.detach()


def attach(settings: Settings) -> Attachment:
    """Attach this process to the user's server on this host, which is started if it does not run.

    Raises:
        UsageError: The state directory cannot be used.
        ServerError: There is no server, and none can be started.
    """
    folder = Folder.of_this_host(settings.home)
    users = folder.lock(folder.users_lock)
    # Before anything is decided: who is about to leave sees a user, or has stopped the server by the time this returns.
    attachment = Attachment(Embedded(folder), users.shared(DECISION_SECONDS))
    try:
        attachment.ensure_running()
    except BaseException:
        attachment.detach()
        raise
    return attachment


def serve_foreground(settings: Settings, say: Callable[[str], object] = print) -> None:
    """Keep the server running until SIGINT, SIGTERM or SIGHUP; then leave it to others, or stop it. Main thread only.

    Raises:
        ServerError: It died and cannot be started again.
    """
    done = Bell()
    failures: list[NflowError] = []

    def restart() -> None:
        try:
            attachment.ensure_running()
        except NflowError as error:
            failures.append(error)
            done.ring()

    with _ringing(done), attach(settings) as attachment, attachment.watch(restart):
        say(f"nflow's server is ready at {attachment.url}. Its data and its log are in {attachment.folder.path}.")
        done.wait()
    if failures:
        raise failures[0]


@contextmanager
def _ringing(bell: Bell) -> Iterator[None]:
    """Ring on the signals that end a program, instead of ending it."""
    kinds = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(kind, lambda *_: bell.ring()) for kind in kinds]
    try:
        yield
    finally:
        for kind, handler in zip(kinds, before, strict=True):
            signal.signal(kind, handler)
        bell.close()
