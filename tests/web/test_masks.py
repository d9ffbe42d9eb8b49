"""What nobody is shown of payloads, and how it comes back where one was edited."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioq.web.masks import MASK, masked, unmasked

SENSITIVE = frozenset({"password"})

names = st.sampled_from(["password", "Password", "user", "a"])
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda some: st.lists(some, max_size=3) | st.dictionaries(names, some, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(names, values, max_size=4))
def test_what_was_masked_and_not_touched_is_what_it_was(payload: dict[str, Any]) -> None:
    assert unmasked(masked(payload, SENSITIVE), payload, SENSITIVE) == payload


def test_what_was_edited_beside_a_mask_is_new_and_the_mask_is_not_written() -> None:
    before = {"user": "ada", "login": [{"password": "x"}, {"password": "y"}]}
    shown = masked(before, SENSITIVE)
    assert shown["login"] == [{"password": MASK}, {"password": MASK}]
    shown["user"] = "bob"
    shown["login"][1]["password"] = "z"
    assert unmasked(shown, before, SENSITIVE) == {
        "user": "bob", "login": [{"password": "x"}, {"password": "z"}],
    }  # fmt: skip


def test_a_mask_where_nothing_was_is_refused_with_all_places() -> None:
    with pytest.raises(ValueError, match=r"there was nothing: a\.password, b\[0\]\.password"):
        unmasked({"a": {"password": MASK}, "b": [{"password": MASK}]}, {}, SENSITIVE)


def test_the_same_word_elsewhere_is_a_text() -> None:
    assert unmasked({"user": MASK}, {}, SENSITIVE) == {"user": MASK}
