"""Mutants of what becomes of a job with a caller's id when another one comes with it."""

from __future__ import annotations

from tests.mutants.mutant import Killers, Mutant

IDS: Killers = ("tests/store/contract/test_ids.py",)
FORGET = "store/lua/shared/forget.lua"
RENEWED = "store/lua/shared/renewed_id.lua"
HOLDER = "store/lua/enqueue/holder.lua"
TAKES_OVER = "store/lua/enqueue/takes_over.lua"
REPLACE = "store/lua/replace.lua"
ASK = "store/lua/shared/ask.lua"

SAME = (
    Mutant(
        "an id is remembered as long as any other", FORGET,
        "after_end or retention_ms", "retention_ms", IDS,
    ),
    Mutant("the end of a cooldown is forgotten", FORGET, ", till or 0)", ", 0)", IDS),
    Mutant(
        "a cooldown begins once", RENEWED,
        "cooldown and now_ms + cooldown or till", "till or cooldown and now_ms + cooldown", IDS,
    ),
    Mutant(
        "who is replaced again and again is never due", RENEWED,
        "latest or max_wait", "max_wait", IDS,
    ),
    Mutant(
        "an id is taken by whatever claim of the job there is", HOLDER,
        'string.match(claim, "^%d+") == step', "true", IDS,
    ),
    Mutant(
        "an id is taken from a job that has none any more", HOLDER,
        "local is_here = holder == uid and ", "local is_here = ", IDS,
    ),
    Mutant(
        "an id is taken from a dead job that was revived", HOLDER,
        'is_here = redis.call("ZSCORE", dead, uid)', "is_here = true", IDS,
    ),
    Mutant(
        "two have an id", TAKES_OVER, 'redis.call("HSET", id_of, uid, "\\0" .. its_id)', "", IDS,
    ),
    Mutant(
        "nobody knows of the limit of runs of an id", "store/lua/shared/limits_of.lua",
        "limit.interval, limit.most = 0, 1", "", IDS,
    ),
    Mutant(
        "a dead job that was purged keeps its id for ever", HOLDER,
        'how == "dead" and holder == "dead:" .. uid', "false", IDS,
    ),
    Mutant(
        "two of an id run once the one that waits is cancelled", "core/same.py",
        "return (take_of_id(id),) if", "return () if",
        ("tests/client/test_conflicts.py", "-k", "at_once_also"),
    ),
    Mutant(
        "who is replaced takes a slot of its id twice", REPLACE,
        "takes = is_taken(own) and takes or", "takes =", IDS,
    ),
    Mutant(
        "who isn't tried again has no next run", "store/lua/shared/asked.lua",
        '(nth ~= "0" or not take_back(uids[c]))', "true", IDS,
    ),
    Mutant(
        "who is put back runs beside whoever has its id by then",
        "store/lua/shared/take_back.lua", "      return false\n", "", IDS,
    ),
    Mutant(
        "an id that came back is forgotten as its last job's", "store/lua/shared/take_back.lua",
        '  redis.call("ZREM", ended, id)\n', "", IDS,
    ),
    Mutant(
        "who has lost its id forgets it for whoever has it", "store/lua/shared/forget.lua",
        "stored and string.byte(stored) ~= 0 then", "stored then", IDS,
    ),
    Mutant(
        "who runs holds no slot of its id", TAKES_OVER,
        "    bump(takes_over.slots, take, 1)\n", "", IDS,
    ),
    Mutant(
        "who runs takes a slot of its id for each that comes", TAKES_OVER,
        'if not takes_it(held or "") then', "if true then", IDS,
    ),
    Mutant(
        "who is revived runs beside the newest of its id", TAKES_OVER,
        '    redis.call("HSET", flow, uid, row .. "\\n" .. take)\n', "", IDS,
    ),
    Mutant(
        "who runs once more is told to end", TAKES_OVER,
        'takes_over.how == "again")', "false)", IDS,
    ),
    Mutant(
        "nobody hears a cancel of what was asked quietly", ASK,
        'if not before or not quietly and string.match(before, "^0:") then',
        "if not before then", IDS,
    ),
    Mutant(
        "who asks quietly takes a loud one's place", ASK,
        'or not quietly and string.match(before, "^0:") then', "or quietly then", IDS,
    ),
    Mutant(
        "an engine that has heard of more asks than there were is told of quiet ones",
        "store/lua/step/reply.lua", ' and nth ~= "0"', "", IDS,
    ),
    Mutant(
        "a late copy replaces what came since", REPLACE,
        "remember(sender, number, word)\n", "", IDS,
    ),
    Mutant("a dead job is replaced", REPLACE, 'word = "dead"', "word = nil", IDS),
    Mutant(
        "a job is replaced that has its id no longer", REPLACE,
        'redis.call("HGET", ids, id) ~= uid or ', "", IDS,
    ),
    Mutant(
        "who waits for one turn gets another's", REPLACE, 'word = "differs"', "word = nil", IDS,
    ),
    Mutant(
        "who is replaced before the end of the run before it doesn't wait for that", REPLACE,
        "  takes = is_taken(own) and takes or takes .. \"\\n\" .. own\n", "", IDS,
    ),
    Mutant(
        "who waits for what it doesn't take any more waits on", REPLACE,
        "elseif room and not is_taken", "elseif false and not is_taken", IDS,
    ),
    Mutant(
        "a payload outlives the one that replaces it", REPLACE,
        '  redis.call("HDEL", big, uid)\n', "", IDS,
    ),
    Mutant(
        "a replaced job is due when the last one says, however late", REPLACE,
        "latest or math.huge", "math.huge", IDS,
    ),
    Mutant(
        "who supersedes the next run isn't told of the one before", REPLACE,
        'after = " " .. held[h]', 'after = ""', IDS,
    ),
    Mutant(
        "a new payload pays for the failures of the older", REPLACE,
        'redis.call("HDEL", attempts, uid)\n', "", IDS,
    ),
    Mutant(
        "a new payload pays for the engines that died of the older", REPLACE,
        'redis.call("HDEL", reaps, uid)\n', "", IDS,
    ),
    Mutant("nobody hears that it is due sooner", REPLACE, "ring(bell)\n", "", IDS),
)  # fmt: skip
