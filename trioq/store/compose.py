"""Puts a script together from its files.

Lines of these forms stand for something else:

``-- @use name``
    ``lua/shared/name.lua``, or a file of that name below the script's own directory: once in a
    script, however many of its parts use it.
``-- @part name``
    ``name.lua`` in the script's own directory, as a block of its own.
``-- @read name``
    the same, and nothing in it is called after the first write.
``-- @verbs``
    ``settle/*.lua`` in the script's own directory: a settlement verb each. Sets ``verb`` to what
    the script needs to settle with the one that ``name`` names: ``if name == "ack" then verb =
    (function() … end)()``. So a step pays for the verbs that it has.
``-- @verb name``
    sets ``verb`` to that one.
``-- @keys``
    ``n_fixed``, and a local for each key that the namespace has one of: those of the
    script's header and those that its verbs name in theirs.
``-- @types``, ``-- @types but a, b``
    a read of each key that the file's header names, which fails if it is of another type; but
    a and b are read anyway, or only now and then.
``-- @may``
    stands before the first write: there the script makes sure that its user may run every
    command that follows. Permissions can be taken away at any time, and Redis doesn't roll back.
    In a verb's file it stands for what that file calls.
``-- @may A, B``, ``-- @may part, part``
    before that: these commands, or what these parts call, are needed by who comes by here, and
    by nobody else.
``-- @may only A, B``
    these commands are all that who comes by here will call, and what asks for them further down
    he doesn't come by.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, repeat
from pathlib import Path

import attrs

from trioq.store.keys import CATALOGUE, FIXED

LUA = Path(__file__).parent / "lua"

_USE = re.compile(r"^( *)-- @use (\w+)\n", re.MULTILINE)
_PART = re.compile(r"^( *)-- @(?:part|read) (\w+)\n", re.MULTILINE)
_READ = re.compile(r"^ *-- @read \w+\n", re.MULTILINE)
_VERBS = re.compile(r"^( *)-- @verbs\n", re.MULTILINE)
_VERB = re.compile(r"^( *)-- @verb (\w+)\n", re.MULTILINE)
_KEYS = "-- @keys\n"
_TYPES = re.compile(r"^( *)-- @types(?: but ([\w, ]+))?\n", re.MULTILINE)
_MAY = "-- @may\n"
_MAY_PARTS = re.compile(r"^( *)-- @may ([a-z_, ]+)\n", re.MULTILINE)
_MAY_ONLY = re.compile(r"^( *)-- @may only ([A-Z, ]+)\n", re.MULTILINE)
_MAY_THESE = re.compile(r"^( *)-- @may ([A-Z, ]+)\n", re.MULTILINE)

_SECTION = re.compile(r"^(KEYS|ARGV|REPLY|MOVE|Invariant:|Repeat:|Cost:)\s*(.*)$")
_CALL = re.compile(r"redis\.p?call\(([^,)]+)|\b(?:put|values_of)\(([^,)]+)")
_NAME = re.compile(r'"([A-Z]+)"')

#: What is no use to insist on: a message is a hint, and who may not send any sends none.
HINTS = frozenset({"PUBLISH"})

#: A function from its head to its end, and the name that it is called by, if it has one.
_FUNCTION = re.compile(
    r"^( *)(?:local function (\w+)|(?=[^\n]*\bfunction\b)).*?^\1end", re.MULTILINE | re.DOTALL
)

#: Reads the length of a key, whatever is in it, and fails if it is of another type.
_LENGTH = {"HASH": "HLEN", "LIST": "LLEN", "SET": "SCARD", "ZSET": "ZCARD"}

#: With one key, which is enough for each of them: what isn't a key isn't looked at.
_MAY_NOT = """for _, command in ipairs({{ {names} }}) do
  if not redis.acl_check_cmd(command, KEYS[1]) then
    local name = string.lower(command)
    error(redis.error_reply("NOPERM no permissions to run the '" .. name .. "' command"))
  end
