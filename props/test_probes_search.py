"""Probes of shared breakers, searched to the end: never too many, and never shut for ever."""

from __future__ import annotations

from props.protocol.probes import SOUND, VARIANTS, search
from props.protocol.searched import all_is_found, nothing_is_found

test_there_are_never_too_many_and_it_closes_in_the_end = nothing_is_found(search, SOUND)
test_the_search_finds_what_is_wrong_with = all_is_found(search, VARIANTS)
