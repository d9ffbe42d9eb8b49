"""The clock of an engine that somebody debugs."""

from __future__ import annotations

import time

from trioq.cli.dev.debug import Clock

#: Longer than anything in here takes by itself.
LONG_S = 0.05


def test_it_stands_still_until_the_last_of_two_prompts_is_left() -> None:
    clock = Clock()
    with clock.stopped():
        began = clock.current_time()
        with clock.stopped():
            pass
        assert clock.stands
        until = time.perf_counter() + LONG_S
        while time.perf_counter() < until:
            assert clock.current_time() == began
    assert not clock.stands
    assert clock.current_time() < began + LONG_S, "what passed meanwhile is nothing for it"


def test_it_goes_as_any_other_where_nobody_is_at_a_prompt() -> None:
    clock = Clock()
    before, began = clock.current_time(), time.perf_counter()
    while time.perf_counter() < began + LONG_S:
        assert clock.current_time() >= before
    assert clock.current_time() >= before + LONG_S
