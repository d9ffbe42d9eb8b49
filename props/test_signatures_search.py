"""Payloads that don't fit one version of a handler: tried by each once, and never lost."""

from __future__ import annotations

from props.protocol.searched import all_is_found, nothing_is_found
from props.protocol.signatures import SOUND, VARIANTS, search

test_each_version_tries_it_once_and_it_ends = nothing_is_found(search, SOUND)
test_the_search_finds_what_is_wrong_with = all_is_found(search, VARIANTS)
