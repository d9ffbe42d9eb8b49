"""Mutants of the scripts that ask runs to end, tell of ends and keep them, and note things."""

from __future__ import annotations

from tests.mutants.mutant import Killers, Mutant

LUA = "store/lua"

ASKED: Killers = ("tests/store/contract/test_cancel.py",)
WAITED: Killers = ("tests/store/contract/test_waits.py",)
NOTED: Killers = ("tests/store/contract/test_notes.py",)

TOLD = (
    Mutant(
        "who asks again doesn't ring again", f"{LUA}/shared/ask.lua",
        "  if not quietly then\n", "  if not quietly and not before then\n", ASKED,
    ),
    Mutant(
        "a server that went back in time tells of no asks", f"{LUA}/step/reply.lua",
        "(tonumber(nth) > known or known > tonumber(n_asked))",
        "tonumber(nth) > known", ASKED,
    ),
    Mutant(
        "asks are told in any order", f"{LUA}/step/reply.lua",
        "  table.sort(new, function(a, b) return a.nth < b.nth end)\n",
        "", ASKED,
    ),
    Mutant(
        "an ask outlives its claim", f"{LUA}/step/settle.lua",
        '    redis.call("HDEL", asks, unpack(uids))\n',
        "", ASKED,
    ),
    Mutant(
        "who is cancelled instead of going back goes back for another", f"{LUA}/step/settle.lua",
        "    holds[claim.i], n_out = false, n_out + 1\n"
        "  end\n"
        "  local uids",
        "    holds[claim.i] = false\n"
        "  end\n"
        "  local uids", ASKED,
    ),
    Mutant(
        "how many asks an engine was sent outlives it", f"{LUA}/sign_off.lua",
        '  redis.call("HDEL", asked, boot)\n',
        "", ASKED,
    ),
    Mutant(
        "asks of an engine that has signed off stay", f"{LUA}/sign_off.lua",
        'redis.call("DEL", running, packs, asks, own_bell)',
        'redis.call("DEL", running, packs, own_bell)', ASKED,
    ),
    Mutant(
        "asks of an engine that was reaped stay", f"{LUA}/reap.lua",
        'redis.call("DEL", running, packs, asks, own_bell)',
        'redis.call("DEL", running, packs, own_bell)', ASKED,
    ),
    Mutant(
        "who ran alone but for those that are cancelled is blamed", f"{LUA}/reap.lua",
        "if entry.suspect or #entries == 1 then",
        "if entry.suspect or #left == 1 then", ASKED,
    ),
    Mutant(
        "a step that comes again doesn't tell who was cancelled", f"{LUA}/step/step.lua",
        '(cancelled[1] and "|" .. table.concat(cancelled, " ") or "")', '""', ASKED,
    ),
    Mutant(
        "who was told is told again", f"{LUA}/shared/tell.lua",
        '    redis.call("HDEL", waits, unpack(gone))\n',
        "", WAITED,
    ),
    Mutant(
        "an end that somebody waited for is kept for a moment", f"{LUA}/shared/finished.lua",
        "waited[i] and 60000 or 0",
        "waited[i] and 60 or 0", WAITED,
    ),
    Mutant(
        "a short time to keep a result is all that who waits has", f"{LUA}/shared/finished.lua",
        "math.max(keeps_ms and tonumber(keeps_ms[i]) or 0, waited[i] and 60000 or 0)",
        "keeps_ms and tonumber(keeps_ms[i]) or waited[i] and 60000 or 0", WAITED,
    ),
    Mutant(
        "any number of clients may wait for a job", f"{LUA}/wait_for.lua",
        "if not is_noted and #clients + #client <= 4096 then",
        "if not is_noted then", WAITED,
    ),
    Mutant(
        "whose end an id remembers isn't looked at", f"{LUA}/wait_for.lua",
        "whose == uid and not over",
        "not over", WAITED,
    ),
    Mutant(
        "the ends in one answer have any size", f"{LUA}/wait_for.lua",
        "  left = left - #value\n",
        "", WAITED,
    ),
    Mutant(
        "a result is there at the end of its time", f"{LUA}/wait_for.lua",
        "tonumber(at) <= now_ms",
        "tonumber(at) < now_ms", WAITED,
    ),
    Mutant(
        "a beat forgets no results", f"{LUA}/beat.lua",
        "sweep(2500, now_ms)\n",
        "", WAITED,
    ),
    Mutant(
        "who waits for a job that dies isn't told", f"{LUA}/shared/die.lua",
        "  tell(uids, ends)\n",
        "", WAITED,
    ),
    Mutant(
        "notes outlive their jobs", f"{LUA}/shared/forget.lua",
        "{ big, attempts, reaps, history, reasons, notes, flow }",
        "{ big, attempts, reaps, history, reasons, flow }", NOTED,
    ),
    Mutant(
        "a note counts for whatever claim of the job there is", f"{LUA}/note.lua",
        "if held == step then",
        "if held then", NOTED,
    ),
    Mutant(
        "a note of any size is told", f"{LUA}/step/reply.lua",
        "note and #note <= 20000 and note",
        "note", NOTED,
    ),
)  # fmt: skip
