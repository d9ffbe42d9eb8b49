"""Which settings of a limit hold during deployments, searched to the end."""

from __future__ import annotations

from props.protocol.deployments import SOUND, VARIANTS, search
from props.protocol.searched import all_is_found, nothing_is_found

test_the_newest_holds_and_a_rollback_is_complete_in_the_end = nothing_is_found(
    search, SOUND, states=1000
)
test_the_search_finds_what_is_wrong_with = all_is_found(search, VARIANTS)
