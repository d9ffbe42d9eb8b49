"""Ticks of a schedule, searched to the end."""

from __future__ import annotations

from props.protocol.searched import all_is_found, nothing_is_found
from props.protocol.ticks import SOUND, VARIANTS, search

test_a_tick_fires_once_and_each_is_accounted_for = nothing_is_found(search, SOUND, states=100)
test_the_search_finds_what_is_wrong_with = all_is_found(search, VARIANTS)
