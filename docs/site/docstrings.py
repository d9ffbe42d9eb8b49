"""What is missing in the docstrings of public names."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from typing import Any

import attrs

from docs.site.reference import PUBLIC, documented, is_made, public

_ARGS = re.compile(r"^Args:\n((?:(?: .*)?\n)*)", re.MULTILINE)
_NAMES = re.compile(r"^  (\*{0,2}\w+(?:, \*{0,2}\w+)*):", re.MULTILINE)
#: Where the arguments of a function are told that has the same ones.
_ELSEWHERE = re.compile(r":(?:meth|func|class):`")


def said_arguments(doc: str) -> set[str]:
    """The arguments that a docstring's section tells of, or its text names."""
    found = _ARGS.search(f"{doc}\n")
    names = _NAMES.findall(found[1]) if found else []
    return {name.strip("* ") for listed in names for name in listed.split(",")} | set(
        re.findall(r"``(\w+)``", doc)
    )


def faults() -> Iterator[str]:
    """What is missing, one line each."""
    have = documented()
    for module in PUBLIC:
        for name in public(module):
            if f"{module}.{name}" not in have:
                yield f"{module}.{name}: is on no page of the reference"
    for name in sorted(have):
        module, _, attribute = name.rpartition(".")
        value = getattr(importlib.import_module(module), attribute)
        if inspect.isclass(value):
            yield from of_class(name, value)
        elif inspect.isfunction(value):
            yield from of_function(name, value)


def of_class(name: str, value: type) -> Iterator[str]:
    """Of a class and of its public methods and properties."""
    if not value.__doc__:
        yield f"{name}: has no docstring"
    elif is_made(name) and not attrs.has(value):
        yield from of_function(name, value)
    for attribute in dir(value):
        if attribute.startswith("_"):
            continue
        home = next(each for each in value.__mro__ if attribute in vars(each))
        if not home.__module__.startswith("trioq."):
            continue
        found: Any = inspect.getattr_static(value, attribute)
        if isinstance(found, classmethod) and not is_made(name):
            continue  # by which trioq makes some of its objects
        function = getattr(found, "__func__", getattr(found, "func", getattr(found, "fget", found)))
        if inspect.isfunction(function):
            yield from of_function(f"{name}.{attribute}", function)


def of_function(name: str, value: Any) -> Iterator[str]:
    """Of a function, or of what makes an object of a class.

    What takes one argument says in its sentence what that is.
    """
    doc = inspect.cleandoc(value.__doc__ or "")
    if not doc:
        yield f"{name}: has no docstring"
        return
    given = inspect.signature(value).parameters.values()
    wanted = [each.name for each in given if each.name not in ("self", "unknown")]
    if len(wanted) == 1 or _ELSEWHERE.search(doc):
        return
    if missing := [each for each in wanted if each not in said_arguments(doc)]:
        yield f"{name}: its docstring doesn't tell of {', '.join(missing)}"
