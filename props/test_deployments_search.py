"""Which settings of a limit hold during deployments, searched to the end."""

from __future__ import annotations

import pytest

from props.protocol.deployments import SOUND, VARIANTS, search


@pytest.mark.parametrize("name", SOUND)
def test_the_newest_holds_and_a_rollback_is_complete_in_the_end(name: str) -> None:
    states, found = search(SOUND[name])
    assert found is None
    assert states > 1000


@pytest.mark.parametrize("name", VARIANTS)
def test_the_search_finds_what_is_wrong_with(name: str) -> None:
    start, declare, promise = VARIANTS[name]
    _, found = search(start, declare)
    assert found is not None
    assert found.promise == promise
