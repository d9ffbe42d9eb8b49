"""The scan finds what a plain walk with a plain matcher finds, each file exactly once."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from trioq.engine.sources.scan.walk import Found, ScanRules, Skipped, scan

names = st.text(
    alphabet=["a", "b", ".", "*", "[", "-", "\n", "\\", "\udcff"], min_size=1, max_size=3
)
names = names.filter(lambda name: name not in (".", ".."))
paths = st.lists(names, min_size=1, max_size=4).map("/".join)

parts = st.sampled_from(["**", "*", "?", "a", "b", "*a", "a*", ".*", "*.*", "?b", "?*"])
patterns = st.lists(parts, min_size=1, max_size=4).map("/".join)
some_patterns = st.lists(patterns, max_size=3).map(tuple)


def matches(parts: list[str], pattern: list[str]) -> bool:
    """Does a path match, component by component, with ``**`` for any number of them?"""
    if not pattern:
        return not parts
    if pattern[0] == "**":
        if pattern[1:] == []:
            return True
        return matches(parts, pattern[1:]) or (bool(parts) and matches(parts[1:], pattern))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and matches(parts[1:], pattern[1:])


def is_any(path: str, patterns: tuple[str, ...], *, directory: bool = False) -> bool:
    for pattern in patterns:
        split = pattern.split("/")
        # d/** is what lies in d: the file d isn't, the directory d is.
        below = split[-1] == "**" and len(split) > 1 and not directory
        if matches(path.split("/"), [*split[:-1], "*", "**"] if below else split):
            return True
    return False


def walked(root: str, include: tuple[str, ...], exclude: tuple[str, ...]) -> Iterator[str]:
    for directory, below, files in os.walk(root):
        inside = os.path.relpath(directory, root)
        prefix = "" if inside == "." else inside + "/"
        below[:] = [name for name in below if not is_any(prefix + name, exclude, directory=True)]
        for name in files:
            if is_any(prefix + name, include) and not is_any(prefix + name, exclude):
                yield prefix + name


@settings(max_examples=150, deadline=None)
@given(st.lists(paths, max_size=8), st.just(("**/*",)) | some_patterns, some_patterns)
def test_the_scan_agrees_with_a_plain_walk(
    tree: list[str], include: tuple[str, ...], exclude: tuple[str, ...]
) -> None:
    with tempfile.TemporaryDirectory() as root:
        for path in tree:
            try:
                os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
                Path(root, path).touch()
            except (FileExistsError, NotADirectoryError, IsADirectoryError):
                continue  # a file where another path has a directory
        rules = ScanRules(Path(root), include, exclude, {}, "low")

        results = list(scan(rules, now_ns=lambda: time.time_ns() + 10**12))

        assert not [one for one in results if isinstance(one, Skipped)]
        found = [one.path for one in results if isinstance(one, Found)]
        assert sorted(found) == sorted(walked(root, include, exclude))
