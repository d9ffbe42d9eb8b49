"""Commands where nobody names the configuration."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Cli, lines, run
from tests.scene import Scene
from tests.support import new_job

PROJECT = """
[project]
name = "shop"
[tool.trioq]
namespace = "shop"
"""


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory where there is nothing yet."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.delenv("TRIOQ_CONFIG", raising=False)
    return here


def shown(*arguments: str) -> str:
    """The namespace that ``config show`` tells."""
    told = run("config", "show", *arguments)
    assert told.exit_code == 0, told.output
    return lines(told.stdout)[0]


def test_the_variable_wins_over_the_usual_file_and_that_over_the_projects(
    empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (empty / "pyproject.toml").write_text(PROJECT)
    assert shown() == 'namespace = "shop"'
    (empty / "jobqueue.toml").write_text('namespace = "usual"')
    assert shown() == 'namespace = "usual"'
    monkeypatch.setenv("TRIOQ_CONFIG", "")
    assert shown() == 'namespace = "usual"'
    (tmp_path / "other.toml").write_text('namespace = "other"')
    monkeypatch.setenv("TRIOQ_CONFIG", str(tmp_path / "other.toml"))
    assert shown() == 'namespace = "other"'
    assert shown("jobqueue.toml") == 'namespace = "usual"'
    assert shown("pyproject.toml") == 'namespace = "shop"'


def test_what_stands_in_its_place_is_the_next_argument(
    empty: Path, trioq: Cli, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIOQ_CONFIG", str(trioq.config))
    (uid,) = scene.enqueue(new_job("low"))
    assert uid in run("job", uid).stdout
    assert uid in run("jobs", "--state", "ready", "-n", "1").stdout
    assert run("cancel", uid).stdout == f"cancelled {uid}\n"


@pytest.mark.parametrize(
    ("named", "told"),
    [("typo.toml", "typo.toml: no such file"), ("redis://h/0", "a TOML file, not a URL")],
)
def test_what_was_meant_to_be_one_is_told_and_no_other_is_taken(
    empty: Path, trioq: Cli, monkeypatch: pytest.MonkeyPatch, named: str, told: str
) -> None:
    monkeypatch.setenv("TRIOQ_CONFIG", str(trioq.config))
    refused = run("pause", named, "low")
    assert refused.exit_code == 2
    assert told in refused.stderr


def test_groups_that_list_do_so(empty: Path, trioq: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIOQ_CONFIG", str(trioq.config))
    assert run("limits").stdout == "nothing is limited\n"
    assert run("limits", "--json").stdout == "[]\n"
    assert "Usage: trioq limits" in run("limits", "--help").stdout


def test_where_there_is_none_it_is_told_where_it_could_be(empty: Path) -> None:
    for words in (["stats"], ["job", "abc"], ["dead", "list"], ["limits"]):
        told = run(*words)
        assert told.exit_code != 0
        if words != ["job", "abc"]:
            assert "TRIOQ_CONFIG isn't set, and here is neither jobqueue.toml" in told.stderr
        else:
            assert "No configuration" in told.stderr


def test_a_file_called_like_a_handler_is_no_configuration(empty: Path) -> None:
    (empty / "jobqueue.toml").write_text('namespace = "usual"')
    (empty / "send").write_text("")
    (empty / "other.conf").write_text('namespace = "other"')
    assert "unexpected extra argument (send)" in run("config", "show", "send").stderr
    assert shown("other.conf") == 'namespace = "other"'


def test_a_file_before_a_payload_is_called_like_a_handler(
    empty: Path, trioq: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    (empty / "mail.send").write_text("")
    (empty / "jobqueue.toml").write_text(trioq.config.read_text())
    told = run("enqueue", "mail.send", '{"to": "ada"}')
    assert "no handler 'mail.send' is known" in told.stderr
    (job,) = json.loads(run("peek", "low", "--json").stdout)
    assert job["name"] == "mail.send"


@pytest.mark.parametrize("command", ["dev", "jobs", "dead list"])
def test_its_usage_says_that_it_may_be_left_out(command: str) -> None:
    told = run(*command.split(), "--help").stdout
    assert f"Usage: trioq {command} [OPTIONS] [CONFIG]" in told


def test_help_needs_none(empty: Path) -> None:
    assert "Usage: trioq stats" in run("stats", "--help").stdout


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[tool.trioq]\nfoo = 1", "pyproject.toml: [tool.trioq]: foo: unknown key"),
        ("[tool]\ntrioq = 3", "pyproject.toml: it has no table [tool.trioq]"),
        ("[project]", "pyproject.toml: it has no table [tool.trioq]"),
    ],
)
def test_a_projects_faults_say_where_they_are(empty: Path, text: str, fault: str) -> None:
    (empty / "pyproject.toml").write_text(text)
    assert run("config", "check", "pyproject.toml", "--no-app").stderr.startswith(f"trioq: {fault}")


@pytest.mark.parametrize("text", ["[tool", "tool = 3", "[project]", "\x00"])
def test_somebody_elses_project_isnt_one(empty: Path, text: str) -> None:
    (empty / "pyproject.toml").write_text(text)
    assert "No configuration" in run("stats").stderr


def test_of_a_project_that_is_not_toml_the_line_is_told_if_it_has_our_table(empty: Path) -> None:
    (empty / "pyproject.toml").write_text('[tool.trioq]\nnamespace = "shop\n')
    told = run("config", "show")
    assert told.exit_code == 2
    assert told.stderr.startswith("trioq: pyproject.toml: not TOML: line 2")
