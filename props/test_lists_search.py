"""Which schedules there are during deployments, searched to the end."""

from __future__ import annotations

import pytest

from props.protocol.lists import SOUND, VARIANTS, search


@pytest.mark.parametrize("name", SOUND)
def test_the_newest_list_holds_as_a_whole_and_everybody_hears_what_ended(name: str) -> None:
    states, found = search(SOUND[name])
    assert found is None
    assert states > 100


@pytest.mark.parametrize("name", VARIANTS)
def test_the_search_finds_what_is_wrong_with(name: str) -> None:
    start, hear, promise = VARIANTS[name]
    _, found = search(start, hear)
    assert found is not None
    assert found.promise == promise
