"""Some of it is for tools that not every machine has."""

from __future__ import annotations

import shutil

collect_ignore = [] if shutil.which("promtool") else ["test_promtool.py"]
