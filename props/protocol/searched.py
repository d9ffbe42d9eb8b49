"""The tests of a search: it finds nothing where nothing is wrong, and everything that is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from props.protocol.walk import Found

Search = Callable[..., tuple[int, Found | None]]


def nothing_is_found(search: Search, sound: Mapping[str, Any], *, states: int = 10) -> Any:
    """A test for each setup: no promise is broken in any state, and there are more than these."""

    @pytest.mark.parametrize("name", sound)
    def test(name: str) -> None:
        seen, found = search(sound[name])
        assert found is None, found
        assert seen > states, seen

    return test


def all_is_found(search: Search, variants: Mapping[str, tuple[Any, ...]]) -> Any:
    """A test for each variant: the promise is found that it breaks, the last of what is said."""

    @pytest.mark.parametrize("name", variants)
    def test(name: str) -> None:
        *setup, promise = variants[name]
        _, found = search(*setup)
        assert found is not None, f"not found: {promise}"
        assert found.promise == promise, found

    return test