end
"""


@attrs.frozen
class Header:
    """What the comment at the beginning of a file says."""

    summary: str
    sections: Mapping[str, Sequence[str]]
    """The lines of each."""

    @property
    def fixed_keys(self) -> tuple[str, ...]:
        """The keys that a namespace has one of, in the order of KEYS."""
        names = [name for line in self.keys_once for name in _names(line)]
        unknown = [name for name in names if name not in FIXED]
        assert not unknown, f"{self.summary}: KEYS names {unknown}"
        return tuple(dict.fromkeys(names))

    @property
    def keys_once(self) -> list[str]:
        """The lines of KEYS before those of keys that there are several of."""
        lines = list(self.sections.get("KEYS", ()))
        several = [i for i, line in enumerate(lines) if line.startswith("then")]
        return lines[: several[0]] if several else lines


@attrs.frozen
class Verb:
    """A settlement verb, as its fragment's header describes it."""

    name: str
    header: Header

    @property
    def move(self) -> tuple[str, str]:
        """From which state to which it leads."""
        before, after = " ".join(self.header.sections["MOVE"]).split(" -> ")
        return before, after


def header_of(name: str, source: str) -> Header:
    """The header of a file."""
    summary, sections = "", dict[str, list[str]]()
    current: list[str] = []
    for line in source.splitlines():
        if line.startswith("#!"):
            continue
        if not line.startswith("--") or line.startswith("-- @"):
            break
        text = line[2:].strip()
        if not summary:
            summary = text.removeprefix(f"{name}: ")
        elif match := _SECTION.match(text):
            current = sections.setdefault(match[1], [])
            current.append(match[2])
        elif text and sections:
            current.append(text)
    return Header(summary, sections)


def _names(line: str) -> list[str]:
    """``stats     HASH  counters`` or ``steps, beats``: the keys that a line of KEYS names."""
    return [name.strip() for name in line.split("  ", maxsplit=1)[0].split(",")]


def verbs_of(script: str) -> tuple[Verb, ...]:
    """The verbs that a script's directory has a fragment for, by name."""
    folder = LUA / script / "settle"
    if not folder.is_dir():
        return ()
    names = sorted(f.name.removesuffix(".lua") for f in folder.iterdir())
    return tuple(Verb(n, header_of(n, (folder / f"{n}.lua").read_text())) for n in names)


def with_verbs(own: Header, verbs: Sequence[Verb]) -> Header:
    """A script's header together with what its verbs add to its KEYS and ARGV."""
    keys, known = own.keys_once, set(own.fixed_keys)
    several = list(own.sections["KEYS"])[len(keys) :]
    for verb in verbs:
        for line in verb.header.keys_once:
            new = [name for name in _names(line) if name not in known]
            known |= {*new}
            if new:
                keys.append(line if new == _names(line) else ", ".join(new))
    told = [f"{verb.name:<9} {' '.join(verb.header.sections['ARGV'])}" for verb in verbs]
    sections = {**own.sections, "KEYS": keys + several, "ARGV": [*own.sections["ARGV"], *told]}
    return Header(own.summary, sections)


def text_of(name: str, source: str, header: Header) -> str:
    """The one text that the server gets.

    Args:
      header: With its verbs.
    """
    own = header_of(name, source).fixed_keys
    whole = _main(name, source, own)
    needed = _unproven(whole) - _these(whole)
    asked = needed | _always_called(whole)

    def parts_may(line: re.Match[str]) -> str:
        parts = "".join(_part(name, part, "") for part in _listed(line[2]))
        return _indented(_may(commands(_with_shared(name, parts, set())) - asked), line[1])

    used = set[str]()
    text = _MAY_PARTS.sub(parts_may, source)
    text = _with_types(_with_shared(name, _with_parts(name, text), used), own)

    def settles(verb: str, indent: str) -> str:
        return _indented(_fragment(name, verb, used, asked, whole), indent)

    def any_verb(line: re.Match[str]) -> str:
        made = [
            f'{line[1]}{word} name == "{verb.name}" then\n{settles(verb.name, line[1] + "  ")}'
            for word, verb in zip(chain(["if"], repeat("elseif")), verbs_of(name), strict=False)
        ]
        return "".join(made) + f"{line[1]}end\n"

    text = _VERBS.sub(any_verb, text)
    text = _VERB.sub(lambda line: settles(line[2], line[1]), text)
    text = text.replace(_KEYS, _unpacked(header.fixed_keys))
    text = _MAY_ONLY.sub(lambda found: _indented(_may(_listed(found[2])), found[1]), text)
    text = _MAY_THESE.sub(lambda found: _indented(_may(_listed(found[2])), found[1]), text)
    return text.replace(_MAY, _may(needed))


def _main(name: str, source: str, keys: Sequence[str]) -> str:
    """What isn't left to verbs, or to who comes by a line that names parts; and no mere reads."""
    for line in _MAY_PARTS.finditer(source):
        for part in _listed(line[2]):
            source = re.sub(rf"^ *-- @part {part}\n", "", source, flags=re.MULTILINE)
    return _with_types(_with_shared(name, _with_parts(name, _READ.sub("", source)), set()), keys)


