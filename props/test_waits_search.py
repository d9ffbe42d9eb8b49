"""Waits, searched to the end: nobody waits for ever, and nobody is told what isn't so."""

from __future__ import annotations

from props.protocol.searched import all_is_found, nothing_is_found
from props.protocol.waits import SOUND, VARIANTS, search

test_whoever_waits_is_told = nothing_is_found(search, SOUND)
test_the_search_finds_what_is_wrong_with = all_is_found(search, VARIANTS)
