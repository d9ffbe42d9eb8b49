"""``python -m props.protocol [PART OF A NAME]``: search, and print the shortest way to a find."""

from __future__ import annotations

import sys
import time

from props.protocol.search import search
from props.protocol.setups import LONG, QUICK
from props.protocol.variants import VARIANTS


def main(part: str = "") -> None:
    """Search every setup and every variant whose name has this part."""
    variants = {name: (variant.setup, variant.breaks) for name, variant in VARIANTS.items()}
    sound = {name: (setup, None) for name, setup in {**QUICK, **LONG}.items()}
    for name, (setup, breaks) in {**sound, **variants}.items():
        if part not in name:
            continue
        started = time.monotonic()
        result = search(setup, until=breaks)
        ended = "complete" if result.complete else "not complete"
        took_s = time.monotonic() - started
        print(f"{name}: {result.states:,} states, {ended}, {took_s:.0f} s", flush=True)
        for finding in result.findings:
            print(f"  {finding.promise}, after {len(finding.path)} moves:")
            print(*(f"    {move}" for move in finding.path), sep="\n")


main(*sys.argv[1:])
