"""Each code block of README and of ``docs/`` does what it says, or it is said why it isn't run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pages.blocks import ROOT, blocks_of, shape
from tests.pages.scenes import ELSEWHERE, NOT_RUN, SCENES, means, why_not
from tests.support import PATIENCE_S, Server

PAGES = ["README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]

#: Pages whose blocks start several engines, or other programs.
TAKE_LONG = {
    f"docs/{name}.md"
    for name in (
        "asyncio", "developing", "fastapi", "flask", "limits", "operations", "processes", "results",
        "sentry", "sharing",
    )
}  # fmt: skip
RUN = [page for page in PAGES if any(why_not(block) is None for block in blocks_of(page))]


@pytest.mark.direct
@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=[pytest.mark.long] if page in TAKE_LONG else []) for page in RUN],
)
def test_the_blocks_of_a_page_do_what_they_say(page: str, server: Server, tmp_path: Path) -> None:
    environ = {
        **os.environ, "TRIOQ_REDIS__URL": server.url, "TRIOQ_OBSERVABILITY__BIND": "",
        "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}", "TRIOQ_CONFIG": "",
    }  # fmt: skip
    tried = subprocess.run(
        [sys.executable, "-m", "tests.pages.run", page],
        cwd=tmp_path, env=environ, check=False, text=True, timeout=2 * PATIENCE_S,
        capture_output=True,
    )  # fmt: skip
    assert tried.returncode == 0, tried.stdout + tried.stderr


def test_each_block_is_run_or_it_is_said_why_not() -> None:
    """What is run has a way; an entry whose block has gone would hide the next one."""
    there = [block for page in PAGES for block in blocks_of(page)]
    run = [block for block in there if why_not(block) is None]
    assert {block.language for block in run} <= {"python", "toml", "console", "json", "text", ""}
    for entry in NOT_RUN:
        assert sum(means(entry, block) for block in there) == 1, entry
    assert {*ELSEWHERE, *SCENES, *TAKE_LONG} <= {*PAGES}


def test_a_shape_is_what_examples_have_in_common() -> None:
    """Else what is shown could say anything."""
    shown = shape("queued 01a20fc179640000d1a289f010548b1c in high\nlow  1,000  …")
    assert shown.fullmatch("queued 01a22faa42480000b0294ee93e7a3c79 in high\nlow   7 of them")
    assert not shown.fullmatch("queued 01a22faa42480000b0294ee93e7a3c79 in low\nlow   7 of them")
    assert not shown.fullmatch("queued 7 in high\nlow 7 of them")
