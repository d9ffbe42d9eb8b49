"""How many cores this process may use: what ``processes = "auto"`` means."""

from __future__ import annotations

import math
import os
from pathlib import Path

#: What a container may use, in cgroups of the second version: ``max 100000`` or ``150000 100000``.
QUOTA = Path("/sys/fs/cgroup/cpu.max")


def usable_cores(quota: Path = QUOTA) -> int:
    """The cores that it may run on, or less where a container may use less; at least one."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        used, period = quota.read_text().split()
        allowed = math.ceil(int(used) / int(period))
    except (OSError, ValueError, ZeroDivisionError):  # no such limit here
        return cores or 1
    return max(1, min(cores or 1, allowed))
