"""Syncs the server's file to disk; when nobody uses the server any more, shuts it down.

A process of its own, started as a file so that it imports next to nothing:

    keeper.py DIRECTORY KEEPER_LOCK_FD

It holds ``keeper.lock`` through the inherited descriptor. Once it has ``users.lock`` for
itself, newcomers wait for it, so that nobody joins a server that is going away. The
directory may be deleted meanwhile; a server whose socket is gone is found by its lock.

The server doesn't sync by itself: with ``everysec`` it keeps what it has answered in its own
memory while a sync takes long, and that is gone if it is killed then. Without, it has written
everything before it answers, and only a crash of the machine can take it.
"""

import contextlib
import fcntl
import os
import signal
import socket
import sys
import time

#: Where the server keeps its append-only file, in pieces.
DATA = "appendonlydir"

#: Between two looks at a server that is shutting down.
LOOK_S = 0.02

#: Between two looks at a server that can't write to its disk.
UNSAVED_S = 1.0

#: What a crash of the machine can cost, and as long as one sync takes.
SYNC_EVERY_S = 1.0

#: A server that can't be asked is sent SIGTERM, which saves as much, this often at most.
TERMINATE_EVERY_S = 1.0


def main(directory: str, keeper_fd: int) -> None:
    """Wait for the last user, end the server, make room for the next keeper."""
    os.chdir(directory)
    users, server = open_lock("users.lock"), open_lock("server.lock")
    # A signal interrupts whatever we wait for, and the wait goes on afterwards.
    signal.signal(signal.SIGALRM, sync_again)
    signal.setitimer(signal.ITIMER_REAL, SYNC_EVERY_S)
    fcntl.flock(users, fcntl.LOCK_EX)
    terminated_at = float("-inf")
    while not is_free(server):
        answer = ask_to_shut_down()
        if answer == "unsaved":
            # Let newcomers in while we wait; who comes is waited for as ever.
            fcntl.flock(users, fcntl.LOCK_UN)
            time.sleep(UNSAVED_S)
            fcntl.flock(users, fcntl.LOCK_EX)
        elif answer == "deaf" and time.monotonic() - terminated_at >= TERMINATE_EVERY_S:
            terminate_holders(server)
            terminated_at = time.monotonic()
        time.sleep(LOOK_S)
    # In this order: who gets users.lock next must find the others free.
    for fd in (server, keeper_fd, users):
        os.close(fd)


def open_lock(name: str) -> int:
    return os.open(name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)


#: The size of each piece of the append-only file when it was last synced.
synced: dict[str, int] = {}


def sync_again(*_: object) -> None:
    """Once, and after a pause again: another one during a slow one would interrupt it."""
    sync()
    signal.setitimer(signal.ITIMER_REAL, SYNC_EVERY_S)


def sync() -> None:
    """Put what the server has written on the disk; nothing where it has written nothing."""
    with contextlib.suppress(OSError):  # there is none yet, or the directory was deleted
        pieces = [name for name in os.listdir(DATA) if name.endswith(".incr.aof")]
        for gone in synced.keys() - pieces:
            del synced[gone]
        for name in pieces:
            sync_piece(name)


def sync_piece(name: str) -> None:
    fd = os.open(f"{DATA}/{name}", os.O_RDONLY | os.O_NOFOLLOW)
    try:
        size = os.fstat(fd).st_size
        if synced.get(name) != size:
            os.fdatasync(fd)
            synced[name] = size
    except OSError as error:
        complain(f"{name}: can't be synced, a crash of the machine may cost it: {error}")
    finally:
        os.close(fd)


def complain(what: str) -> None:
    """A line in the server's log."""
    with contextlib.suppress(OSError):
        fd = os.open("server.log", os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW)
        os.write(fd, f"trioq's keeper: {what}\n".encode())
        os.close(fd)


def is_free(server: int) -> bool:
    """Whether the server is gone: it holds its lock for as long as it lives."""
    try:
        fcntl.flock(server, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def ask_to_shut_down() -> str:
    """One try. ``asked``, also of one that is loading or stopped; ``deaf``: it can't be asked.

    ``unsaved``: on a full disk the server has answered writes that are in its memory only.
    It would end without them, so it isn't asked.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(5.0)
        try:
            sock.connect("server.sock")
        except TimeoutError:
            return "asked"
        except OSError:
            return "deaf"
        try:
            with sock.makefile("rb") as answers:
                sock.sendall(b"INFO persistence\r\n")
                head = answers.readline()
                if head.startswith(b"$"):
                    told = answers.read(int(head[1:]) + 2)
                    if b"aof_last_write_status:err" in told:
                        return "unsaved"
                sock.sendall(b"SHUTDOWN\r\n")
                # NOAUTH, NOPERM: somebody has changed who may do that.
                return "deaf" if answers.readline().startswith(b"-NO") else "asked"
        except OSError:
            return "asked"


def terminate_holders(server: int) -> None:
    """SIGTERM to who runs in this directory with the lock's file open: the server."""
    lock, here = os.fstat(server), os.stat(".")
    for pid in processes():
        with contextlib.suppress(OSError):  # not ours to look at, or ended by itself
            runs_here = os.path.samestat(os.stat(f"/proc/{pid}/cwd"), here)
            if runs_here and pid != os.getpid() and has_open(pid, lock):
                os.kill(pid, signal.SIGTERM)


def processes() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return []


def has_open(pid: int, file: os.stat_result) -> bool:
    for name in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):  # closed meanwhile
            if os.path.samestat(os.stat(f"/proc/{pid}/fd/{name}"), file):
                return True
    return False


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
