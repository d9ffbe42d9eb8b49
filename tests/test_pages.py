"""Programs that stand in pages do what stands below them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.client.test_client import configured
from tests.support import Server

DOCS = Path(__file__).parents[1] / "docs"


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", (DOCS / page).read_text(), re.S | re.M)


def test_the_example_of_results_prints_what_it_says(server: Server, tmp_path: Path) -> None:
    config = configured(server, tmp_path)
    config.write_text(f'app = "shop:app"\n{config.read_text()}')
    for program in blocks("results.md", "python"):
        name = re.match(r"# (\w+\.py)\n", program)
        if name is not None:
            (tmp_path / name[1]).write_text(program)
    told = blocks("results.md", "text")[0]
    engine = subprocess.Popen(
        [sys.executable, "-m", "trioq", "serve", config], cwd=tmp_path, stderr=subprocess.DEVNULL
    )
    with engine:
        try:
            asked = subprocess.run(
                [sys.executable, "ask.py"], cwd=tmp_path, check=True, text=True, timeout=60,
                stdout=subprocess.PIPE,
            )  # fmt: skip
        finally:
            engine.terminate()
    assert sorted(asked.stdout.splitlines()) == sorted(told.splitlines())
