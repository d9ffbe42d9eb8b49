"""How a supervisor is told things by others on its machine: ``trioq scale``.

It listens on a socket in Linux's abstract name space, whose name tells which configuration it
serves. That needs no file, and ends with the process, however it ends. Only its own user and
root are listened to, and only an answer of its own user or root is believed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import trio

from trioq.errors import TrioqError

MARK = "trioq-serve"

#: What anybody may take to ask, or to answer.
PATIENCE_S = 5.0
MESSAGE_BYTES = 4096

#: What comes of what isn't a message, or not one that anybody knows.
RUBBISH = (OSError, ValueError, TypeError, LookupError, ArithmeticError, RecursionError)

#: After nobody could be listened to.
PAUSE_S = 1.0

CREDENTIALS = struct.Struct("3i")  # struct ucred: process, user, group

Answer = Callable[[dict[str, Any]], dict[str, Any]]


class ControlError(TrioqError):
    """No supervisor can be told; the message says why."""


def _of_config(config: Path) -> str:
    """What the names of all supervisors of a configuration begin with."""
    told = hashlib.sha256(os.path.abspath(config).encode()).hexdigest()
    return f"{MARK}-{told[:16]}-"


def listen(config: Path) -> socket.socket | None:
    """Where this process can be told things; None: the system has no such names."""
    control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        control.bind(f"\0{_of_config(config)}{os.getpid()}")
        control.listen()
    except OSError:
        control.close()
        return None
    control.setblocking(False)
    return control


async def obey(control: socket.socket, answer: Answer) -> None:
    """Answer whoever may ask, one after the other, until cancelled."""
    with trio.socket.from_stdlib_socket(control) as listener:
        while True:
            try:
                asking, _ = await listener.accept()
            except OSError:  # no descriptors, say
                await trio.sleep(PAUSE_S)
                continue
            with asking, trio.move_on_after(PATIENCE_S), contextlib.suppress(*RUBBISH):
                if _user(asking) not in (0, os.geteuid()):
                    continue
                asked = json.loads(await asking.recv(MESSAGE_BYTES))
                await asking.send(json.dumps(answer(asked)).encode())


def tell(config: Path, pid: int | None, message: dict[str, Any]) -> dict[str, Any]:
    """Tell the supervisor of a configuration.

    Args:
      pid: Which one, where several serve it.

    Raises:
      ControlError: There is none, or more than one, or it doesn't answer, or it refuses.
    """
    pids = [found for found in _found(config) if pid in (None, found)]
    if not pids:
        raise ControlError(
            "no `trioq serve` with several processes runs on this machine with this configuration"
            + ("" if pid is None else f" and the pid {pid}")
        )
    if len(pids) > 1:
        listed = ", ".join(map(str, pids))
        raise ControlError(f"several `trioq serve` run with it: say which with --pid ({listed})")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(PATIENCE_S)
        try:
            asking.connect(f"\0{_of_config(config)}{pids[0]}")
            if os.geteuid() and _user(asking) not in (0, os.geteuid()):
                raise ControlError(f"process {pids[0]} isn't yours")
            asking.sendall(json.dumps(message).encode())
            answer = json.loads(asking.recv(MESSAGE_BYTES))
        except (OSError, ValueError) as error:
            raise ControlError(f"process {pids[0]} doesn't answer: {error}") from None
    assert isinstance(answer, dict)
    if (refusal := answer.get("refused")) is not None:
        raise ControlError(f"process {pids[0]} doesn't do that: {refusal}")
    return answer


def _user(peer: socket.socket | trio.socket.SocketType) -> int:
    """Who is at the other end."""
    told = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
    user: int = CREDENTIALS.unpack(told)[1]
    return user


def _found(config: Path) -> list[int]:
    """The processes that say they serve it."""
    try:
        sockets = Path("/proc/net/unix").read_text(errors="replace")
    except OSError:
        return []
    return sorted({int(pid) for pid in re.findall(rf"@{_of_config(config)}(\d+)$", sockets, re.M)})
