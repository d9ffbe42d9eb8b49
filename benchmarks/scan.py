"""How long a scan of many small files takes, and how much memory.

    python -m benchmarks.scan [--files 100000] [--root DIR]

Makes two trees, one of directories with 100 files each and one with all files in a single
directory, scans both, and prints for each: the time, files per second, the largest Python
heap while scanning (by tracemalloc, in a scan of its own, because that is slow), and by how
much the process grew. Flat memory means that the heap is the same for ten times the files,
so each tree is made in a tenth of the size too.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
import tracemalloc
from pathlib import Path

from trioq.engine.sources.scan.walk import Found, ScanRules, scan

HEADER = f"{'tree':<12}{'files':>9}{'seconds':>10}{'files/s':>10}{'heap kB':>10}{'grown kB':>10}"


def make_tree(root: Path, files: int, files_per_directory: int) -> None:
    for number in range(files):
        if number % files_per_directory == 0:
            directory = root / f"{number // files_per_directory:05d}"
            directory.mkdir()
        # Without pathlib, which would take longer than the file system.
        with open(f"{directory}/{number:07d}.{'pdf' if number % 5 == 0 else 'txt'}", "w") as file:
            file.write("x")


def scan_all(root: Path) -> int:
    rules = ScanRules(root, ("**/*",), ("**/*.tmp", "**/.*"), {".pdf": "high"}, "low")
    # An hour ahead: what we have just made has settled.
    looks = scan(rules, now_ns=lambda: time.time_ns() + 3_600_000_000_000)
    return sum(isinstance(look, Found) for look in looks)


def resident_kb() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


def measure(name: str, root: Path, files: int) -> str:
    before_kb = resident_kb()
    started_s = time.perf_counter()
    found = scan_all(root)
    took_s = time.perf_counter() - started_s
    grown_kb = resident_kb() - before_kb
    if found != files:
        raise SystemExit(f"found {found} of {files} files")

    tracemalloc.start()
    scan_all(root)
    heap_kb = tracemalloc.get_traced_memory()[1] // 1024
    tracemalloc.stop()
    return (
        f"{name:<12}{files:>9,}{took_s:>10.2f}{files / took_s:>10,.0f}{heap_kb:>10,}{grown_kb:>10,}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Time and memory of a directory scan.")
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--root", type=Path, help="where to make the trees; absent: the system's")
    options = parser.parse_args()
    scan_all(Path(__file__).parent)  # so that imports and first uses don't count
    print(HEADER)
    for name, per_directory in (("many dirs", 100), ("one dir", options.files)):
        for files in (options.files // 10, options.files):
            with tempfile.TemporaryDirectory(dir=options.root) as root:
                make_tree(Path(root), files, per_directory)
                print(measure(name, Path(root), files), flush=True)


if __name__ == "__main__":
    main()