def _these(text: str) -> frozenset[str]:
    return frozenset(name for found in _MAY_THESE.finditer(text) for name in _listed(found[2]))


def _may(names: Iterable[str]) -> str:
    asked = ", ".join(f'"{name}"' for name in sorted({*names} - {"TIME"}))
    return _MAY_NOT.format(names=asked) if asked else ""


def _listed(names: str) -> list[str]:
    return names.split(", ")


def commands(text: str) -> frozenset[str]:
    """What a text calls and must be able to; it can choose between two, or hand the name to
    ``put`` or ``values_of``."""
    called = {name for call in _CALL.finditer(text) for name in _NAME.findall(call[0])}
    return frozenset(called - HINTS)


def used_by(script: str, name: str) -> Path:
    """The file that a script uses by this name."""
    shared = LUA / "shared" / f"{name}.lua"
    if shared.exists():
        return shared
    (own,) = (LUA / script).rglob(f"{name}.lua")
    return own


def _with_shared(script: str, text: str, used: set[str]) -> str:
    """With what it uses put in place, but for what is used already; notes what that is."""

    def use(line: re.Match[str]) -> str:
        if line[2] in used:
            return ""
        used.add(line[2])
        text = used_by(script, line[2]).read_text()
        return _indented(_with_shared(script, text, used), line[1])

    return _USE.sub(use, text)


def _with_parts(script: str, text: str) -> str:
    return _PART.sub(lambda line: _part(script, line[2], line[1]), text)


def _part(script: str, name: str, indent: str) -> str:
    """As a block of its own, so that its locals aren't counted among the script's: Lua 5.1
    has room for 200 of them in a function."""
    text = (LUA / script / f"{name}.lua").read_text()
    return f"{indent}do\n{_indented(text, indent + '  ')}{indent}end\n"


def _fragment(script: str, verb: str, used: set[str], asked: frozenset[str], whole: str) -> str:
    """Of a verb, with its own of what it uses and the script doesn't.

    Args:
      asked: Commands that the script has called or asks for by itself.
      whole: What it is without them: they may call its functions.
    """
    source = (LUA / script / "settle" / f"{verb}.lua").read_text()
    keys = header_of(verb, source).fixed_keys
    text = _with_types(_with_shared(script, source, {*used}), keys)
    called = commands(_reached(whole, text)) - _always_called(text)
    text = text.replace(_MAY, _may(called - asked))
    return f"verb = (function()\n{_indented(text, '  ')}end)()\n"


def _indented(text: str, indent: str) -> str:
    return re.sub(r"^(?=.)", indent, text, flags=re.MULTILINE)


def _unpacked(keys: Sequence[str]) -> str:
    return f"local n_fixed = {len(keys)}\nlocal {', '.join(keys)} = unpack(KEYS, 1, {len(keys)})\n"


def _with_types(text: str, keys: Sequence[str]) -> str:
    type_of = {doc.name: doc.type for doc in CATALOGUE}

    def read(line: re.Match[str]) -> str:
        found = [key for key in keys if key not in _listed(line[2] or "")]
        calls = [f'redis.call("{_LENGTH[type_of[key]]}", {key})\n' for key in found]
        return _indented("".join(calls), line[1])

    return _TYPES.sub(read, text)


def _unproven(text: str) -> frozenset[str]:
    """What may be called from the first write on and can't be known to succeed."""
    above, _, below = text.partition(_MAY)
    return commands(_reached(above, below)) - _always_called(text)


def _always_called(text: str) -> frozenset[str]:
    """What has succeeded before the first write: what a line calls that isn't indented. TIME has
    no key, and is called before it, if at all."""
    lines = text.partition(_MAY)[0].splitlines()
    return commands("\n".join(line for line in lines if not line.startswith(" "))) | {"TIME"}


def _reached(above: str, below: str) -> str:
    """``below``, and the functions from above that it, or one of them, names: who can't be
    told by a name of its own counts as named."""
    functions = {match[0]: match[2] for match in _FUNCTION.finditer(above)}
    reached = below
    while found := [
        text for text, name in functions.items() if not name or _names_it(reached, name)
    ]:
        reached += "".join(found)
        for text in found:
            del functions[text]
    return reached


def _names_it(text: str, function: str) -> bool:
    return re.search(rf"\b{function}\b", text) is not None
