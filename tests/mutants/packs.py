"""Mutants of claims that lie together."""

from __future__ import annotations

from tests.mutants.mutant import Killers, Mutant

PACKS: Killers = ("tests/store/contract/test_packs.py",)

FIND = "store/lua/step/find.lua"
SETTLE = "store/lua/step/settle.lua"
HOLD = "store/lua/step/hold.lua"
HELD = "store/lua/shared/held.lua"

PACKED = (
    Mutant(
        "beside a pack, one alone is settled for whatever claim there is", FIND,
        "if claim and string.find(claim, claimed_by[l], 1, true) == 1 then", "if claim then", PACKS,
    ),
    Mutant(
        "a pack is settled whole for whatever claim there is", FIND,
        "if pack and pack.step == step and pack.n_out == 0", "if pack and pack.n_out == 0", PACKS,
    ),
    Mutant(
        "a pack is settled whole though one of it has ended", FIND,
        "pack.step == step and pack.n_out == 0 and not returns",
        "pack.step == step and not returns", PACKS,
    ),
    Mutant(
        "a pack ends whole with the first of it", FIND,
        'table.concat(ARGV, " ", uids_at + i, uids_at + till) == pack.uids', "true", PACKS,
    ),
    Mutant(
        "a pack that goes back goes whole", FIND,
        "pack.n_out == 0 and not returns", "pack.n_out == 0", PACKS,
    ),
    Mutant(
        "a pack ends with claims of other verbs", FIND,
        " and till <= groups[g].last\n", "\n", PACKS,
    ),
    Mutant(
        "of another step's pack one may be settled", FIND,
        "if pack.step == step and pack.n_out < pack.count then",
        "if pack.n_out < pack.count then", PACKS,
    ),
    Mutant(
        "one of a pack is settled twice", FIND,
        "pack.n_out < pack.count and not pack.out[uid]", "pack.n_out < pack.count", PACKS,
    ),
    Mutant(
        "one of a pack that has ended whole is settled once more", FIND,
        "elseif pack.n_out < pack.count and not", "elseif not", PACKS,
    ),
    Mutant(
        "one of a pack goes to a queue that the step doesn't name", FIND,
        "\n            and not (returns and not queue_of(pack.from)) then", " then", PACKS,
    ),
    Mutant(
        "a pack of which one has ended is gone", SETTLE,
        "if pack.n_out > 0 and pack.n_out < pack.count then", "if false then", PACKS,
    ),
    Mutant(
        "who is left before the last that ended is gone", SETTLE,
        "        part()\n        rest, at", "        rest, at", PACKS,
    ),
    Mutant(
        "who is left as the last of a pack is gone", SETTLE,
        "    else\n      part()\n", "    else\n", PACKS,
    ),
    Mutant(
        "what is left of a pack has the places of others", SETTLE,
        "rest, at = {}, nth + 1", "rest = {}", PACKS,
    ),
    Mutant(
        "who is left behind isn't counted as held", SETTLE,
        "      n_packed = n_packed + #rest\n", "", PACKS,
    ),
    Mutant(
        "who has ended is counted as held", SETTLE,
        "    n_packed = n_packed - pack.count\n", "", PACKS,
    ),
    Mutant(
        "few lie together, too", "store/lua/step/step.lua",
        "count > 1 and count >= pack_max / 2", "count > 1", PACKS,
    ),
    Mutant(
        "a space in a uid parts it in two", HOLD, "if not has_space and", "if", PACKS,
    ),
    Mutant(
        "a uid of no letters lies among others", HOLD,
        ' and not string.find(" " .. pack .. " ", "  ", 1, true)', "", PACKS,
    ),
    Mutant(
        "nobody counts what lies in packs", "store/lua/shared/in_packs.lua",
        'tonumber(string.match(last, "^%d+%+(%d+)") or 0)', "last and 0", PACKS,
    ),
    Mutant(
        "a beat doesn't count what lies in packs", "store/lua/beat.lua",
        "held + in_packs(last)", "held", PACKS,
    ),
    Mutant(
        "all that come alone are the last one", HOLD,
        "alone[#alone + 1] = claimed[each]", "alone[#alone + 1] = claimed[lot.last]", PACKS,
    ),
    Mutant(
        "a step that comes again isn't told of packs", "store/lua/step/again.lua",
        "if tonumber(pack.step) == number then", "if false then", PACKS,
    ),
    Mutant(
        "a step that comes again is told of the packs of others", "store/lua/step/again.lua",
        "if tonumber(pack.step) == number then", "if true then", PACKS,
    ),
    Mutant(
        "a reap puts no packs back", HELD,
        "in ipairs(packs) do\n    for uid, nth", "in ipairs({}) do\n    for uid, nth", PACKS,
    ),
    Mutant(
        "who lies in a pack that nobody can read is lost", HELD,
        "      astray[#astray + 1] = uid\n", "", PACKS,
    ),
    Mutant(
        "a sign-off leaves packs to the reaper", "store/lua/sign_off.lua",
        "    redis.call(\"HDEL\", packs, pack.field)\n", "", PACKS,
    ),
    Mutant(
        "who lies in a pack is cancelled as if it waited", "store/lua/shared/claims_of.lua",
        ' or step_of[uids[i]]\n', "\n", PACKS,
    ),
    Mutant(
        "of packs nobody says anything", "store/lua/note.lua",
        ' or in_pack(uid)\n', "\n", PACKS,
    ),
    Mutant(
        "beats are counted upwards: older versions reap the engine", "store/lua/beat.lua",
        "bump(beats, boot, -1)", "bump(beats, boot, 1)", PACKS,
    ),
    Mutant(
        "who hasn't beaten yet may be reaped by an older version", "store/lua/register.lua",
        'redis.call("HSET", beats, boot, "-1")', 'redis.call("HSET", beats, boot, "0")', PACKS,
    ),
    Mutant(
        "who died in an older version is never reaped", "store/lua/reap.lua",
        "if beaten and beaten < 0 then", "if beaten then", PACKS,
    ),
    Mutant(
        "a pack counts as one job", "store/inspect/moment.py",
        "kept.pack_count(pack)", "1", PACKS,
    ),
    Mutant(
        "a job in a pack seems to wait", "store/inspect/jobs.py",
        "if is_alone or any(uid in kept.pack_uids(pack) for pack in packs):", "if is_alone:", PACKS,
    ),
    Mutant(
        "nobody finds those that run in packs", "store/inspect/living.py",
        "found.update(kept.pack_uids(pack))", "pass", PACKS,
    ),
)  # fmt: skip
