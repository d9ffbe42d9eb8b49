"""Has Sphinx make a site of the tree's pages: strictly, so that what it warns of is a fault."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from docs.site import docstrings, reference
from docs.site.contents import CONTENTS, FRONT, ROOT, Entry, entries, pages, sections
from docs.site.links import Broken, localised

SITE = ROOT / "build" / "site"
CONF = Path(__file__).parent


def build(site: Path, root: Path = ROOT) -> list[str]:
    """Build it, and leave its sources beside it.

    Returns:
      What is wrong with it; it is there all the same, if there is nothing worse than warnings.
    """
    sources = site.with_name(f"{site.name}-pages")
    shutil.rmtree(site, ignore_errors=True)
    shutil.rmtree(sources, ignore_errors=True)
    faults = write(sources, root)
    argv = [
        sys.executable, "-m", "sphinx", "--quiet", "--nitpicky", "--fail-on-warning",
        "-c", str(CONF), "-d", str(sources / ".doctrees"), str(sources), str(site),
    ]  # fmt: skip
    made = subprocess.run(argv, stderr=subprocess.PIPE, text=True, check=False)
    return faults + made.stderr.replace(f"{sources}/", "").splitlines()


def write(sources: Path, root: Path = ROOT) -> list[str]:
    """Write what Sphinx reads.

    Returns:
      The links that lead nowhere, and what is missing in docstrings.
    """
    faults, all_pages = list(docstrings.faults()), pages(root)
    for page, place in all_pages.items():
        text = (root / page).read_text(encoding="utf-8")
        try:
            made = localised(text, page, all_pages, lambda path: (root / path).exists())
        except Broken as error:
            faults.append(str(error))
            made = text
        made += "\n".join(navigation(page, root))
        _put(sources / place, made)
    for name, text in reference.pages():
        _put(sources / "api" / name, text)
    return faults


def navigation(page: PurePosixPath, root: Path = ROOT) -> Iterator[str]:
    """What stands at the end of a page that others are below."""
    if page == FRONT:
        for heading, below in sections((root / CONTENTS).read_text(encoding="utf-8")):
            more = [f"Python API </{REFERENCE}>"] if heading == "Reference" else []
            yield from toctree(below, root, heading, more)
        yield from toctree([Entry("All pages", CONTENTS)], root)
    elif page.name == "README.md" and page != CONTENTS:
        yield from toctree(entries((root / page).read_text(encoding="utf-8"), page), root)


#: Where the reference of the library begins.
REFERENCE = PurePosixPath("api/index")


def toctree(
    below: list[Entry], root: Path, caption: str = "", more: list[str] | None = None
) -> Iterator[str]:
    """Sphinx's word for pages below another one, in MyST."""
    places = pages(root)
    yield "\n```{toctree}\n:hidden:"
    if caption:
        yield f":caption: {caption}"
    yield ""
    yield from more or []
    for entry in below:
        yield f"{entry.title} </{places[entry.page].with_suffix('')}>"
    yield "```\n"


def _put(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
