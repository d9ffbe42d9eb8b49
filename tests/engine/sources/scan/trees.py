"""Directories to be scanned, and what a scan makes of them."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from trioq.engine.sources.scan.walk import Found, ScanRules, Skipped, look_again, scan

HOUR_NS = 3_600_000_000_000


def an_hour_later() -> int:
    """A clock by which everything that the test wrote has settled."""
    return time.time_ns() + HOUR_NS


def rules(root: Path, **changed: Any) -> ScanRules:
    defaults: dict[str, Any] = {
        "include": ("**/*",),
        "exclude": ("**/*.tmp", "**/.*"),
        "queue_of_extension": {".pdf": "high"},
        "default_queue": "low",
    }
    return ScanRules(root, **(defaults | changed))


def results(root: Path, **changed: Any) -> list[Found | Skipped]:
    return list(scan(rules(root, **changed), now_ns=an_hour_later))


def found(root: Path, **changed: Any) -> list[str]:
    return [one.path for one in results(root, **changed) if isinstance(one, Found)]


def skipped(root: Path, **changed: Any) -> dict[str, str]:
    return {one.path: one.reason for one in results(root, **changed) if isinstance(one, Skipped)}


def write(root: Path, *paths: str, text: str = "x") -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)


def open_fds() -> set[str]:
    return {fd for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}")}


def look_twice(root: Path, *, wait_ns: int, between: Any = lambda: None) -> Any:
    """A one-shot scan: the young ones are looked at again, later by a clock of ours."""
    # A minute, so that a test on a busy machine isn't slower than that.
    the_rules = rules(root, settle_s=60)
    now_ns = time.time_ns()
    first = list(scan(the_rules, now_ns=lambda: now_ns))
    between()
    young = [one for one in first if isinstance(one, Skipped) and one.reason == "still_written"]
    return first, list(look_again(the_rules, young, now_ns=lambda: now_ns + wait_ns))
