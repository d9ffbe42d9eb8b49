"""Which files a configuration's patterns mean."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.engine.sources.scan.trees import (
    found,
    skipped,
    write,
)
from trioq.engine.sources.scan import walk as scanning
from trioq.engine.sources.scan.globs import Globs, faults_of
from trioq.errors import ConfigError


def test_every_file_at_every_depth_is_found_once_and_in_order(tmp_path: Path) -> None:
    write(tmp_path, "b.txt", "a/z", "a/b/c/d.txt", "a.txt")
    (tmp_path / "empty").mkdir()

    assert found(tmp_path) == ["a/b/c/d.txt", "a/z", "a.txt", "b.txt"]
    assert skipped(tmp_path) == {}


def test_hidden_directories_are_not_entered(tmp_path: Path) -> None:
    write(tmp_path, "a", ".hidden", ".git/config", "sub/.cache/deep/file", "sub/b.tmp", "sub/b")
    entered = []
    real_open = os.open

    def spy(path: Any, *rest: Any, **options: Any) -> int:
        entered.append(os.fspath(path))
        return real_open(path, *rest, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scanning.os, "open", spy)
        assert found(tmp_path) == ["a", "sub/b"]

    assert "sub" in entered
    assert not {".git", ".cache", "deep"}.intersection(entered)


def test_hidden_files_are_found_where_nothing_excludes_them(tmp_path: Path) -> None:
    write(tmp_path, ".a", ".git/config")

    assert found(tmp_path, exclude=()) == [".a", ".git/config"]


@pytest.mark.parametrize(
    ("pattern", "taken", "left"),
    [
        ("**/*.pdf", ["a.pdf", "x/a.pdf", "x/y/a.pdf"], ["a.txt", "pdf", "a.pdf.x", "a.PDF"]),
        ("*.pdf", ["a.pdf"], ["x/a.pdf"]),
        ("x/**", ["x/a", "x/y/a"], ["x", "xx/a", "a/x/a"]),
        ("x/**/a", ["x/a", "x/y/z/a"], ["a", "xa"]),
        ("{x,y}/*.{a,b}", ["x/1.a", "y/2.b"], ["z/1.a", "x/1.c", "{x,y}/1.a"]),
        ("[ab]?", ["a1", "b\n"], ["c1", "a", "a/"]),
        ("[!a]", ["b", "*"], ["a", "/"]),
        (r"\*", ["*"], ["a", r"\*"]),
        ("**", ["a", "x/y"], []),
        ("a+(b)|c", ["a+(b)|c"], ["ab", "c"]),
        ("!a", ["!a"], ["b"]),
        ("~", ["~"], ["a"]),
    ],
)
def test_patterns_mean_what_they_mean_in_a_shell(
    pattern: str, taken: list[str], left: list[str]
) -> None:
    globs = Globs((pattern,))

    assert [path for path in taken + left if globs.takes(path)] == taken


def test_a_trailing_slash_excludes_directories_only(tmp_path: Path) -> None:
    write(tmp_path, "a/build/x", "b/build")

    assert found(tmp_path, exclude=("**/build/",)) == ["b/build"]
    assert found(tmp_path, exclude=("**/build",)) == []


@pytest.mark.parametrize("name", [".\n", "..\n", "\n", "a\n", ".\n\n", "\n."])
def test_names_with_newlines_are_matched(name: str) -> None:
    assert Globs(("**/*",)).takes(name)
    assert Globs(("**/?*",)).takes(f"d/{name}")
    assert not Globs(("**/*",), ("**/?*",)).takes(name)
    assert Globs((name,)).takes(name)
    assert Globs(("*",)).prunes(name) is False
    assert Globs(("*",), ("?*",)).prunes(name)


def test_all_faulty_patterns_are_reported_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        Globs(("", "/etc/*", "a/", "ok", "{1..9999}"), ("../**", "./a", "a\0", "b\\"))

    assert len(caught.value.faults) == 8
    assert caught.value.faults[1].startswith("'/etc/*': patterns are relative")


def test_good_patterns_have_no_faults() -> None:
    assert faults_of(["**/*", "a\\\\", "...", "a..b/c", "[", "**/.*"], includes=True) == []
    assert faults_of(["build/"]) == []
