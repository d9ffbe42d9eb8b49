"""A Redis of one's own: a real server in a directory, shared by all who use that directory.

Three locks decide everything. ``server.lock`` is held by the server process itself, so it is
free exactly when there is no server. ``users.lock`` is held shared by every user.
``keeper.lock`` is held by a small process that waits to have ``users.lock`` for itself and
then shuts the server down: so a user that was killed counts as gone.
"""

from trioq.store.embedded.binary import ServerBinary, find_server
from trioq.store.embedded.errors import DataUnusable, EmbeddedError
from trioq.store.embedded.log import tell
from trioq.store.embedded.server import Embedded, exists, start

__all__ = [
    "DataUnusable",
    "Embedded",
    "EmbeddedError",
    "ServerBinary",
    "exists",
    "find_server",
    "start",
    "tell",
]  # fmt: skip
