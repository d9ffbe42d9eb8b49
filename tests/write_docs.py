"""Draws the pages of ``docs/`` that are drawn from code: ``python -m tests.write_docs``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from trioq.core.lifecycle import lifecycle_md
from trioq.observe.metrics.page import metrics_md
from trioq.settings import reference, schema
from trioq.store.keys import keys_md
from trioq.store.scripts import scripts_md
from trioq.web.api.page import api_md

DOCS = Path(__file__).parent.parent / "docs"


def schema_json() -> str:
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


PAGES: Mapping[str, Callable[[], str]] = {
    "api.md": api_md,
    "configuration.md": reference,
    "jobqueue.schema.json": schema_json,
    "keys.md": keys_md,
    "lifecycle.md": lifecycle_md,
    "metrics.md": metrics_md,
    "scripts.md": scripts_md,
}


def write_docs() -> None:
    """Write all pages."""
    for name, draw in PAGES.items():
        (DOCS / name).write_text(draw(), encoding="utf-8")


if __name__ == "__main__":
    write_docs()
