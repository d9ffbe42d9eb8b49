"""Which pages there are, in which order: ``docs/README.md`` says it, to people and to the site."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import attrs

ROOT = Path(__file__).parents[2]
CONTENTS = PurePosixPath("docs/README.md")
FRONT = PurePosixPath("README.md")

_SECTION = re.compile(r"^## (.+)\n", re.MULTILINE)
_ENTRY = re.compile(r"^(?:-|\d+\.) \[(.+?)\]\((.+?\.md)\)", re.MULTILINE)


@attrs.frozen
class Entry:
    """A page, and what it is called in the navigation."""

    title: str
    page: PurePosixPath
    """From the root of the tree."""


def entries(text: str, page: PurePosixPath) -> list[Entry]:
    """The pages that a page's lists name, one at the beginning of each item."""
    found = _ENTRY.findall(text)
    return [Entry(title, normal(page.parent / target)) for title, target in found]


def sections(text: str, page: PurePosixPath = CONTENTS) -> Iterator[tuple[str, list[Entry]]]:
    """The headings of the contents, each with its pages."""
    _, *parts = _SECTION.split(text)
    for heading, part in zip(parts[::2], parts[1::2], strict=True):
        yield heading, entries(part, page)


def pages(root: Path = ROOT) -> dict[PurePosixPath, PurePosixPath]:
    """The tree's pages, and where each lies on the site."""
    written = sorted(path.relative_to(root) for path in (root / "docs").rglob("*.md"))
    within = {PurePosixPath(path): place(PurePosixPath(path)) for path in written}
    outside = {PurePosixPath(f"{name}.md"): PurePosixPath(f"{name.lower()}.md") for name in OUTSIDE}
    return {FRONT: PurePosixPath("index.md"), **outside, **within}


OUTSIDE = ("CHANGELOG", "CONTRIBUTING")


def place(page: PurePosixPath) -> PurePosixPath:
    """Where a page of ``docs/`` lies on the site: there, a folder's first page is its index."""
    path = page.relative_to("docs")
    if page == CONTENTS:
        return PurePosixPath("contents.md")
    return path.with_name("index.md") if path.name == "README.md" else path


def normal(path: PurePosixPath) -> PurePosixPath:
    """The same place without ``..``, which leads out of the tree where it stays in front."""
    parts: list[str] = []
    for part in path.parts:
        if part == ".." and parts and parts[-1] != "..":
            parts.pop()
        else:
            parts.append(part)
    return PurePosixPath(*parts)
