"""Links of pages as the site has them."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest

from docs.site.links import HOST, Broken, localised

HOME, GUIDE = PurePosixPath("README.md"), PurePosixPath("docs/guides/testing.md")
PAGES = {HOME: PurePosixPath("index.md"), GUIDE: PurePosixPath("guides/testing.md")}
FILES = {"examples", "examples/shop.py"}


def link(target: str, page: PurePosixPath = GUIDE) -> str:
    text = localised(f"see\n[it]({target})", page, PAGES, lambda path: str(path) in FILES)
    return text.removeprefix("see\n[it](").removesuffix(")")


def test_a_page_is_linked_to_as_a_page_with_its_anchor() -> None:
    assert link("../../README.md#limits") == "../index.md#limits"
    assert link("docs/guides/testing.md#time", HOME) == "guides/testing.md#time"
    assert link(f"{HOST}/blob/main/README.md#limits") == "../index.md#limits"


def test_a_file_and_a_folder_are_where_the_code_host_shows_them() -> None:
    assert link("../../examples/shop.py#L7") == f"{HOST}/blob/main/examples/shop.py#L7"
    assert link("../../examples/") == f"{HOST}/tree/main/examples"


@pytest.mark.parametrize("target", ["#here", "https://example.com/a.md#b", "mailto:a@example.com"])
def test_what_leads_elsewhere_stays(target: str) -> None:
    assert link(target) == target


def test_code_is_not_looked_into() -> None:
    text = "`[it](nowhere.md)` and ``[`it`](nowhere.md)``\n```\n[it](nowhere.md)\n```"
    assert localised(text, GUIDE, PAGES, lambda path: False) == text


def test_what_leads_nowhere_is_told_with_its_line() -> None:
    with pytest.raises(Broken, match=r"testing\.md:2: nothing is at docs/guides/no\.md"):
        link("no.md")
