"""Waits until nobody uses the server any more, and then shuts it down.

A process of its own, started as a file so that it imports next to nothing:

    keeper.py DIRECTORY KEEPER_LOCK_FD

It holds ``keeper.lock`` through the inherited descriptor. Once it has ``users.lock`` for
itself, newcomers wait for it, so that nobody joins a server that is going away.
"""

import fcntl
import os
import socket
import sys
import time


def main(directory: str, keeper_fd: int) -> None:
    """Wait for the last user, end the server, make room for the next keeper."""
    os.chdir(directory)
    users = os.open("users.lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(users, fcntl.LOCK_EX)
    while not server_is_gone():
        ask_to_shut_down()
        time.sleep(0.02)
    # In this order: who gets users.lock next must find keeper.lock free.
    os.close(keeper_fd)
    os.close(users)


def server_is_gone() -> bool:
    """Whether the server's own lock is free."""
    fd = os.open("server.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        return True
    finally:
        os.close(fd)


def ask_to_shut_down() -> None:
    """One try. A server that is loading or stopped doesn't answer; there will be another."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(5.0)
        try:
            sock.connect("server.sock")
            sock.sendall(b"SHUTDOWN\r\n")
            sock.recv(256)
        except OSError:
            time.sleep(0.05)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
