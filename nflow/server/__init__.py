"""The embedded server: a nats-server of this user on this host, that nobody has to set up or take down.

Whoever needs it attaches; the first one starts it, the last one to leave stops it, and it outlives each of them.
Nothing here speaks the protocol of NATS beyond reading a server's first line: that is `bus/`.
"""

from nflow.server.attachment import Attachment, attach, serve_foreground
from nflow.server.embedded import Embedded
from nflow.server.watch import Watch

__all__ = ["Attachment", "Embedded", "Watch", "attach", "serve_foreground"]
