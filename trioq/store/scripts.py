"""The scripts in ``lua/``: their headers, and what the server gets of them.

A script is a file, or a directory with a file of its own name and the parts of it. Its header
is its signature: tests hold the header and the body together, and ``docs/scripts.md`` is drawn
from it. What scripts share, and what a large one is divided into, is put in its place by
:mod:`trioq.store.compose`; the server gets one text, pinned by its SHA-1.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache

import attrs

from trioq.store.compose import (
    LUA,
    Header,
    Verb,
    commands,
    header_of,
    text_of,
    verbs_of,
    with_verbs,
)

SECTIONS = ("KEYS", "ARGV", "REPLY", "Invariant:", "Repeat:", "Cost:")


@attrs.frozen
class Script:
    """One script, as the server gets it and as its header describes it."""

    name: str
    header: Header
    """With what its verbs add to it."""
    verbs: tuple[Verb, ...]
    text: str
    """With everything put in place."""
    body: str
    """The lines of its own file."""
    sha: str

    @property
    def fixed_keys(self) -> tuple[str, ...]:
        """The keys that a namespace has one of, in the order of KEYS."""
        return self.header.fixed_keys

    @property
    def commands(self) -> frozenset[str]:
        """What it calls."""
        return commands(self.text)

    @property
    def words(self) -> tuple[str, ...]:
        """The first word of each reply."""
        # One that is long goes on in the next line, behind a comma.
        replies = re.sub(r",\n\s*", ", ", "\n".join(self.header.sections["REPLY"])).split("\n")
        return tuple(re.split(r"[,:]|\s\s", line)[0].strip() for line in replies)


@cache
def load(name: str) -> Script:
    """The script of this name."""
    parts = LUA / name
    source = (parts / f"{name}.lua" if parts.is_dir() else LUA / f"{name}.lua").read_text()
    verbs = verbs_of(name)
    header = with_verbs(header_of(name, source), verbs)
    text = text_of(name, source, header)
    return Script(name, header, verbs, text, source, hashlib.sha1(text.encode()).hexdigest())


@cache
def all_scripts() -> tuple[Script, ...]:
    """Every script, by name."""
    names = {f.name.removesuffix(".lua") for f in LUA.iterdir()} - {"shared"}
    return tuple(load(name) for name in sorted(names))


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
        sections, summary = script.header.sections, script.header.summary
        lines = [f"## {script.name}\n\n{summary[:1].upper()}{summary[1:]}\n"]
        for title in ("KEYS", "ARGV", "REPLY"):
            body = "\n".join(sections[title])
            lines.append(f"```text\n{title}\n{body}\n```\n")
        if script.verbs:
            rows = "\n".join(map(_row, script.verbs))
            lines.append(f"| settlement | means | from | to |\n| --- | --- | --- | --- |\n{rows}\n")
        for title in ("Invariant:", "Repeat:", "Cost:"):
            lines.append(f"**{title}** {' '.join(sections[title])}\n")
        pages.append("\n".join(lines))
    return "\n".join(pages)


def _row(verb: Verb) -> str:
    before, after = verb.move
    return f"| `{verb.name}` | {verb.header.summary} | {before} | {after} |"
