"""Ticks of a schedule, searched to the end."""

from __future__ import annotations

import pytest

from props.protocol.ticks import SOUND, VARIANTS, search


@pytest.mark.parametrize("name", SOUND)
def test_a_tick_fires_once_and_each_is_accounted_for(name: str) -> None:
    states, found = search(SOUND[name])
    assert found is None
    assert states > 100


@pytest.mark.parametrize("name", VARIANTS)
def test_the_search_finds_what_is_wrong_with(name: str) -> None:
    setup, promise = VARIANTS[name]
    _, found = search(setup)
    assert found is not None
    assert found.promise == promise
