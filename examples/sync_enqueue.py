"""Enqueue from ordinary code: a Flask view, a Django view, a script.

    python examples/sync_enqueue.py examples/example.toml README.md

The client is thread-safe: open one when the program starts and share it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import trioq


def upload_finished(client: trioq.SyncClient, path: Path) -> str:
    """What a view would do after it has stored an uploaded file."""
    handle = client.enqueue("fingerprint", {"path": str(path.resolve())}, id=f"upload:{path.name}")
    return "queued" if handle.is_new else f"already {handle.existing}"


if __name__ == "__main__":
    config, *paths = sys.argv[1:]
    with trioq.connect_sync(config) as client:
        for path in paths:
            print(path, upload_finished(client, Path(path)))
