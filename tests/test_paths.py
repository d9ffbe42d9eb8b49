"""What stands in pages, workflows and recipes as a path of this repository is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]

#: Where people and machines read paths.
READ = (
    *ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "Makefile", ROOT / "jobqueue.toml",
    ROOT / "pyproject.toml", ROOT / ".ci/run", *(ROOT / ".github").rglob("*.yml"),
    *(path for path in (ROOT / "deploy").rglob("*") if path.is_file() and path.suffix != ".json"),
)  # fmt: skip

TOP = "trioq|tests|props|docs|deploy|benchmarks|examples"
PATH = re.compile(rf"(?<![\w/.:@+-])(?:{TOP})/[\w./*-]*[\w*/]")
MODULE = re.compile(r"-m ((?:tests|props|trioq)[\w.]*)")
QUOTED = re.compile(r"(?<=\n)# tests/\w+\.py\n")
"""Of the project that a guide is cut from: ``tests/test_guides.py`` looks whether it is there."""
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")

#: What looks like a path of ours, and is one of an image, a machine, or a project of its user.
OF_OTHERS = (
    "trioq/bin", "trioq/docs", "trioq/jobqueue.toml", "tests/test_jobs.py",
    "tests/test_careless.py",
)  # fmt: skip


def named(text: str) -> Iterator[str]:
    found = PATH.findall(QUOTED.sub("", text))
    yield from (path for path in found if not path.startswith(OF_OTHERS))


@pytest.mark.parametrize("page", READ, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_path_that_is_named_is_there(page: Path) -> None:
    text = page.read_text()
    missing = [path for path in named(text) if not any(ROOT.glob(path.rstrip("/")))]
    missing += [
        module for module in MODULE.findall(text)
        if not (ROOT / module.replace(".", "/")).with_suffix(".py").is_file()
        and not (ROOT / module.replace(".", "/") / "__main__.py").is_file()
    ]  # fmt: skip
    if page.suffix == ".md":
        missing += [link for link in LINK.findall(text) if not (page.parent / link).exists()]
    assert missing == []


def test_paths_are_found_where_they_stand() -> None:
    text = "`tests/gone.py` and pytest -q tests/store props/x.py; /opt/trioq/bin https://x/docs/y"
    assert [*named(text)] == ["tests/gone.py", "tests/store", "props/x.py"]


WORKFLOWS = [*(ROOT / ".github/workflows").glob("*.yml")]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_may_read_and_no_more_and_its_actions_stay_as_they_were_read(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert "permissions" not in job
        for step in job["steps"]:
            if "uses" in step:
                assert re.search(r"@[0-9a-f]{40}$", step["uses"])
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False
