"""``trioq init``: what it writes works at once, and what is there already stays as it is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import tomli

from tests.cli.conftest import only_error, run
from tests.support import trioq
from trioq.settings import load

ROOT = Path(__file__).parents[2]

WRITTEN = {
    ".gitignore",
    "jobqueue.toml",
    "pyproject.toml",
    "shop/__init__.py",
    "shop/jobs.py",
    "tests/test_jobs.py",
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TRIOQ_CONFIG", raising=False)
    return tmp_path


def files(directory: Path) -> dict[str, str]:
    return {
        str(path.relative_to(directory)): path.read_text()
        for path in directory.rglob("*")
        if path.is_file()
    }


def tool(directory: Path, *command: str) -> str:
    """What one of Python's tools says of a project, in which it must find nothing wrong."""
    # An editable installation is found by an import hook, which mypy doesn't ask.
    env = {**os.environ, "MYPYPATH": str(ROOT), "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(
        [sys.executable, "-m", *command], cwd=directory, env=env, check=False,
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_a_new_project_has_its_name_everywhere(here: Path) -> None:
    made = run("init", "shop")
    assert made.exit_code == 0, made.output
    written = files(here / "shop")
    assert written.keys() == WRITTEN
    assert made.stdout.startswith(f"made {', '.join(sorted(WRITTEN))}\n")
    assert "myproject" not in "".join(written.values())
    config = load(here / "shop" / "jobqueue.toml")
    assert (config.namespace, config.app) == ("shop", "shop.jobs:app")
    assert re.findall(r"^    (\S+ \S+)", made.stdout, re.MULTILINE)[:3] == [
        "cd shop", "trioq dev", "trioq enqueue",
    ]  # fmt: skip


def test_a_new_project_has_nothing_wrong_with_it(here: Path) -> None:
    run("init", "shop")
    project = here / "shop"
    tool(project, "ruff", "check", ".")
    tool(project, "ruff", "format", "--check", ".")
    tool(project, "mypy", "--follow-imports=silent")  # trioq is no part of it
    assert trioq("config", "check", cwd=project).returncode == 0


def test_the_tests_of_a_new_project_pass(here: Path) -> None:
    run("init", "shop")
    assert "5 passed" in tool(here / "shop", "pytest", "-q", "-p", "no:cacheprovider")


def test_a_new_project_runs_the_jobs_that_it_says(here: Path) -> None:
    (command,) = re.findall(r"^    trioq (enqueue welcome) (.*)$", run("init").stdout, re.MULTILINE)
    assert trioq(*command[0].split(), command[1].strip("'"), cwd=here).returncode == 0
    count = ("enqueue", "count_words", '{"path": "pyproject.toml"}', "--result", "1h")
    queued = trioq(*count, cwd=here)
    ran = trioq("serve", "--drain", cwd=here)
    assert ran.returncode == 0
    assert "welcome, ada@example.com" in ran.stdout
    counted = trioq("result", queued.stdout.split()[1], cwd=here).stdout
    assert int(counted) == len((here / "pyproject.toml").read_text().split())


def test_nothing_is_written_where_one_of_its_files_is_there(here: Path) -> None:
    (here / "jobqueue.toml").write_text("mine")
    (here / "tests").mkdir()
    (here / "tests" / "test_jobs.py").write_text("mine")
    before = files(here)
    told = only_error(run("init", "--name", "shop"), 1)
    assert told == (
        "nothing was written, since there is already here: jobqueue.toml, tests/test_jobs.py"
    )
    assert files(here) == before


def test_a_file_in_the_place_of_a_directory_is_told(here: Path) -> None:
    (here / "tests").write_text("mine")
    told = only_error(run("init", "--name", "shop"), 1)
    assert told.endswith("here: tests (no directory)")
    (here / "shop").write_text("mine")
    assert run("init", "shop").exit_code == 2


def test_a_module_that_the_package_would_hide_is_told(here: Path) -> None:
    (here / "shop.py").write_text("mine")
    told = only_error(run("init", "--name", "shop"), 1)
    assert told.endswith("here: shop.py (the package shop would hide it)")
    assert files(here) == {"shop.py": "mine"}


def test_a_second_one_writes_nothing(here: Path) -> None:
    assert run("init", "--name", "shop").exit_code == 0
    before = files(here)
    told = only_error(run("init", "--name", "shop"), 1)
    assert "jobqueue.toml, shop/jobs.py, tests/test_jobs.py" in told
    assert files(here) == before


def test_a_project_keeps_what_it_has_and_is_told_what_to_add(here: Path) -> None:
    kept = {
        "pyproject.toml": '[project]\nname = "shop"\n',
        ".gitignore": "*.pyc\n",
        "src/shop/__init__.py": "mine = 1\n",
    }
    for path, text in kept.items():
        (here / path).parent.mkdir(parents=True, exist_ok=True)
        (here / path).write_text(text)
    made = run("init", "--name", "shop")
    assert made.exit_code == 0
    written = files(here)
    assert {path: written[path] for path in kept} == kept
    assert written.keys() - kept.keys() == {
        "jobqueue.toml", "src/shop/jobs.py", "tests/test_jobs.py",
    }  # fmt: skip
    assert "add to .gitignore:\n\n    .trioq/\n" in made.stdout
    assert '    dependencies = ["trioq[all]"]\n' in made.stdout


def test_the_configuration_may_be_in_the_pyproject(here: Path) -> None:
    assert run("init", "--name", "shop", "--pyproject").exit_code == 0
    assert files(here).keys() == WRITTEN - {"jobqueue.toml"}
    of_table = load(here / "pyproject.toml")
    run("init", "shop")
    of_file = load(here / "shop" / "jobqueue.toml")
    assert of_table.namespace == of_file.namespace
    assert (of_table.queues, of_table.worker) == (of_file.queues, of_file.worker)
    assert trioq("config", "check", cwd=here).returncode == 0


def test_what_is_to_be_added_to_a_pyproject_is_the_table_too(here: Path) -> None:
    (here / "pyproject.toml").write_text('[project]\nname = "shop"\n')
    made = run("init", "--name", "shop", "--pyproject")
    said = re.findall(r"^    (.*)$", made.stdout.partition("now:")[0], re.MULTILINE)
    added = tomli.loads("\n".join(said))
    assert added["tool"]["trioq"]["namespace"] == "shop"
    (here / "pyproject.toml").write_text("\n".join(said))
    assert load(here / "pyproject.toml").app == "shop.jobs:app"
    told = only_error(run("init", "--name", "other"), 1)
    assert "pyproject.toml (it has [tool.trioq])" in told


@pytest.mark.parametrize("name", ["", "a b", "class", "queue", "trioq", "tests", "1st", "é"])
def test_a_name_that_no_package_can_have_is_refused(here: Path, name: str) -> None:
    refused = run("init", "--name", name)
    assert (refused.exit_code, files(here)) == (2, {})


def test_a_directory_gives_the_name(here: Path) -> None:
    assert run("init", "my-web shop").exit_code == 0
    assert (here / "my-web shop" / "my_web_shop" / "jobs.py").is_file()
    refused = run("init", "email")  # a module of Python's own
    assert refused.exit_code == 2
    assert "--name" in refused.output
