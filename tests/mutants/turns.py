"""Turns among fair keys: what would make a key wait for more than its turn, or lose its order."""

from __future__ import annotations

from tests.mutants.mutant import Killers, Mutant

TURNS: Killers = ("tests/store/contract/test_turns.py",)
MODEL: Killers = ("props/test_store.py",)

KEYED = "store/lua/step/keyed.lua"
TAGGED = "store/lua/shared/tagged.lua"
BACK = "store/lua/shared/turns_back.lua"

TAKEN_IN_TURN = (
    Mutant(
        "a new key begins where it would have been without a pause", TAGGED,
        "math.max(times[kind.queue], times[kind.of])", "times[kind.of]", TURNS,
    ),
    Mutant(
        "nobody hears of a job with a key that has become due", KEYED,
        "    queue.n_keyed = queue.n_keyed + found.n_keyed\n", "", TURNS,
    ),
    Mutant(
        "nobody hears of a job with a key that was given back", KEYED,
        "      claim.queue.n_keyed = claim.queue.n_keyed + 1\n", "", TURNS,
    ),
    Mutant(
        "who has no key had waited for its key's turn", "store/lua/step/claim.lua",
        'claims.waits[n_claimed] = tag_of[i] and "f"', 'claims.waits[n_claimed] = "f"', TURNS,
    ),
    Mutant(
        "all keys weigh the same", TAGGED,
        "starts + kind.turn", "starts + TURN", TURNS,
    ),
    Mutant(
        "the turns of a queue's keys don't move its time on", KEYED,
        "queue.now, queue.moved = math.max(queue.now, tag), true", "queue.moved = true", TURNS,
    ),
    Mutant(
        "jobs without a key have all turns before those with one", KEYED,
        "(not tag or starts <= tag)", "true", TURNS,
    ),
    Mutant(
        "what is released has lost its turn", "store/lua/shared/keyed_back.lua",
        "tag_text(tag_number(tag)) ..", "tag_text(TURN * 1000) ..", TURNS,
    ),
    Mutant(
        "what has no room in a reply goes to the head of the queue", "store/lua/step/claim.lua",
        "    if back[i].tag then\n      in_turn", "    if false then\n      in_turn", TURNS,
    ),
    Mutant(
        "who is cancelled before its turn has had it", "store/lua/cancel.lua",
        "turns_back(waited)", "", TURNS,
    ),
    Mutant(
        "who is purged before its turn has had it", "store/lua/purge.lua",
        "  turns_back(over)", "", TURNS,
    ),
    Mutant(
        "who has had its turn gives it back when it is cancelled behind a door",
        "store/lua/cancel.lua",
        "    if is_behind then", "    if false then", TURNS,
    ),
    Mutant(
        "turns that touch are given back one at a time", BACK,
        "      if ends_before == starts then", "      if false then", TURNS,
    ),
    Mutant(
        "turns that are given back don't go on with those behind them", BACK,
        "      if starts_after == ends then", "      if false then", TURNS,
    ),
    Mutant(
        "turns that wait to be given back are forgotten before they are over", KEYED,
        'string.match(some[s + 1], "^%x+")', "some[s + 1]", TURNS,
    ),
    Mutant(
        "who is purged where it waits for a limit gives no turn back", "store/lua/purge.lua",
        "  gather(members)\n  waited(members)\n  for take", "  gather(members)\n  for take", TURNS,
    ),
    Mutant(
        "who had its turn before it was parked gives it back", "store/lua/cancel.lua",
        "    if is_behind then\n      return", "    if false then\n      return", TURNS,
    ),
    Mutant(
        "a queue in which jobs wait for their turns is forgotten", "store/lua/forget_queues.lua",
        "waiting + keyed == length", "waiting == length", TURNS,
    ),
    Mutant(
        "jobs that wait for their turns aren't counted in a full queue",
        "store/lua/enqueue/enqueue.lua",
        '+ redis.call("ZLEXCOUNT", fair, ', '+ 0 * redis.call("ZLEXCOUNT", fair, ', TURNS,
    ),
    Mutant(
        "who had a turn too many keeps it when no key waits", KEYED,
        "queue.now = queue.now + LONGEST", "queue.now = queue.now", MODEL,
    ),
    Mutant(
        "keys are remembered for ever", "store/lua/step/look.lua",
        "is_turnless = redis", "is_turnless = false and redis", TURNS,
    ),
    Mutant(
        "a key is forgotten before its turn is over", KEYED,
        'tag_number(string.match(some[s + 1], "^%x+")) <= now then', "true then", MODEL,
    ),
)  # fmt: skip
