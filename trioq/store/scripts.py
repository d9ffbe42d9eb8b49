"""Reads the scripts in ``lua/``: their headers, and what they share.

A script is a file. Its header is its signature: tests hold the header and the body
together, and ``docs/scripts.md`` is drawn from it. A line ``-- @use name`` stands for
the file ``lua/shared/name.lua``; the server gets one text, pinned by its SHA-1.

A line ``-- @may`` stands before the first write. There the script makes sure that its user
may run every command in it: permissions can be taken away at any time, and Redis doesn't roll
back.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from importlib.resources import files

import attrs

from trioq.store.keys import FIXED

_LUA = files("trioq.store") / "lua"
_USE = re.compile(r"^-- @use (\w+)\n", re.MULTILINE)
_SECTION = re.compile(r"^(KEYS|ARGV|REPLY|Invariant:|Repeat:|Cost:)\s*(.*)$")

_MAY = "-- @may\n"
_CALL = re.compile(r"redis\.call\(([^,)]+)|\bput\(([^,)]+)")
_NAME = re.compile(r'"([A-Z]+)"')

#: As many keys as any command takes: what isn't a key isn't looked at.
_MAY_NOT = """for _, command in ipairs({{ {names} }}) do
  if not redis.acl_check_cmd(command, KEYS[1], KEYS[1], KEYS[1]) then
    local name = string.lower(command)
    return redis.error_reply("NOPERM no permissions to run the '" .. name .. "' command")
  end
end
"""

SECTIONS = ("KEYS", "ARGV", "REPLY", "Invariant:", "Repeat:", "Cost:")


@attrs.frozen
class Script:
    """One script, as the server gets it and as its header describes it."""

    name: str
    summary: str
    sections: dict[str, list[str]]
    text: str
    """With everything it uses put in place."""
    body: str
    """The script's own lines."""
    sha: str

    @property
    def fixed_keys(self) -> tuple[str, ...]:
        """The keys that a namespace has one of, in the order of KEYS."""
        names: list[str] = []
        for line in self.sections["KEYS"]:
            if line.startswith("then"):
                break
            listed = line.split("  ")[0]
            names += [name.strip() for name in listed.split(",")]
        unknown = [name for name in names if name not in FIXED]
        assert not unknown, f"{self.name}.lua: KEYS names {unknown}"
        return tuple(names)

    @property
    def commands(self) -> frozenset[str]:
        """What it calls; it can choose between two, or hand the name to ``put``."""
        return _commands(self.text)

    @property
    def words(self) -> tuple[str, ...]:
        """The first word of each reply."""
        return tuple(re.split(r"[,:]|\s\s", line)[0].strip() for line in self.sections["REPLY"])


def _parse(name: str, source: str) -> Script:
    summary, sections = "", dict[str, list[str]]()
    current: list[str] = []
    for line in source.splitlines()[1:]:
        if not line.startswith("--"):
            break
        text = line[2:].strip()
        if not summary:
            summary = text.removeprefix(f"{name}: ")
        elif match := _SECTION.match(text):
            current = sections.setdefault(match[1], [])
            current.append(match[2])
        elif text and sections:
            current.append(text)
    text = _USE.sub(lambda use: (_LUA / "shared" / f"{use[1]}.lua").read_text(), source)
    names = ", ".join(f'"{command}"' for command in sorted(_unproven(source, _commands(text))))
    text = text.replace(_MAY, _MAY_NOT.format(names=names))
    return Script(name, summary, sections, text, source, hashlib.sha1(text.encode()).hexdigest())


def _commands(text: str) -> frozenset[str]:
    return frozenset(name for call in _CALL.finditer(text) for name in _NAME.findall(call[0]))


def _unproven(source: str, commands: frozenset[str]) -> frozenset[str]:
    """Those that can't be known to have succeeded before the first write: what a line calls
    that isn't indented is always called. TIME has no key and is called before it, if at all."""
    above = source.partition(_MAY)[0].splitlines()
    called = "\n".join(line for line in above if not line.startswith(" "))
    return commands - _commands(called) - {"TIME"}


@cache
def load(name: str) -> Script:
    """The script of this name."""
    return _parse(name, (_LUA / f"{name}.lua").read_text())


@cache
def all_scripts() -> tuple[Script, ...]:
    """Every script, by name."""
    names = sorted(f.name for f in _LUA.iterdir() if f.name.endswith(".lua"))
    return tuple(load(name.removesuffix(".lua")) for name in names)


def script_name(sent: str) -> str:
    """The name of a script that is sent as its SHA-1 or its text; else ``a script``."""
    for script in all_scripts():
        if sent in (script.sha, script.text):
            return script.name
    return "a script"


def scripts_md() -> str:
    """The page ``docs/scripts.md``."""
    pages = [
        "# Scripts\n\n<!-- drawn from the headers in trioq/store/lua by `make docs` -->\n\n"
        "Every change of a job's state is one of these. The server runs one at a time and all\n"
        "of it, so that a job is never seen between two places. The keys: [keys.md](keys.md).\n"
    ]
    for script in all_scripts():
        lines = [f"## {script.name}\n\n{script.summary[:1].upper()}{script.summary[1:]}\n"]
        for title in ("KEYS", "ARGV", "REPLY"):
            body = "\n".join(script.sections[title])
            lines.append(f"```text\n{title}\n{body}\n```\n")
        for title in ("Invariant:", "Repeat:", "Cost:"):
            lines.append(f"**{title}** {' '.join(script.sections[title])}\n")
        pages.append("\n".join(lines))
    return "\n".join(pages)
