"""Tells systemd how a service is: ready, alive, stopping. Does nothing where nobody asks.

The protocol is sd_notify(3)'s: lines in a datagram to the socket in ``NOTIFY_SOCKET``.
"""

from __future__ import annotations

import contextlib
import os
import socket

import attrs
import trio


@attrs.define
class Notifier:
    """Where to tell it. Made from the environment, whose variables children must not inherit."""

    address: str
    """A path, or a name that begins with ``@`` in Linux's abstract name space; empty: nowhere."""
    watchdog_s: float | None
    """How often it wants to hear that we live; None: it doesn't."""

    @classmethod
    def of_environment(cls) -> Notifier:
        """Take the variables out of the environment."""
        address = os.environ.pop("NOTIFY_SOCKET", "")
        usec, pid = os.environ.pop("WATCHDOG_USEC", ""), os.environ.pop("WATCHDOG_PID", "")
        is_ours = not pid or pid == str(os.getpid())
        watchdog_s = int(usec) / 1e6 / 2 if usec.isdigit() and int(usec) and is_ours else None
        return cls(address, watchdog_s if address else None)

    def tell(self, **told: str | int) -> None:
        """Send ``READY=1``, ``STATUS=…`` and the like. Whoever doesn't listen isn't told."""
        if not self.address:
            return
        lines = "\n".join(f"{name}={value}" for name, value in told.items())
        where = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
            out.setblocking(False)
            # Where systemd is busy or gone, the service goes on.
            with contextlib.suppress(OSError):
                out.sendto(lines.encode(), where)

    async def be_alive(self) -> None:
        """Tell the watchdog that we live, for as long as this loop turns."""
        while self.watchdog_s is not None:
            self.tell(WATCHDOG=1)
            await trio.sleep(self.watchdog_s)
