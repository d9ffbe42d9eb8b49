"""What an engine's code is made of, and what of it has changed: by looking at the files.

Looking, several times a second, needs no library and no help of the system's, and works on any
file system, also on those that are mounted from elsewhere.
"""

from __future__ import annotations

import os
import site
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from importlib.util import cache_from_source
from pathlib import Path

import attrs

import trioq

#: How a file was found: when it was written, how long it is, and which one, as an editor may
#: put another in its place.
Mark = tuple[int, int, int]

#: It is there, and that is all that counts.
THERE: Mark = (0, 0, 0)

#: Unlike any file that there is.
GONE: Mark = (-1, 0, 0)

Marks = Mapping[str, Mark]

#: Of a tree that somebody has put the whole disk below, no more is looked at.
MOST_FILES = 5_000

#: Directories with nothing of the project's own; VS Code brings a debugger of its own along.
FOREIGN = frozenset({"site-packages", "dist-packages", "node_modules", "__pycache__", "debugpy"})


@attrs.define
class Watch:
    """The files of a project: what was imported, what lies beside that, and the configuration.

    Args:
      given: Files and directories beside the modules.
      began_ns: When the process had imported nothing yet, by the clock of files. What was written
          since may have been read before that: it counts as changed.
    """

    given: Sequence[Path]
    began_ns: int
    seen: dict[str, Mark] = attrs.field(factory=dict[str, Mark], init=False)
    """What runs."""
    _files: dict[str, str] = attrs.field(factory=dict[str, str], init=False)
    """Module → file, of those that are watched; else nothing."""
    _is_first: bool = attrs.field(default=True, init=False)

    def learn(self) -> None:
        """Watch what has been imported meanwhile, too, as it is now."""
        for name, module in list(sys.modules.items()):
            if name not in self._files:
                file = getattr(module, "__dict__", {}).get("__file__")
                if isinstance(file, str) and is_of_project(file):
                    self._files[name] = os.path.abspath(file)
                else:
                    self._files[name] = ""
        marks = self.look()
        for file, mark in (self.as_began(marks) if self._is_first else marks).items():
            if self.seen.get(file, THERE) == THERE:
                self.seen[file] = mark
        self._is_first = False

    def as_began(self, marks: Marks) -> dict[str, Mark]:
        """The same, but for what may have been written since it was loaded: that isn't known."""
        return {file: GONE if mark[0] >= self.began_ns else mark for file, mark in marks.items()}

    @property
    def modules(self) -> list[str]:
        """The files that were imported."""
        return sorted({file for file in self._files.values() if file})

    def look(self, *, widely: bool = False) -> dict[str, Mark]:
        """How all files are now; of Python files beside those that were imported only whether
        they are there.

        Args:
          widely: All Python files below them, and how they are: what could be imported next.
        """
        own = {*self.modules, *self._given()}
        marks = dict(_beside(own))
        marks |= {file: _mark(file) for file in own}
        if widely:
            marks |= {file: _mark(file) for file in self._tree()}
        return marks

    def changed(self) -> list[str]:
        """The files that aren't as what runs has them."""
        return differing(self.seen, self.look())

    def _given(self) -> Iterator[str]:
        for path in self.given:
            if path.is_dir():
                yield from _below(path, "")
            else:
                yield str(path)

    def _tree(self) -> Iterator[str]:
        tops = {Path(os.path.dirname(file)) for file in self.modules}
        tops |= {path if path.is_dir() else path.parent for path in self.given}
        for top in tops:
            if not any(other in top.parents for other in tops):
                yield from _below(top, ".py")


def differing(before: Marks, now: Marks) -> list[str]:
    """The files that are new, gone or other than they were."""
    return sorted(f for f in before.keys() | now.keys() if before.get(f, GONE) != now.get(f, GONE))


def forget_compiled(files: Iterable[str]) -> None:
    """Have these compiled anew: Python goes by the length and the time in whole seconds, and who
    saves twice in one may have changed a digit."""
    for file in files:
        if file.endswith(".py"):
            with suppress(OSError, NotImplementedError):  # there is none, or Python keeps none
                os.unlink(cache_from_source(file))


def is_of_project(file: str) -> bool:
    """Whether it is neither Python's, nor installed, nor trioq's."""
    if FOREIGN & set(Path(file).parts):
        return False
    return not os.path.abspath(file).startswith(_foreign())


def _foreign() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    places = [paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib", "scripts")]
    places += [site.getusersitepackages(), os.path.dirname(trioq.__file__)]
    return tuple(os.path.join(place, "") for place in places)


def _mark(file: str) -> Mark:
    try:
        found = os.stat(file)
    except OSError:
        return GONE
    return found.st_mtime_ns, found.st_size, found.st_ino


def _beside(files: Iterable[str]) -> Iterator[tuple[str, Mark]]:
    """The Python files beside these: a package may import all that it finds."""
    for directory in {os.path.dirname(file) for file in files if file.endswith(".py")}:
        try:
            names = os.listdir(directory)
        except OSError:
            continue
        for name in names:
            if name.endswith(".py") and not name.startswith("."):  # an editor's own, mostly
                yield os.path.join(directory, name), THERE


def _below(top: Path, ending: str) -> Iterator[str]:
    count = 0
    for directory, below, names in os.walk(top):
        below[:] = [b for b in below if not b.startswith(".") and b not in FOREIGN]
        below[:] = [
            b for b in below if not os.path.exists(os.path.join(directory, b, "pyvenv.cfg"))
        ]
        for name in names:
            if name.endswith(ending) and not name.startswith("."):
                yield os.path.join(directory, name)
                count += 1
        if count >= MOST_FILES:
            return
