"""Open files: a worker whose tasks wait in joins has more of them than a process is usually allowed."""

import resource

#: Of one slot: two sockets, three pipes, the stop flag, and its process.
FILES_PER_SLOT = 7

#: Of everything else: connections, the event loop, logs.
OTHER_FILES = 128


def allow_open_files(slots: int) -> None:
    """Raise this process's own limit as far as so many slots need it, and as far as the system lets it."""
    wanted = FILES_PER_SLOT * slots + OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
