"""The directory of an embedded server: made, looked at before a start, and who wrote its data."""

from __future__ import annotations

import json
import os
import pwd
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from trioq.store.embedded.binary import ServerBinary
from trioq.store.embedded.errors import DataUnusable, EmbeddedError
from trioq.store.embedded.keeper import DATA

#: Where the server keeps its append-only file, in pieces that a manifest lists.
APPENDONLY = DATA
MANIFEST = "appendonly.aof.manifest"

_NOTE = "server.json"


def has_data(directory: Path) -> bool:
    """Whether a server has ever been started there."""
    return (directory / _NOTE).exists()


def make_ready(directory: Path, log: Callable[[str], None]) -> None:
    """Make the directory if there is none; what is ours is nobody else's to read.

    A directory that has other things in it keeps its permissions.

    Args:
      log: Is told of a group that may write there.

    Raises:
      EmbeddedError: It, or something of ours in it, belongs to somebody else or is a link: who
          starts a server there would write over what that leads to, with their own rights.
      OSError: It can't be made, or looked into.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    _check_owner(directory, directory.lstat())  # whoever made a link decides where it leads
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        there = os.fstat(fd)
        _check_owner(directory, there)
        if there.st_uid == os.geteuid() and (has_data(directory) or not os.listdir(fd)):
            os.fchmod(fd, 0o700)
            there = os.fstat(fd)
    finally:
        os.close(fd)
    if there.st_mode & stat.S_IWOTH:
        raise EmbeddedError(
            f"{directory}: everybody may write there, and put links in the way: chmod o-w, or use"
            " a directory of its own in it"
        )
    if there.st_mode & stat.S_IWGRP:
        log(f"{directory}: its group may write there, and so read and change all jobs")
    for name, is_kind, kind in _OURS:
        _check_ours(directory / name, is_kind, kind)
    _check_pieces(directory / APPENDONLY)


#: What a server and its users make there.
_OURS: Sequence[tuple[str, Callable[[int], bool], str]] = (
    *((name, stat.S_ISREG, "file") for name in (
        "users.lock", "server.lock", "keeper.lock", "server.log", _NOTE, "server.new"
    )),
    ("server.sock", stat.S_ISSOCK, "socket"),
    (APPENDONLY, stat.S_ISDIR, "directory"),
)  # fmt: skip


def _check_ours(path: Path, is_kind: Callable[[int], bool], kind: str) -> None:
    try:
        there = path.lstat()
    except FileNotFoundError:
        return
    if not is_kind(there.st_mode):
        what = "a link" if stat.S_ISLNK(there.st_mode) else "something else"
        raise EmbeddedError(f"{path}: is {what}, not a {kind} of ours: take it away")
    _check_owner(path, there)


def _check_pieces(appendonly: Path) -> None:
    """The server writes there, and follows links."""
    if appendonly.is_dir():
        for piece in appendonly.iterdir():
            _check_ours(piece, stat.S_ISREG, "file")


def _check_owner(path: Path, there: os.stat_result) -> None:
    """Root could do anything anyway; root itself mustn't do what others have prepared."""
    if there.st_uid not in (os.geteuid(), 0):
        raise EmbeddedError(
            f"{path}: belongs to {_user(there.st_uid)}, and this is {_user(os.geteuid())}: run as"
            " its owner, or use another directory"
        )


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def check_data(directory: Path, binary: ServerBinary) -> None:
    """Refuse data that this server would misread or write over, and note that it writes now.

    Raises:
      DataUnusable: Another kind of server wrote it, or a newer one; or its list is missing.
      OSError: The note can't be written.
    """
    _check_manifest(directory / APPENDONLY)
    path = directory / _NOTE
    now = {"kind": binary.kind, "version": list(binary.version)}
    try:
        note = json.loads(path.read_text())
        kind, version = _writer(note)
    except FileNotFoundError:
        note = None
    except (ValueError, KeyError, TypeError):
        raise DataUnusable(
            f"{path}: can't be read; it says which server wrote the data: if that was {binary},"
            " delete the file"
        ) from None
    else:
        if kind != binary.kind or version > binary.version:
            wrote_by = f"{kind} {'.'.join(map(str, version))}"
            raise DataUnusable(
                f"{directory}: the data was written by {wrote_by}, this is {binary};"
                " use that server or a newer one, or another directory"
            )
    if note != now:
        _write_whole(path, json.dumps(now) + "\n")


def _writer(note: Mapping[str, Any]) -> tuple[str, tuple[int, ...]]:
    return str(note["kind"]), tuple(int(part) for part in note["version"])


def _check_manifest(appendonly: Path) -> None:
    """A server that finds no manifest takes its data for none, and writes over it."""
    if (appendonly / MANIFEST).exists() or not appendonly.is_dir():
        return
    # The manifest is there before the first write; a server that was killed earlier has none.
    for piece in sorted(appendonly.glob("*.incr.aof")):
        if piece.stat().st_size > 0:
            raise DataUnusable(
                f"{appendonly / MANIFEST}: missing, and {piece.name} has data that the server"
                " would write over; put the file back, or move the directory away to begin with"
                " no jobs"
            )


def _write_whole(path: Path, text: str) -> None:
    """All of it or nothing, also on a full disk."""
    beside = path.with_suffix(".new")
    beside.unlink(missing_ok=True)
    try:
        with beside.open("x") as file:  # anew: never through a link
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
