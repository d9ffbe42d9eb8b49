"""Which files of a tree are wanted: include and exclude patterns, compiled once.

The patterns are wcmatch's, as a shell with ``globstar`` reads them: ``*`` and ``?`` stay
within a name, ``**`` crosses directories, and none at all (``**/*.pdf`` takes ``a.pdf`` at
the top), ``{a,b}`` and ``[a-z]`` work, ``\\`` makes the next character an ordinary one. A
leading dot is nothing special: ``**/.*`` is how to leave hidden names out. Upper and lower
case differ. Only patterns are interpreted, never names: a file may be called ``*`` or ``[``.

As in a .gitignore, an excluded directory is excluded with everything below it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import attrs
from wcmatch import glob

from trioq.errors import ConfigError

_FLAGS = glob.GLOBSTAR | glob.DOTGLOB | glob.BRACE | glob.FORCEUNIX

_TAKES_ALL = frozenset({"**", "**/*"})

Match = Callable[[str], Any]


def faults_of(patterns: Sequence[str], *, includes: bool = False) -> list[str]:
    """What is wrong with the patterns, one line each; empty if nothing is.

    A pattern that could never match is a fault: it would leave files out silently.

    Args:
      includes: They are matched against files, so a trailing slash is a mistake.
    """
    found = ((pattern, _fault(pattern, includes)) for pattern in patterns)
    return [f"{pattern!r}: {fault}" for pattern, fault in found if fault]


@attrs.frozen
class Globs:
    """Include and exclude patterns, ready to be asked about paths relative to the root.

    Raises:
      ConfigError: All patterns that are wrong.
    """

    include: tuple[str, ...]
    exclude: tuple[str, ...] = ()
    _includes: Match = attrs.field(init=False, eq=False, repr=False)
    _excludes: Match = attrs.field(init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        faults = faults_of(self.include, includes=True) + faults_of(self.exclude)
        if faults:
            raise ConfigError(faults)
        object.__setattr__(self, "_includes", _compiled(self.include))
        object.__setattr__(self, "_excludes", _compiled(self.exclude))

    def takes(self, path: str) -> bool:
        """Is this file wanted? Whoever asks has asked :meth:`prunes` about its directories."""
        plain = _plain(path)
        return bool(self._includes(plain)) and not self._excludes(plain)

    def prunes(self, directory: str) -> bool:
        """Is this directory excluded, with everything below it?"""
        return bool(self._excludes(_plain(directory) + "/"))


def _fault(pattern: str, includes: bool) -> str:
    if not pattern:
        return "an empty pattern matches nothing"
    if "\0" in pattern:
        return "no name contains NUL"
    if pattern.startswith("/"):
        return "patterns are relative to the directory that is scanned; leave out the first /"
    if any(part in (".", "..") for part in pattern.split("/")):
        return "patterns can't contain . or .. as a component; nothing above is scanned"
    if includes and pattern.endswith("/"):
        return f"only files are taken; for all of a directory's, write {pattern}**"
    if (len(pattern) - len(pattern.rstrip("\\"))) % 2:
        return "ends in a backslash with nothing behind it"
    try:
        _compiled([pattern])
    except Exception as error:  # what wcmatch raises for too many braces isn't exported
        return str(error)
    return ""


def _compiled(patterns: Sequence[str]) -> Match:
    """One regular expression for all of them: asked for each file, so worth it."""
    if _TAKES_ALL.intersection(patterns):
        return _always
    if not patterns:
        return _never
    translated, _ = glob.translate([_plain(pattern) for pattern in patterns], flags=_FLAGS)
    return re.compile("|".join(f"(?:{one})" for one in translated)).fullmatch


def _plain(text: str) -> str:
    """Newlines replaced by NUL, which no name contains.

    wcmatch's expressions end in ``$``, which also matches before a last newline: they take
    the name ``".\\n"`` for ``"."`` and refuse it. See test_names_with_newlines_are_matched.
    """
    return text.replace("\n", "\0") if "\n" in text else text


def _always(_: str) -> bool:
    return True


def _never(_: str) -> bool:
    return False
