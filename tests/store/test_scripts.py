"""Each script's header says what its body does: keys, arguments, answers, pieces it uses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from trioq.store import scripts
from trioq.store.scripts import SECTIONS, Script, all_scripts, load

SHARED = Path(scripts.__file__).parent / "lua" / "shared"

every_script = pytest.mark.parametrize("script", all_scripts(), ids=lambda script: script.name)


def code(text: str) -> str:
    """Without comments."""
    return re.sub(r"--.*", "", text)


def uses(script: Script) -> list[str]:
    return re.findall(r"^-- @use (\w+)$", script.body, re.MULTILINE)


@every_script
def test_the_header_has_all_its_parts(script: Script) -> None:
    assert set(script.sections) >= set(SECTIONS)
    assert script.summary
    assert all("".join(script.sections[title]).strip() for title in SECTIONS)
    assert script.body.splitlines()[1].startswith(f"-- {script.name}: ")


@every_script
def test_the_keys_are_taken_as_the_header_lists_them(script: Script) -> None:
    taken = re.search(r"^local ([\w, ]+) = unpack\(KEYS, 1, (\d+)\)", script.body, re.MULTILINE)
    assert taken
    assert tuple(taken[1].split(", ")) == script.fixed_keys
    assert int(taken[2]) == len(script.fixed_keys)


@every_script
def test_the_arguments_are_taken_as_the_header_lists_them(script: Script) -> None:
    taken = re.search(r"^local ([\w, ]+) = unpack\(ARGV, 1, (\d+)\)", script.body, re.MULTILINE)
    assert taken
    names = taken[1].split(", ")
    assert int(taken[2]) == len(names)
    told = [word for line in script.sections["ARGV"] for word in re.findall(r"\w+", line)]
    places = [told.index(name) for name in names]
    assert places == sorted(places), "in another order"


@every_script
def test_the_answers_are_those_of_the_header(script: Script) -> None:
    body = code(script.text)
    literal = re.findall(r'return \{ "([\w ]+)"', body)
    literal += re.findall(r'return (?:reply|answer)\("([\w ]+)"', body)
    assert set(literal) == set(script.words)


@every_script
def test_what_is_used_is_used(script: Script) -> None:
    body = code(script.body)
    pieces = {name: code((SHARED / f"{name}.lua").read_text()) for name in uses(script)}
    for name, text in pieces.items():
        functions = re.findall(r"^local function (\w+)", text, re.MULTILINE)
        elsewhere = body + "".join(other for key, other in pieces.items() if key != name)
        assert any(re.search(rf"\b{f}\(", elsewhere) for f in functions), name
    assert len(pieces) == len(uses(script)), "used twice"


def test_every_shared_piece_is_used_by_somebody() -> None:
    used = {name for script in all_scripts() for name in uses(script)}
    assert used == {path.stem for path in SHARED.glob("*.lua")}


@every_script
def test_no_key_is_made_up(script: Script) -> None:
    """What a script touches is in KEYS: a cluster, and a reader, must be able to tell."""
    called = re.findall(r"redis\.call\(([^)]*)\)", code(script.text))
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


def test_only_an_enqueue_is_refused_by_a_full_server() -> None:
    refused = [s.name for s in all_scripts() if s.text.splitlines()[0] != "#!lua flags=allow-oom"]
    assert refused == ["enqueue"]
    assert load("enqueue").text.splitlines()[0] == "#!lua"


def test_the_server_gets_one_text_with_everything_in_place() -> None:
    for script in all_scripts():
        assert "@use" not in script.text
    assert len({script.sha for script in all_scripts()}) == len(all_scripts())
