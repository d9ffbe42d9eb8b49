"""What ``trioq init`` would write, and what stands in the way: it looks, and writes nothing."""

from __future__ import annotations

import keyword
import re
import sys
from collections.abc import Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import attrs

from trioq.settings.find import PROJECT, TABLE, USUAL

#: What the project that is copied is called.
STANDS_FOR = "myproject"

#: Names under which a package can't be imported, or a test would import something else.
TAKEN = frozenset({*sys.stdlib_module_names, "trioq", "trio", "tests", "conftest"})

#: The files that a project may well have already: it keeps its own, and is told what to add.
KEPT = frozenset({PROJECT, ".gitignore"})

#: What a project's own pyproject.toml needs of ours: trioq, and what its tests are run with.
NEEDED = ("[", "dependencies", "dev", "pythonpath")

_HEADER = re.compile(r"^(\[\[?)([^\[\]]+)(\]\]?)", re.MULTILINE)


@attrs.frozen
class Plan:
    """What is to be made of a directory."""

    write: Mapping[str, str]
    """Path below the directory → text."""
    conflicts: tuple[str, ...] = ()
    """What is there already; nothing is to be written then."""
    add: Mapping[str, str] = attrs.field(factory=dict[str, str])
    """A file that stays as it is → what it needs."""


def package_name(directory: Path) -> str:
    """What a project in this directory is called; maybe no name for a package."""
    return re.sub(r"\W+", "_", directory.resolve().name.lower()).strip("_")


def wrong_with(name: str) -> str | None:
    """Why no package of a project can be called so; None: it can."""
    if not name.isascii() or not name.isidentifier() or keyword.iskeyword(name):
        return f"{name!r} is no name for a Python package, such as {STANDS_FOR!r}"
    if name in TAKEN:
        return f"{name!r} is already the name of another module, which Python would take for it"
    return None


def plan(directory: Path, name: str, *, in_pyproject: bool) -> Plan:
    """What to write.

    Args:
      directory: May not exist yet.
      name: Of the package, the namespace and the project.
      in_pyproject: The configuration is ``[tool.trioq]`` of its ``pyproject.toml``.
    """
    texts = dict(_texts(name))
    if (directory / "src" / name).is_dir():  # an existing project, by the other custom
        texts = {_in_src(path, name): text for path, text in texts.items()}
    needs = {PROJECT: _needed_of_pyproject(texts[PROJECT]), ".gitignore": ".trioq/\n"}
    if in_pyproject:
        table = as_table(texts.pop(USUAL))
        texts[PROJECT] += f"\n{table}"
        needs[PROJECT] += f"\n\n{table}"
    write, conflicts, add = dict[str, str](), list[str](), dict[str, str]()
    for path, text in texts.items():
        if not (there := _occupied(directory, path)):
            write[path] = text
        elif path.endswith("__init__.py") and there == path:
            pass  # the package is there, and may have whatever it likes in it
        elif path in KEPT and there == path:
            add[path] = needs[path]
        else:
            conflicts.append(there if there == path else f"{there} (no directory)")
    package = next(iter({Path(path).parent for path in texts if path.endswith("__init__.py")}))
    module = package.with_suffix(".py")
    if not (directory / package).exists() and (directory / module).exists():
        conflicts.append(f"{module} (the package {package.name} would hide it)")
    if PROJECT in add and f"[{TABLE}" in _text(directory / PROJECT):
        conflicts.append(f"{PROJECT} (it has [{TABLE}])")
    if ".gitignore" in add and ".trioq" in _text(directory / ".gitignore"):
        del add[".gitignore"]
    return Plan(write, tuple(dict.fromkeys(conflicts)), add)


def as_table(text: str) -> str:
    """A configuration as ``[tool.trioq]`` of a pyproject.toml."""
    intro, _, rest = text.partition("\n\n")
    below = _HEADER.sub(rf"\g<1>{TABLE}.\g<2>\g<3>", rest)
    return f"{intro}\n[{TABLE}]\n{below}"


def _texts(name: str) -> Iterator[tuple[str, str]]:
    for path, text in _read(files("trioq.cli.init") / "project", ""):
        yield path.replace(STANDS_FOR, name), text.replace(STANDS_FOR, name)


def _read(directory: Traversable, above: str) -> Iterator[tuple[str, str]]:
    for entry in sorted(directory.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            if not entry.name.startswith((".", "__")):  # somebody's cache
                yield from _read(entry, f"{above}{entry.name}/")
        else:
            # Under its own name it would hide files of the package's own repository.
            name = ".gitignore" if entry.name == "gitignore" else entry.name
            yield above + name, entry.read_text(encoding="utf-8")


def _in_src(path: str, name: str) -> str:
    return f"src/{path}" if path.startswith(f"{name}/") else path


def _needed_of_pyproject(text: str) -> str:
    return "\n\n".join(
        "\n".join(line for line in block.splitlines() if line.startswith(NEEDED))
        for block in text.split("\n\n")
        if any(line.startswith(NEEDED[1:]) for line in block.splitlines())
    )


def _occupied(directory: Path, path: str) -> str:
    """The file that is there, or one where a directory should be; empty: neither."""
    for above in reversed(Path(path).parents[:-1]):
        place = directory / above
        if place.exists() and not place.is_dir():
            return above.as_posix()
    place = directory / path
    return path if place.exists() or place.is_symlink() else ""


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""
