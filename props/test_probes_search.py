"""Probes of shared breakers, searched to the end: never too many, and never shut for ever."""

from __future__ import annotations

import pytest

from props.protocol.probes import SOUND, VARIANTS, search


@pytest.mark.parametrize("name", SOUND)
def test_there_are_never_too_many_and_it_closes_in_the_end(name: str) -> None:
    states, found = search(SOUND[name])
    assert found is None
    assert states > 10


@pytest.mark.parametrize("name", VARIANTS)
def test_the_search_finds_what_is_wrong_with(name: str) -> None:
    setup, promise = VARIANTS[name]
    _, found = search(setup)
    assert found is not None
    assert found.promise == promise
