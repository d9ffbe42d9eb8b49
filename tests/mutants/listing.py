"""Mutants of schedules: which deployment's list holds."""

from __future__ import annotations

from tests.mutants.mutant import Killers, Mutant

LISTS: Killers = ("tests/store/contract/test_listing.py",)
LISTED = "store/lua/list_schedules.lua"
DECLARED = "store/lua/shared/declared.lua"

LISTING = (
    Mutant(
        "an engine of an older deployment puts back what it lists", LISTED,
        "local holds = known[#known].what == digest", "local holds = true", LISTS,
    ),
    Mutant(
        "whoever says something ends the list of who was there a moment ago", DECLARED,
        "is_new and mine and 0 or GRACE", "0", LISTS,
    ),
    Mutant(
        "who is started with an older list waits", DECLARED,
        "is_new and mine and 0 or GRACE", "GRACE", LISTS,
    ),
    Mutant(
        "what isn't listed any more is never retired", LISTED,
        "now_ms - since >= RETIRED_AFTER", "false", LISTS,
    ),
    Mutant(
        "an app takes what a client has put", LISTED,
        "whose[name] ~= app and not (whose[name] and ends[name])",
        "whose[name] and whose[name] ~= app and not ends[name]", LISTS,
    ),
    Mutant(
        "an app retires what another lists", LISTED,
        "if its == app and not names[name]", "if not names[name]", LISTS,
    ),
    Mutant(
        "what isn't listed any more is told once", LISTED,
        "recent[#recent + 1] = name", "recent[#recent + 1] = retired[1]", LISTS,
    ),
    Mutant(
        "what is retired is told for ever", LISTED,
        "< TOLD_FOR", "< math.huge", LISTS,
    ),
    Mutant(
        "an engine without schedules ends those of the first that has some", LISTED,
        'alive["-"] and "-\\n- %d -" or "-"', '"-"', LISTS,
    ),
    Mutant(
        "an app never has what somebody else had first", LISTED,
        '(#taken > 0 and "~" or "") .. digest', "digest", LISTS,
    ),
    Mutant(
        "an engine tells again and again what isn't listed any more", "engine/shard/listing.py",
        "if each not in self._told:", "if True:", ("tests/engine/test_listing.py",),
    ),
    Mutant(
        "what is retired makes ticks", LISTED,
        'put("ZREM", ticks, retired)', "local _ = retired", LISTS,
    ),
    Mutant(
        "what is listed again doesn't come again", LISTED,
        "(has[name] ~= row or is_retired)", "has[name] ~= row", LISTS,
    ),
    Mutant(
        "a tick that has come is lost where its schedule changes", LISTED,
        "not (tick and tick <= now_ms)", "true", LISTS,
    ),
    Mutant(
        "a client changes what a deployment lists", "store/lua/schedule.lua",
        'redis.call("HEXISTS", owners, name) == 1 and not is_retired', "false", LISTS,
    ),
    Mutant(
        "a client can't remove what is retired", "store/lua/schedule.lua",
        "== 1 and not is_retired", "== 1", LISTS,
    ),
    Mutant(
        "a pause outlives its schedule", "store/lua/schedule.lua",
        '  redis.call("HDEL", pauses, "~" .. name)\n', "", LISTS,
    ),
    Mutant(
        "what a client removes is an app's for ever", "store/lua/schedule.lua",
        'redis.call("HDEL", owners, name)\n', "", LISTS,
    ),
)  # fmt: skip
