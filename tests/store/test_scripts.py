"""Each script's header says what its body does: keys, arguments, answers, pieces it uses."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from trioq.store import scripts
from trioq.store.compose import used_by
from trioq.store.scripts import SECTIONS, Script, all_scripts, load

LUA = Path(scripts.__file__).parent / "lua"
SHARED = LUA / "shared"

every_script = pytest.mark.parametrize("script", all_scripts(), ids=lambda script: script.name)
every_file = pytest.mark.parametrize(
    "path", sorted(LUA.rglob("*.lua")), ids=lambda path: str(path.relative_to(LUA))
)


def code(text: str) -> str:
    """Without comments."""
    return re.sub(r"--.*", "", text)


def uses(text: str) -> list[str]:
    return re.findall(r"^-- @use (\w+)$", text, re.MULTILINE)


@every_script
def test_the_header_has_all_its_parts(script: Script) -> None:
    sections = script.header.sections
    assert set(sections) >= set(SECTIONS)
    assert script.header.summary
    assert all("".join(sections[title]).strip() for title in SECTIONS)
    assert script.body.splitlines()[1].startswith(f"-- {script.name}: ")


@every_script
def test_the_keys_are_taken_as_the_header_lists_them(script: Script) -> None:
    taken = re.search(r"^local ([\w,\s]+) = unpack\(KEYS, 1, (\d+)\)", script.text, re.MULTILINE)
    assert taken
    assert tuple(re.split(r",\s+", taken[1])) == script.fixed_keys
    assert int(taken[2]) == len(script.fixed_keys)


@every_script
def test_the_arguments_are_taken_as_the_header_lists_them(script: Script) -> None:
    taken = re.search(r"^local ([\w,\s]+) = unpack\(ARGV, 1, (\d+)\)", script.body, re.MULTILINE)
    assert taken
    names = re.split(r",\s+", taken[1])
    assert int(taken[2]) == len(names)
    told = [word for line in script.header.sections["ARGV"] for word in re.findall(r"\w+", line)]
    places = [told.index(name) for name in names]
    assert places == sorted(places), "in another order"


@every_script
def test_the_answers_are_those_of_the_header(script: Script) -> None:
    body = code(script.text)
    literal = re.findall(r'return \{ "([\w ]+)"', body)
    literal += re.findall(r'return (?:reply|answer)\("([\w ]+)"', body)
    assert set(literal) == set(script.words)


def script_of(path: Path) -> str:
    """The script that a file is a part of; a shared one is part of many."""
    return path.relative_to(LUA).parts[0].removesuffix(".lua")


@every_file
def test_what_is_used_is_used(path: Path) -> None:
    is_divided = path.parent.name == path.stem
    parts = sorted(path.parent.glob("*.lua")) if is_divided else [path]
    body = "".join(code(part.read_text()) for part in parts)
    for name in uses(path.read_text()):
        text = used_by(script_of(path), name).read_text()
        functions = re.findall(r"^local function (\w+)", text, re.M)
        assert any(re.search(rf"\b{f}\b", body) for f in functions), name
    assert len(set(uses(path.read_text()))) == len(uses(path.read_text())), "used twice"


def test_every_shared_piece_is_used_by_somebody() -> None:
    used = {used_by(script_of(p), name) for p in LUA.rglob("*.lua") for name in uses(p.read_text())}
    assert {*SHARED.glob("*.lua")} <= used


def test_every_file_is_part_of_a_script() -> None:
    whole = "".join(script.text for script in all_scripts())
    for path in LUA.rglob("*.lua"):
        line = max((each.strip() for each in code(path.read_text()).splitlines()), key=len)
        assert line in whole, path


def test_every_file_is_in_the_package_that_is_built() -> None:
    project = tomllib.loads((LUA.parents[2] / "pyproject.toml").read_text())
    package = LUA.parents[1]
    patterns = project["tool"]["setuptools"]["package-data"]["trioq"]
    assert set(LUA.rglob("*.lua")) <= {path for p in patterns for path in package.glob(p)}


@every_file
def test_lines_are_short(path: Path) -> None:
    assert max(map(len, path.read_text().splitlines())) <= 110


@every_script
def test_no_key_is_made_up(script: Script) -> None:
    """What a script touches is in KEYS: a cluster, and a reader, must be able to tell."""
    called = re.findall(r"redis\.p?call\(([^)]*)\)", code(script.text))
    for call in called:
        command, _, rest = call.partition(",")
        key = rest.split(",")[0].strip()
        assert '"' not in key, call
        assert ".." not in key, call
        assert key or command == '"TIME"', call


@every_script
def test_every_key_of_the_header_is_touched(script: Script) -> None:
    body = code(script.text)
    for key in script.fixed_keys:
        assert len(re.findall(rf"\b{key}\b", body)) > 1, key


def test_only_what_brings_a_job_is_refused_by_a_full_server() -> None:
    refused = [s.name for s in all_scripts() if s.text.splitlines()[0] != "#!lua flags=allow-oom"]
    assert refused == ["enqueue", "replace"]
    assert all(load(name).text.splitlines()[0] == "#!lua" for name in refused)


def test_the_server_gets_one_text_with_everything_in_place() -> None:
    for script in all_scripts():
        assert not re.search(r"^ *-- @", script.text, re.MULTILINE)
    assert len({script.sha for script in all_scripts()}) == len(all_scripts())
