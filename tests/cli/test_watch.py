"""What ``trioq dev`` takes for a project's files, and for a change of them."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

import trioq
from trioq.cli.dev.watch import Watch, differing, is_of_project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package that was imported, beside a module that wasn't."""
    package = tmp_path / "watched_here"
    package.mkdir()
    for name in ("__init__.py", "imported.py", "other.py", "notes.txt"):
        (package / name).write_text("")
    (tmp_path / "jobqueue.toml").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    __import__("watched_here.imported")
    yield tmp_path
    for name in ("watched_here", "watched_here.imported"):
        del sys.modules[name]


def watching(project: Path, *given: Path, began_ns: int = sys.maxsize) -> Watch:
    watch = Watch([project / "jobqueue.toml", *given], began_ns)
    watch.learn()
    return watch


def rewrite(file: Path, text: str = "x = 1") -> None:
    """In the place of the old one, as of a later time."""
    new = file.with_name(".new")
    new.write_text(text)
    os.utime(new, ns=(0, file.stat().st_mtime_ns + 1 if file.exists() else 1))
    new.replace(file)


def names(project: Path, watch: Watch) -> list[str]:
    return [
        str(Path(file).relative_to(project))
        for file in watch.changed()
        if file.startswith(str(project))
    ]


@pytest.mark.parametrize(
    ("path", "changed"),
    [
        ("watched_here/imported.py", True),
        ("watched_here/__init__.py", True),
        ("jobqueue.toml", True),
        ("watched_here/other.py", False),  # nobody has imported it
        ("watched_here/new.py", True),  # but a package may import all that it finds
        ("watched_here/notes.txt", False),
        ("watched_here/.hidden.py", False),
        ("watched_here/below/new.py", False),
    ],
)
def test_what_counts_as_a_change(project: Path, path: str, changed: bool) -> None:
    watch = watching(project)
    (project / path).parent.mkdir(exist_ok=True)
    rewrite(project / path)
    assert names(project, watch) == ([path] if changed else [])


def test_what_is_taken_away_is_a_change(project: Path) -> None:
    watch = watching(project)
    (project / "watched_here" / "other.py").unlink()
    (project / "jobqueue.toml").unlink()
    assert names(project, watch) == ["jobqueue.toml", "watched_here/other.py"]


def test_what_is_named_is_watched_with_all_below_it(project: Path) -> None:
    (project / "texts" / "de").mkdir(parents=True)
    watch = watching(project, project / "texts")
    (project / "texts" / "de" / "hello.txt").write_text("hallo")
    assert names(project, watch) == ["texts/de/hello.txt"]


def test_what_is_imported_later_is_watched_from_then_on(project: Path) -> None:
    watch = watching(project)
    __import__("watched_here.other")
    watch.learn()
    assert names(project, watch) == []
    rewrite(project / "watched_here" / "other.py")
    assert names(project, watch) == ["watched_here/other.py"]
    del sys.modules["watched_here.other"]


def test_what_was_written_after_the_beginning_may_not_be_what_was_loaded(project: Path) -> None:
    file = project / "watched_here" / "imported.py"
    os.utime(file, ns=(0, 2 * 10**18))
    assert names(project, watching(project, began_ns=2 * 10**18)) == ["watched_here/imported.py"]


def test_where_nothing_can_be_loaded_all_that_could_be_is_looked_at(project: Path) -> None:
    watch = watching(project)
    (project / ".venv").mkdir()
    (project / "env").mkdir()
    (project / "env" / "pyvenv.cfg").write_text("")
    for directory in (".venv", "env", "node_modules", "below"):
        (project / directory).mkdir(exist_ok=True)
    before = watch.look(widely=True)
    for path in (".venv/a.py", "env/a.py", "node_modules/a.py", "below/a.py", "below/a.txt"):
        (project / path).write_text("")
    found = [Path(file).relative_to(project) for file in differing(before, watch.look(widely=True))]
    assert found == [Path("below/a.py")]


def test_what_is_installed_is_no_projects_own(tmp_path: Path) -> None:
    assert is_of_project(str(tmp_path / "jobs.py"))
    for foreign in (attrs.__file__, trioq.__file__, os.__file__, sysconfig.__file__):
        assert not is_of_project(str(foreign))
    assert not is_of_project("/home/ada/.vscode/extensions/python/bundled/libs/debugpy/server.py")
