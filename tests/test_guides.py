"""Guides quote the projects that they are about: each block that names its file stands in it."""

from __future__ import annotations

import re
import subprocess
import sys
from itertools import groupby
from pathlib import Path
from subprocess import DEVNULL, PIPE

import pytest

from tests.support import trioq, trioq_started

ROOT = Path(__file__).parents[1]
#: Which project a page is cut from.
GUIDES = {
    "first-job.md": ROOT / "trioq/cli/init/project",
    "testing.md": ROOT / "examples/shop",
    "project-layout.md": ROOT / "examples/shop",
}
_BLOCK = re.compile(r"^```(?:python|toml)\n# ([\w/]+\.\w+)\n(.*?)^```$", re.S | re.M)


def pieces(block: str) -> list[str]:
    """What stands between lines that leave something out."""
    parts = groupby(block.splitlines(), key=lambda line: line.strip() == "...")
    return ["\n".join(lines).strip("\n") for is_gap, lines in parts if not is_gap]


@pytest.mark.parametrize("page", GUIDES)
def test_a_guide_quotes_what_is_there(page: str) -> None:
    quoted = _BLOCK.findall((ROOT / "docs" / page).read_text())
    quoted = [(name, block) for name, block in quoted if name != "ask.py"]  # the reader's own
    assert quoted, "no block names its file"
    for name, block in quoted:
        text = f"\n{(GUIDES[page] / name).read_text()}"
        for piece in pieces(block):
            _, found, text = text.partition(f"\n{piece}\n")
            assert found, f"{page}: {name} has no such lines, or not in this order:\n{piece}"
            text = f"\n{text}"


def test_lines_that_a_guide_names_are_there() -> None:
    """As ``charge.py:41, after await psp.charge`` in what the explorer tells."""
    text = (ROOT / "docs/testing.md").read_text()
    named = re.findall(r"(\w+\.py):(\d+), (?:in|after) (await [\w.]+)", text)
    assert named
    files = {path.name: path for path in GUIDES["testing.md"].rglob("*.py")}
    for name, line, code in named:
        assert code in files[name].read_text().splitlines()[int(line) - 1], (name, line)


def test_the_first_job_returns_what_the_guide_says(tmp_path: Path) -> None:
    page = (ROOT / "docs/first-job.md").read_text()
    assert trioq("init", "myproject", cwd=tmp_path).returncode == 0
    project = tmp_path / "myproject"
    (project / "ask.py").write_text(dict(_BLOCK.findall(page))["ask.py"])
    ask = [sys.executable, "ask.py"]
    with trioq_started("serve", cwd=project, stderr=DEVNULL) as engine:
        asked = subprocess.run(ask, cwd=project, check=True, timeout=60, stdout=PIPE, text=True)
        engine.terminate()
    assert f"$ python ask.py\n{asked.stdout}" in page


@pytest.mark.long
def test_the_explorer_finds_what_its_page_says(tmp_path: Path) -> None:
    page = (ROOT / "docs/exploring.md").read_text()
    files = dict(_BLOCK.findall(page))

    def explored(test: str) -> str:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", test]
        run = subprocess.run(command, check=False, cwd=tmp_path, stdout=PIPE, text=True)
        return run.stdout

    for name, text in files.items():
        (tmp_path / name).write_text(text)
    told = explored("test_shop.py")
    assert "after await job.deps.charge: the engine crashed there; another one ran the job" in told
    (again,) = re.findall(r"`(pytest test_shop\.py::\S+ \S+)`", page)
    assert f"this run again: {again}\n" in told
    assert "after await job.deps.charge: the engine crashed" in explored("test_functional.py")
    (tmp_path / "shop.py").write_text(files["shop.py"].replace("key=job.token", "key=job.uid"))
    assert "2 passed" in explored(".")
