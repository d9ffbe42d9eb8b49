"""Draws what benchmarks found.

    python -m benchmarks.pictures [--run FILE] [--peers FILE] [--to docs/pictures]

Reads what ``python -m benchmarks --json FILE`` and ``python -m benchmarks.peers --json FILE``
have written, and writes one SVG for each curve and for each row of the peers that has a picture.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import svg
from benchmarks.suite.result import Result

#: Rows of the peers, what they are called, and whether more is better.
PEER_ROWS = {
    "one/s": ("No-op jobs, one worker process", "jobs/s", True),
    "two/s": ("No-op jobs, two worker processes", "jobs/s", True),
    "10 kB/s": ("Payloads of 10 kB, one worker process", "jobs/s", True),
    "await/s": ("Handlers that wait 1 ms, 64 at a time", "jobs/s", True),
    "p50": ("From an enqueue to the handler, idle worker, median", "ms", False),
}


def of_run(text: str) -> dict[str, str]:
    """Pictures by the names of their files."""
    curves = Result.from_json(text).curves
    return {
        f"{name}.svg": svg.lines(curve.title, curve.x, curve.y, curve.lines)
        for name, curve in curves.items()
    }


def of_peers(told: Mapping[str, Any]) -> dict[str, str]:
    """The same for peers; a void line has no bar."""
    made = {}
    for column, (title, unit, is_more_better) in PEER_ROWS.items():
        values = {
            name: peer["figures"][column]
            for name, peer in told["peers"].items()
            if column in peer["figures"] and not peer["void"]
        }
        if values:
            best_first = sorted(values.items(), key=lambda item: item[1], reverse=is_more_better)
            file = f"peers-{column.replace('/s', '').replace(' ', '-').lower()}.svg"
            made[file] = svg.bars(title, unit, dict(best_first), ours="trioq")
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--run", type=Path, metavar="FILE", help="of python -m benchmarks --json")
    parser.add_argument("--peers", type=Path, metavar="FILE", help="of benchmarks.peers --json")
    parser.add_argument("--to", type=Path, default=Path("docs/pictures"), metavar="DIRECTORY")
    options = parser.parse_args()
    made = of_run(options.run.read_text()) if options.run else {}
    made |= of_peers(json.loads(options.peers.read_text())) if options.peers else {}
    options.to.mkdir(parents=True, exist_ok=True)
    for name, picture in made.items():
        (options.to / name).write_text(picture)
        print(options.to / name)


if __name__ == "__main__":
    main()
