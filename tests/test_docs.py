"""The pages that are drawn from code are those that the code draws."""

from __future__ import annotations

import pytest

from tests.write_docs import DOCS, PAGES


@pytest.mark.parametrize("name", PAGES)
def test_a_drawn_page_is_current(name: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == PAGES[name](), "run `make docs`"
