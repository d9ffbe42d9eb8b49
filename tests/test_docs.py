"""Pages drawn from code are what it draws; each page is in the contents; links lead somewhere."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest

from docs.site.contents import CONTENTS, FRONT, ROOT, entries, pages, sections
from docs.site.links import Broken, localised
from tests.write_docs import DOCS, PAGES


@pytest.mark.parametrize("name", PAGES)
def test_a_drawn_page_is_current(name: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == PAGES[name](), "run `make docs`"


def test_each_page_is_in_the_contents_once() -> None:
    """A new page gets a line in ``docs/README.md``, which is the navigation of the site, too."""
    listed = [entry.page for _, below in sections(_read(CONTENTS)) for entry in below]
    decisions = PurePosixPath("docs/decisions/README.md")
    listed += [entry.page for entry in entries(_read(decisions), decisions)]
    assert sorted(listed) == sorted(pages().keys() - {FRONT, CONTENTS})


@pytest.mark.parametrize("page", pages(), ids=str)
def test_each_link_of_a_page_leads_to_something(page: PurePosixPath) -> None:
    localised(_read(page), page, pages(), lambda path: (ROOT / path).exists())


def test_links_are_such_that_a_site_can_follow_them() -> None:
    page, host = PurePosixPath("docs/decisions/a.md"), "https://github.com/trioq/trioq"

    def made(text: str) -> str:
        all_pages = {page: PurePosixPath("decisions/a.md"), **pages()}
        return localised(text, page, all_pages, lambda path: (ROOT / path).exists())

    assert made("[a](../ids.md#again)") == "[a](../ids.md#again)"
    assert made("[a](README.md) [b](../../README.md)") == "[a](index.md) [b](../index.md)"
    assert made(f"[a]({host}/blob/main/docs/ids.md)") == "[a](../ids.md)"
    assert made("[a](../../trioq/app.py#L3)") == f"[a]({host}/blob/main/trioq/app.py#L3)"
    assert made("[a](../../deploy/)") == f"[a]({host}/tree/main/deploy)"
    raw = host.replace("github.com", "raw.githubusercontent.com")
    assert made("![a](../pictures/job.png)") == f"![a]({raw}/main/docs/pictures/job.png)"
    assert made("[a](https://trio.dev) [b](#b)") == "[a](https://trio.dev) [b](#b)"
    assert (
        made("`[a](gone.md)`\n```\n[a](gone.md)\n```\n")
        == "`[a](gone.md)`\n```\n[a](gone.md)\n```\n"
    )
    with pytest.raises(Broken, match=r"^docs/decisions/a\.md:2: nothing is at docs/d.*/gone\.md$"):
        made("\n[a](gone.md)")
    with pytest.raises(Broken, match="nothing is at docs/gone"):
        made(f"[a]({host}/blob/main/docs/gone.md)")


def _read(page: PurePosixPath) -> str:
    return (ROOT / page).read_text(encoding="utf-8")
