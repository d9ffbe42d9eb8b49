"""Gives functions that exist already code in which they can be stopped, and takes it back.

Of what is the user's, that is: neither Python's library, nor what is installed, nor trioq. All
modules that a handler can reach are given it, and all functions that were made of them, since a
handler calls what it likes.
"""

from __future__ import annotations

import ast
import builtins
import functools
import gc
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import trioq
from trioq.handler import Handler
from trioq.testing.exploring import stepped
from trioq.testing.exploring.sites import AFTER, ALIVE, THERE, Compiled, Site, compiled, key_of

#: Whose code isn't the user's.
_OURS = str(Path(trioq.__file__).resolve().parent) + "/"
_OTHERS = tuple(
    {
        *(str(Path(path).resolve()) + "/" for name, path in sysconfig.get_paths().items()
          if name in ("stdlib", "platstdlib", "purelib", "platlib")),
        _OURS,
    }
)  # fmt: skip

SITES: list[Site] = []
"""All that are known; code has their numbers."""
_compiled: dict[tuple[str, int, bool], Compiled | None] = {}
_latest: dict[str, Compiled] = {}


@functools.cache
def is_users(file: str) -> bool:
    """Whether what is in this file is the user's."""
    path = str(Path(file).resolve())
    return not file.startswith("<") and not path.startswith(_OTHERS) and Path(path).is_file()


def is_ours(coroutine: Any) -> bool:
    """Whether what is done in it is trioq's own: a client's, say."""
    code = getattr(coroutine, "cr_code", None)
    return code is not None and code.co_filename.startswith(_OURS)


def awaited_at(file: str, line: int) -> str | None:
    """What is awaited in this line, as its source says it; None: nothing is known of it."""
    known = _latest.get(file)
    return None if known is None else known.awaits.get(line)


@contextmanager
def instrumented(roots: Iterable[object]) -> Iterator[None]:
    """While this lasts, what is the user's can be stopped.

    Args:
      roots: Functions from whose modules all others are found.
    """
    for name, ours in ((AFTER, stepped.after), (THERE, stepped.there), (ALIVE, stepped.alive)):
        setattr(builtins, name, ours)
    files = dict[str, Compiled]()
    for module in _reached(roots):
        if (known := _of(module)) is not None and module.__file__ is not None:
            files[module.__file__] = known
    changed: list[tuple[FunctionType, CodeType]] = []
    try:
        for function in _functions(files):
            new = files[function.__code__.co_filename].codes.get(key_of(function.__code__))
            if new is not None and _fits(new, function.__code__):
                changed.append((function, function.__code__))
                function.__code__ = new
        yield
    finally:
        for function, code in changed:
            function.__code__ = code


def _fits(new: CodeType, old: CodeType) -> bool:
    """Whether a function of that source is the one that was compiled again."""
    is_same = new.co_freevars == old.co_freevars and new is not old
    return is_same and new.co_varnames[: new.co_argcount] == old.co_varnames[: old.co_argcount]


def _of(module: ModuleType) -> Compiled | None:
    file = module.__file__
    assert file is not None
    rewritten = "@pytest_ar" in vars(module)
    try:
        key = (file, Path(file).stat().st_mtime_ns, rewritten)
    except OSError:
        return None
    if key not in _compiled:
        _compiled[key] = _compile(file, rewritten)
    if (known := _compiled[key]) is not None:
        _latest[file] = known
    return known


def _compile(file: str, rewritten: bool) -> Compiled | None:
    """None: there is no source that can be read."""
    try:
        source = Path(file).read_bytes()
        tree = ast.parse(source, file)
    except (OSError, SyntaxError, ValueError):
        return None
    if rewritten:  # pytest has made its asserts say more
        from _pytest.assertion.rewrite import rewrite_asserts

        rewrite_asserts(tree, source, file)
    found = compiled(tree, file, len(SITES))
    SITES.extend(found.sites)
    return found


def _reached(roots: Iterable[object]) -> Iterator[ModuleType]:
    """The modules of the user's that those of the roots know, and those that these know."""
    todo = [module for root in roots if (module := _module_of(root)) is not None]
    seen = set[str]()
    while todo:
        module = todo.pop()
        if module.__name__ in seen or not _is_users(module):
            continue
        seen.add(module.__name__)
        yield module
        for value in list(vars(module).values()):
            if (known := _module_of(value)) is not None and known.__name__ not in seen:
                todo.append(known)


def _module_of(value: object) -> ModuleType | None:
    if isinstance(value, ModuleType):
        return value
    if isinstance(value, functools.partial):
        return _module_of(value.func)
    try:
        name = getattr(value, "__module__", None) or type(value).__module__
    except Exception:  # it may answer as it likes
        return None
    return sys.modules.get(name) if isinstance(name, str) else None


def _is_users(module: ModuleType) -> bool:
    file = getattr(module, "__file__", None)
    return isinstance(file, str) and is_users(file)


def _functions(files: dict[str, Compiled]) -> Iterator[FunctionType]:
    """All of these files, also those that are frozen for the collector of garbage."""
    seen = set[int]()

    def new(value: object) -> bool:
        if type(value) is not FunctionType or id(value) in seen:
            return False
        seen.add(id(value))
        return value.__code__.co_filename in files

    yield from filter(new, gc.get_objects())
    for module in list(sys.modules.values()):
        if getattr(module, "__file__", None) in files:
            yield from filter(new, _inside(module))


def _inside(module: ModuleType) -> Iterator[object]:
    todo: list[Any] = list(vars(module).values())
    seen = set[int]()
    while todo:
        value = todo.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, FunctionType):
            yield value
            todo.extend(_cells(value))
            todo.append(vars(value).get("__wrapped__"))
        elif isinstance(value, type) and value.__module__ == module.__name__:
            todo.extend(vars(value).values())
        elif isinstance(value, staticmethod | classmethod):
            todo.append(value.__func__)
        elif isinstance(value, property):
            todo.extend((value.fget, value.fset, value.fdel))
        elif isinstance(value, functools.partial):
            todo.append(value.func)
        elif isinstance(value, Handler):
            todo.append(value.registered.function)


def _cells(function: FunctionType) -> list[object]:
    found = []
    for cell in function.__closure__ or ():
        try:
            found.append(cell.cell_contents)
        except ValueError:  # not set yet
            continue
    return found


def name_of(function: Callable[..., Any]) -> str:
    """For messages."""
    return getattr(function, "__qualname__", repr(function))
