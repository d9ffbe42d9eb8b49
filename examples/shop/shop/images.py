"""Pictures get smaller. That computes, so it has processes of its own."""

from __future__ import annotations

import os
import re
from pathlib import Path

import trioq
from shop.app import app

HEADER = re.compile(rb"P6\s+(\d+)\s+(\d+)\s+255\s")


@app.job(isolation="process", timeout=60, id_from=["path", "width"], result="1d")
def thumbnail(path: str, width: int) -> str:
    """Write a smaller one beside a picture; returns its path."""
    original, small = Path(path), Path(f"{path}.{width}.ppm")
    if not original.exists():
        raise trioq.GiveUp(f"no picture {path}")
    half_done = small.with_suffix(f".{os.getpid()}")
    half_done.write_bytes(shrunk(original.read_bytes(), width))
    half_done.replace(small)  # nobody sees half a picture, whenever this is cut off
    return str(small)


def shrunk(picture: bytes, width: int) -> bytes:
    """Each nth pixel of a PPM: yours would be made by a library."""
    if (header := HEADER.match(picture)) is None:
        raise trioq.GiveUp("it isn't a PPM")
    old, height = int(header[1]), int(header[2])
    step = max(1, old // width)
    pixels = [
        picture[header.end() + 3 * (y * old + x) :][:3]
        for y in range(0, height, step)
        for x in range(0, old, step)
    ]
    across, down = len(range(0, old, step)), len(range(0, height, step))
    return b"P6 %d %d 255\n" % (across, down) + b"".join(pixels)
