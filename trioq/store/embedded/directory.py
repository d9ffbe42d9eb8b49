"""The directory of an embedded server: made, looked at before a start, and who wrote its data."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trioq.store.embedded.binary import ServerBinary
from trioq.store.embedded.errors import EmbeddedError

#: Where the server keeps its append-only file, in pieces that a manifest lists.
APPENDONLY = "appendonlydir"
MANIFEST = "appendonly.aof.manifest"

_NOTE = "server.json"


def has_data(directory: Path) -> bool:
    """Whether a server has ever been started there."""
    return (directory / _NOTE).exists()


def make_ready(directory: Path) -> None:
    """Make the directory if there is none; what is ours is nobody else's to read.

    A directory that has other things in it keeps its permissions.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if has_data(directory) or not any(directory.iterdir()):
        directory.chmod(0o700)


def check_data(directory: Path, binary: ServerBinary) -> None:
    """Refuse data that this server would misread or write over, and note that it writes now.

    Raises:
      EmbeddedError: Another kind of server wrote it, or a newer one; or its list is missing.
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
        raise EmbeddedError(
            f"{path}: can't be read; it says which server wrote the data: if that was {binary},"
            " delete the file"
        ) from None
    else:
        if kind != binary.kind or version > binary.version:
            wrote_by = f"{kind} {'.'.join(map(str, version))}"
            raise EmbeddedError(
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
            raise EmbeddedError(
                f"{appendonly / MANIFEST}: missing, and {piece.name} has data that the server"
                " would write over; put the file back, or move the directory away to begin with"
                " no jobs"
            )


def _write_whole(path: Path, text: str) -> None:
    """All of it or nothing, also on a full disk."""
    beside = path.with_suffix(".new")
    try:
        with beside.open("w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
