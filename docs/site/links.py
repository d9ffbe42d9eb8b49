"""Links as a code host follows them, made such that the site follows them, too.

A page links to another page, or to a file of the tree, by the way from one to the other; the
README, which is shown elsewhere as well, by the address that the code host has for it. On the site,
pages are linked to as pages, and files where the code host shows them; pictures, where it has them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath

from docs.site.contents import normal

HOST = "https://github.com/trioq/trioq"
RAW = "https://raw.githubusercontent.com/trioq/trioq"

#: Code isn't looked into; group 1 and 2 are a link's target and its anchor.
_LINK = re.compile(
    r"^```.*?^```$|``.+?``|`[^`\n]+`|\]\(([^)#\s]*)(#[^)\s]*)?\)", re.DOTALL | re.MULTILINE
)
_AT_HOST = re.compile(rf"{re.escape(HOST)}/(?:blob|tree)/main/(.*)")


class Broken(Exception):
    """A link that leads nowhere."""


def localised(
    text: str,
    page: PurePosixPath,
    pages: Mapping[PurePosixPath, PurePosixPath],
    is_there: Callable[[PurePosixPath], bool],
) -> str:
    """A page of the tree with its links as the site needs them.

    Args:
      page: Where it lies in the tree.
      pages: All pages, and where each lies on the site.
      is_there: Whether the tree has a file or folder.

    Raises:
      Broken: A link leads to nothing; its text says where from.
    """

    def link(found: re.Match[str]) -> str:
        target, anchor = found[1], found[2] or ""
        if not target:  # code; or an anchor of the same page
            return found[0]
        at_host = _AT_HOST.fullmatch(target)
        if re.match(r"\w+:", target) and at_host is None:
            return found[0]
        wanted = normal(PurePosixPath(at_host[1]) if at_host else page.parent / target)
        if wanted in pages:
            return f"]({_way(pages[page], pages[wanted])}{anchor})"
        if not is_there(wanted):
            line = text.count("\n", 0, found.start()) + 1
            raise Broken(f"{page}:{line}: nothing is at {wanted}")
        if wanted.suffix == ".png":
            return f"]({RAW}/main/{wanted})"
        return f"]({HOST}/{'tree' if target.endswith('/') else 'blob'}/main/{wanted}{anchor})"

    return _LINK.sub(link, text)


def _way(start: PurePosixPath, end: PurePosixPath) -> str:
    return PurePosixPath(os.path.relpath(end, start.parent)).as_posix()
