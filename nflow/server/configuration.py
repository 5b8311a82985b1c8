"""What the embedded server is told: the same settings as `nats-server.conf`, which explains them to a site."""

import json

from nflow.server.folder import Folder

#: Common to the embedded server and to a site's; a test compares them.
SETTINGS = """\
max_payload: 8MB
max_pending: 128MB
ping_interval: "10s"
ping_max: 3
logtime_utc: true
"""

#: The same for JetStream. One second bounds what a power failure can take and costs nothing measurable.
JETSTREAM = """\
sync_interval: "1s"
max_memory_store: 256MB
"""


def configuration(folder: Folder, port: int, token: str) -> str:
    """The text of the server's configuration file: loopback only, no monitoring port, nobody without the token."""
    return (
        f"server_name: {_quoted(folder.server_name)}\n"
        f'listen: "127.0.0.1:{port}"\n'
        f"pid_file: {_quoted(folder.pid_file)}\n"
        f"authorization {{ token: {_quoted(token)} }}\n"
        f"{SETTINGS}"
        f"jetstream {{\nstore_dir: {_quoted(folder.data)}\nmax_file_store: {folder.room_bytes()}\n{JETSTREAM}}}\n"
    )


def _quoted(value: object) -> str:
    return json.dumps(str(value), ensure_ascii=False)
