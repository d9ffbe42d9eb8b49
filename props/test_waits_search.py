"""Waits, searched to the end: nobody waits for ever, and nobody is told what isn't so."""

from __future__ import annotations

import pytest

from props.protocol.waits import SOUND, VARIANTS, search


@pytest.mark.parametrize("name", SOUND)
def test_whoever_waits_is_told(name: str) -> None:
    states, found = search(SOUND[name])
    assert found is None
    assert states > 10


@pytest.mark.parametrize("name", VARIANTS)
def test_the_search_finds_what_is_wrong_with(name: str) -> None:
    setup, promise = VARIANTS[name]
    _, found = search(setup)
    assert found is not None
    assert found.promise == promise
