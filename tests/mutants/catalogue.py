"""What is broken on purpose, one thing at a time, and which part of the suite must notice.

A mutant is a text that stands once in a file of ``trioq/``, and another in its place.
"""

from __future__ import annotations

from tests.mutants.asks import ASKS
from tests.mutants.blames import BLAMES
from tests.mutants.bytes import BYTES
from tests.mutants.clients import CLIENTS
from tests.mutants.deadlines import DEADLINES
from tests.mutants.deps import DEPS
from tests.mutants.django import DJANGO
from tests.mutants.faces import FACES, SETTINGS
from tests.mutants.files import FILES
from tests.mutants.fits import FITS
from tests.mutants.follows import FOLLOWS
from tests.mutants.frameworks import FRAMEWORKS
from tests.mutants.goes import GOES
from tests.mutants.hands import IN_A_ROW
from tests.mutants.ids import SAME
from tests.mutants.kit import KIT
from tests.mutants.limits import LIMITED
from tests.mutants.listing import LISTING
from tests.mutants.looked import LOOKED
from tests.mutants.loops import LOOPS
from tests.mutants.mutant import Killers, Mutant
from tests.mutants.notes import NOTES_MUTANTS
from tests.mutants.packs import PACKED
from tests.mutants.parts import AROUND, DURING, HANDLERS, READ, SEEN
from tests.mutants.pauses import PAUSED
from tests.mutants.pressure import PRESSURE
from tests.mutants.processes import PROCESSES
from tests.mutants.returns import RETURNS
from tests.mutants.runners import RUNNERS
from tests.mutants.servers import SERVERS
from tests.mutants.shares import SHARED
from tests.mutants.stops import STOPS
from tests.mutants.surroundings import SURROUNDINGS
from tests.mutants.ticks import TICKED
from tests.mutants.told import TOLD
from tests.mutants.turns import TAKEN_IN_TURN
from tests.mutants.waited import WAITED
from tests.mutants.wrong import WRONG

__all__ = ["CHAPTERS", "MUTANTS", "Killers", "Mutant"]  # fmt: skip

MODEL: Killers = ("props/test_store.py",)
ATTEMPTS: Killers = ("props/test_attempts.py",)
SCHEDULE: Killers = ("props/test_schedule.py",)
IDS: Killers = ("props/test_ids.py",)
LEASES: Killers = ("props/test_leases.py",)
SEARCH: Killers = ("props/test_protocol.py", "-k", "scripts_do")
NETWORK: Killers = ("tests/faults/test_network.py",)
BATCHES: Killers = ("tests/client/test_many.py",)
CONTRACT: Killers = ("tests/store/contract/test_enqueue.py",)
FORGOTTEN: Killers = ("tests/store/test_scripts_live.py", "-k", "forgotten")
CLOCK: Killers = ("tests/faults/test_clock.py", "-k", "repeated")
STORM: Killers = ("tests/faults/test_network_engine.py",)
PLACES: Killers = ("tests/faults/test_failpoints.py", "-k", "cancelled or fail_at")
BOOT: Killers = ("tests/engine/shard/test_boot.py",)
ENGINE: Killers = ("tests/engine/test_engine.py",)
JOBS: Killers = ("tests/engine/runs/test_jobs.py",)
RESENDING: Killers = ("tests/engine/shard/test_resending.py",)
LOST: Killers = ("tests/engine/shard/test_lost_boots.py",)
DISPATCHER: Killers = ("tests/engine/shard/test_dispatcher.py",)
HEARTBEAT: Killers = ("tests/engine/shard/test_heartbeat.py",)
REAPER: Killers = ("tests/engine/shard/test_reaper.py", "tests/core/test_watch.py")
WORKER: Killers = ("tests/engine/runs/test_worker.py", *JOBS)
BRIDGE: Killers = ("tests/engine/test_bridge.py",)
EDGES: Killers = ("tests/engine/test_edges.py",)
WAITS: Killers = ("tests/core/test_pace.py", "tests/engine/shard/test_waits.py")
BELL: Killers = ("tests/engine/shard/test_bell.py", "tests/engine/shard/test_dispatcher.py")
BACKLOG: Killers = ("tests/engine/test_backlog.py",)
DUE: Killers = ("tests/engine/shard/test_due.py",)
STOPPED: Killers = ("tests/faults/test_stopped_engines.py",)
RUNS: Killers = ("tests/engine/runs/test_runs.py",)
APPETITE: Killers = ("tests/engine/test_appetite.py",)
FORKS: Killers = ("tests/engine/test_forks.py",)
OUTAGE: Killers = ("tests/engine/test_outage.py",)
BELLS: Killers = ("tests/store/contract/test_bells.py",)
DOORS: Killers = ("tests/store/contract/test_doors.py",)
PACKS: Killers = ("tests/store/contract/test_packs.py",)
CLAIMS: Killers = ("tests/store/contract/test_claims.py", "tests/store/test_scripts_live.py")
STEPPING: Killers = ("tests/store/test_stepping.py",)
STEPS: Killers = ("tests/store/contract/test_steps.py",)
CANCELS: Killers = ("tests/store/contract/test_cancel.py",)
NAMES: Killers = ("tests/store/contract/test_queue_names.py",)
NUDGING: Killers = ("tests/store/test_nudge.py",)
SUMMARIES: Killers = (
    "tests/store/contract/test_settlements.py", "tests/store/test_inspect.py",
)  # fmt: skip
LANE: Killers = ("tests/store/test_lane.py",)
PURE: Killers = (
    "tests/core/test_pacemaker.py", "tests/core/test_watch.py", "tests/core/test_retry.py",
    "tests/core/test_breaker.py", "tests/core/test_limiter.py",
)  # fmt: skip


STEP = "store/lua/step/step.lua"
CLAIM = "store/lua/step/claim.lua"
HOLD = "store/lua/step/hold.lua"
ALONE = "store/lua/step/alone.lua"
SETTLE = "store/lua/step/settle"
FIND = "store/lua/step/find.lua"
GIVE_BACK = "store/lua/shared/give_back.lua"
REAP = "store/lua/reap.lua"
ENQUEUE = "store/lua/enqueue/enqueue.lua"
ENQUEUE_ONE = "store/lua/enqueue/one.lua"
ENQUEUE_ANY = "store/lua/enqueue/any.lua"
ENQUEUE_PLAIN = "store/lua/enqueue/plain.lua"

SCRIPTS = (
    Mutant(
        "a settlement counts for whatever claim of the job there is", FIND,
        "if holds[i] and string.find(holds[i], claim, 1, true) ~= 1 then", "if false then", MODEL,
    ),
    Mutant(
        "who parks a job closes its door", "store/stepping.py",
        "doors.setdefault((park.queue, park.name), 0)", "doors[park.queue, park.name] = 0", DOORS,
    ),
    Mutant(
        "what is parked by a step isn't seen by it", f"{SETTLE}/park.lua",
        "      door.length = door.length + #uids\n", "", DOORS,
    ),
    Mutant(
        "a step promotes a batch of each queue", "store/lua/step/promote.lua",
        "    room = room - #due\n", "", CLAIMS,
    ),
    Mutant(
        "an engine makes step after step at the door of a paused queue", "engine/shard/demand.py",
        "(reply.parked is not None and bool(self._open_doors(1)))", "bool(self._open_doors(1))",
        DISPATCHER,
    ),
    Mutant(
        "what is settled to be due at once waits for the next step", STEP,
        "local is_due, may_pack = has_queues, has_queues",
        "local is_due, may_pack = false, has_queues", CLAIMS,
    ),
    Mutant(
        "a step of any smaller number is executed", STEP,
        "if number < last_number then", "if false then", MODEL,
    ),
    Mutant(
        "a step may leave numbers out", STEP,
        "elseif number > last_number + 1 then", "elseif false then", MODEL,
    ),
    Mutant(
        "a step that comes again is executed again", STEP,
        "if number == last_number then", "if false then", NETWORK,
    ),
    Mutant(
        "a step that comes again is not told what was refused", STEP,
        'refusals ~= "" and now_at .. " " .. refusals or now_at', "now_at", MODEL,
    ),
    Mutant(
        "a step is no sign of life", REAP,
        "beaten + stepped ~= tonumber(seen)", "beaten ~= tonumber(seen)", MODEL,
    ),
    Mutant(
        "what is settled stays in running", f"{SETTLE}.lua",
        'redis.call("HDEL", running, unpack(alone)) < #alone then', "false then", MODEL,
    ),
    Mutant(
        "a finished job keeps its record", f"{SETTLE}/ack.lua",
        'forget(uids, "done"', 'forget_beside(uids, "done"', MODEL,
    ),
    Mutant(
        "failed attempts are not written down", f"{SETTLE}/retry.lua",
        'redis.call("HSET", attempts, unpack(pairs_of(uids, tries)))\n', "", MODEL,
    ),
    Mutant(
        "a released job goes to the tail", GIVE_BACK,
        'redis.call("RPUSH", list, unpack(uids))', 'redis.call("LPUSH", list, unpack(uids))', MODEL,
    ),
    Mutant(
        "released jobs go back in the order in which they ended", f"{SETTLE}/release.lua",
        "    table.sort(origins, in_order)", "    ", SEARCH,
    ),
    Mutant(
        "a job is due a millisecond late", "store/lua/step/promote.lua",
        "if first and first <= now_ms and", "if first and first < now_ms and", MODEL,
    ),
    Mutant(
        "an engine gets a suspect of each queue", CLAIM,
        "      may_take_suspect = false\n", "", MODEL,
    ),
    Mutant(
        "an engine gets a suspect though it holds one", CLAIM,
        'local may_take_suspect = suspect == "1"', "local may_take_suspect = true", MODEL,
    ),
    Mutant(
        "a paused queue is claimed from", CLAIM,
        " and not is_paused[queue.name] then", " then", MODEL,
    ),
    Mutant(
        "no bell for what a step leaves behind", "store/lua/step/bells.lua",
        "if n_ready > queue.n_dropped or has_suspects or queue.n_open > 0 then",
        "if false then", MODEL,
    ),
    Mutant(
        "a cancelled job that a claim meets is called a stray", STEP,
        'redis.call("SREM", queue.dropped, uid) == 0 then', "true then", MODEL,
    ),
    Mutant(
        "one claim too many is claimed and nobody told", HOLD,
        'table.concat(uids, " ", from, till)', 'table.concat(uids, " ", from, till - 1)', PACKS,
    ),
    Mutant(
        "a dead job keeps no reason", "store/lua/shared/die.lua",
        '  redis.call("HSET", reasons, unpack(reason_of))\n', "", MODEL,
    ),
    Mutant(
        "claims of a later step go back before those of an earlier one", GIVE_BACK,
        "return a.step < b.step", "return a.step > b.step", MODEL,
    ),
    Mutant(
        "who comes to an empty door is not noted", f"{SETTLE}/park.lua",
        'string.format("%d:%d", now_ms, #uids)', 'string.format("%d:0", now_ms)', MODEL,
    ),
    Mutant(
        "a suspect that is given back is nobody's news", f"{SETTLE}/release.lua",
        'suspects_moved = suspects_moved or origin.suspect', "local _ = suspects_moved",
        BELLS,
    ),
    Mutant(
        "a step settles a claim twice, as two verbs say", f"{SETTLE}.lua",
        "if uid and met[uid] then", "if false then", MODEL,
    ),
    Mutant(
        "what is over the bound of a step is overtaken", CLAIM,
        "if is_full or record and", "if record and", MODEL,
    ),
    Mutant(
        "who fails and is claimed by the same step has never failed", f"{SETTLE}/retry.lua",
        "    has_attempts = true  -- of", "    -- of", CLAIMS,
    ),
    Mutant(
        "a second pack has the place of the first", HOLD,
        "together[#together + 1] = claims_of .. from",
        "together[#together + 1] = claims_of .. first + 1", PACKS,
    ),
    Mutant(
        "what many hold is searched end to end", STEP,
        "n_alone <= 32 and n_alone + #claims / 2 > 32", "n_alone == 0 and #claims / 2 > 32", CLAIMS,
    ),
    Mutant(
        "who is done keeps what else there was of the job", f"{SETTLE}/ack.lua",
        "has_more = n_beside > 0 or has_attempts or", "has_more = false and", MODEL,
    ),
    Mutant(
        "who is refused leaves a summary", f"{SETTLE}.lua",
        "if n_out == 0 then\n    return text", "if true then\n    return text", SUMMARIES,
    ),
    Mutant(
        "summaries go as soon as enough are kept with them", "store/lua/shared/summarise.lua",
        "counted - before >= keep_done", "counted - before > keep_done - 2", SUMMARIES,
    ),
    Mutant(
        "summaries stay where the counter has begun anew", "store/lua/shared/summarise.lua",
        "before > counted or ", "", SUMMARIES,
    ),
    Mutant(
        "a single finished job keeps its record", ALONE,
        'redis.pcall("HDEL", jobs, uid)', "1", CLAIMS,
    ),
    Mutant(
        "what stands first in a queue is all that is there", ALONE,
        "local record = #uids == 1 and", "local record = uids[1] and", CLAIMS,
    ),
    Mutant(
        "who ends one of several jobs holds none", ALONE,
        "if #held == 2 and held[1] == uid and", "if held[1] and", CLAIMS,
    ),
    Mutant(
        "the end of an older claim counts, if the job is the only one", ALONE,
        " and string.find(held[2], claim, 1, true) == 1", "", CLAIMS,
    ),
    Mutant(
        "what could not be ended leaves a summary", ALONE,
        'redis.call("LTRIM", done, 2, -1)', "local _", CLAIMS,
    ),
    Mutant(
        "who has all that is there doesn't look what else there is", ALONE,
        "if record and #record <= RECORD_MAX then", "if record then", CLAIMS,
    ),
    Mutant(
        "nobody looks for summaries that are too old, where many are kept",
        "store/lua/shared/summarise.lua", "counted % 32 >= count", "counted % 32 >= 0", SUMMARIES,
    ),
    Mutant(
        "what an ack counts is all that was ever done", "store/lua/shared/summarise.lua",
        'string.format("%d", before + more)', 'string.format("%d", more)', MODEL,
    ),
    Mutant(
        "a counter that is none can't be counted on", "store/lua/shared/summarise.lua",
        'string.match(counted or "", "^%d+$") or 0', 'tonumber(counted or 0)', SUMMARIES,
    ),
    Mutant(
        "who runs something, and has nothing to settle, runs nothing", "store/lua/step/look.lua",
        "if n_settled == 0 and not n_alone then\n", "if false then\n", CLAIMS,
    ),
    Mutant(
        "a step that comes again tells its claims in any order", "store/lua/step/again.lua",
        "table.sort(mine, function(a, b) return a.nth < b.nth end)\n", "",
        ("tests/store/contract/test_steps.py", "tests/store/test_scripts_live.py"),
    ),
    Mutant(
        "of several queues the last one's due time is told", "store/lua/step/reply.lua",
        "if first and (next_due < 0 or first < next_due) then", "if first then",
        ("tests/store/contract/test_claims.py", "tests/store/test_scripts_live.py"),
    ),
    Mutant(
        "what is over the bound of a step isn't told of", "store/lua/step/claim.lua",
        "      lot.queue.n_ready = lot.queue.n_ready + 1\n", "",
        ("tests/store/contract/test_claims.py", "tests/store/test_scripts_live.py"),
    ),
    Mutant(
        "what is due later takes the room of two", ENQUEUE,
        "(queue.due and #queue.due / 2 or 0)", "(queue.due and #queue.due or 0)", CONTRACT,
    ),
    Mutant(
        "queues far down the list aren't looked at", "store/lua/step/look.lua",
        "look(half + 1, last, there - below)", "local _ = last", CLAIMS,
    ),
    Mutant(
        "queues far up the list hide those below", "store/lua/step/look.lua",
        "for first = last + 1, bells_at, 128 do", "for first = last + 1, last do", CLAIMS,
    ),
    Mutant(
        "what alone is there is the first queue's", "store/lua/step/look.lua",
        "(read(k) and 1 or 0)", "(read(k) and 1 or 1)", CLAIMS,
    ),
    Mutant(
        "the name of a paused queue that is empty goes", "store/lua/step/unused.lua",
        " or is_paused[name]) then", ") then", NAMES,
    ),
    Mutant(
        "the name of a queue goes that only parked jobs are in", "store/lua/step/unused.lua",
        'redis.call("EXISTS", parked) == 0', "true", MODEL,
    ),
    Mutant(
        "a queue without a name rings", "store/lua/step/unname.lua",
        'redis.call("UNLINK", unpack(silenced))\n', "", MODEL,
    ),
    Mutant(
        "who goes back to a queue finds its name forgotten", "store/stepping.py",
        "if any(settlement.returns for settlement in step.settlements):", "if False:", STEPPING,
    ),
    Mutant(
        "what was put into one of many queues by hand is never found", "store/stepping.py",
        "if now >= self._look_at_all_at:", "if self._look_at_all_at < 0:", STEPPING,
    ),
    Mutant(
        "a step that is sent again names other queues", "store/stepping.py",
        "if step is not self._asked or", "if True or", STEPPING,
    ),
    Mutant(
        "a job ends only if the step names its queue", f"{SETTLE}.lua",
        "for i = group.first, group.verb.returns and group.last or 0 do",
        "for i = group.first, group.last do", STEPS,
    ),
    Mutant(
        "a reap doesn't look whether the engine lives", REAP,
        "if not beaten or beaten + stepped ~= tonumber(seen) then", "if false then", MODEL,
    ),
    Mutant(
        "a reap blames every job", REAP,
        "if entry.suspect or #entries == 1 then", "if true then", SEARCH,
    ),
    Mutant(
        "a job dies one crash late", REAP,
        ">= tonumber(max_reaps)", "> tonumber(max_reaps)", SEARCH,
    ),
    Mutant(
        "reaped jobs are no suspects", REAP,
        "return_to_queues(back, place, true)", "return_to_queues(back, place, false)", SEARCH,
    ),
    Mutant(
        "a reap leaves the engine's jobs in running", REAP,
        'redis.call("DEL", running, packs, asks', 'redis.call("DEL", packs, asks',
        MODEL,
    ),
    Mutant(
        "a reap forgets to put jobs back", REAP,
        "return_to_queues(back, place, true)\n", "", MODEL,
    ),
    Mutant(
        "who is registered may register again", "store/lua/register.lua",
        'if redis.call("HEXISTS", steps, boot) == 1 then', "if false then", MODEL,
    ),
    Mutant(
        "a beat is told well to whoever isn't registered", "store/lua/beat.lua",
        'if not last then\n  return { "gone" }\nend\n', 'last = last or "0"\n', MODEL,
    ),
    Mutant(
        "an engine that signs off stays registered", "store/lua/sign_off.lua",
        'redis.call("HDEL", steps, boot)\n', "", MODEL,
    ),
    Mutant(
        "what an engine held goes back in the wrong order", GIVE_BACK,
        "for c = #claimed, 1, -1 do", "for c = 1, #claimed do", MODEL,
    ),
    Mutant(
        "what goes back rings no bell", "store/lua/shared/held.lua",
        "    ring(bell)\n", "", LEASES,
    ),
    Mutant(
        "jobs of several queues go back to one", "store/lua/shared/held.lua",
        "local keys = place[entry.from]", "local keys = place[entries[1].from]", SEARCH,
    ),
    Mutant(
        "a reap doesn't look again for a queue it isn't told of", REAP,
        "if #missing > 0 then", "if false then", SEARCH,
    ),
    Mutant(
        "a history keeps one line too many", "store/lua/shared/history.lua",
        "elseif not omitted and #lines > 25 then", "elseif not omitted and #lines > 26 then",
        ATTEMPTS,
    ),
    Mutant(
        "each queue has its own bound of what a step promotes", "store/lua/step/promote.lua",
        "room = room - #due", "local _ = due", SCHEDULE,
    ),
    Mutant(
        "an id that is used again is forgotten when its first job is",
        "store/lua/enqueue/more.lua", '  put("ZREM", ended, more.freed)\n', "", IDS,
    ),
    Mutant(
        "a job by itself is queued again where its number was forgotten", ENQUEUE_ONE,
        'redis.call("HEXISTS", jobs, uid) == 0', "true", FORGOTTEN,
    ),
    Mutant(
        "a job by itself rings where a bell was left", ENQUEUE_ONE,
        'is_rung = redis.call("LLEN", ready) == 0 or n_there == 2', "is_rung = false", BELLS,
    ),
    Mutant(
        "a job by itself rings no bell where others lie", ENQUEUE_ONE,
        'redis.call("LLEN", ready) == 0 or n_there == 2', "true", BELLS,
    ),
    Mutant(
        "the last write of a client may come again", "store/lua/shared/sender.lua",
        "elseif number == last then", "elseif false then", NETWORK,
    ),
    Mutant(
        "a late copy of a client's write counts", "store/lua/shared/sender.lua",
        "tonumber(number) > tonumber(last)", "tonumber(number) ~= tonumber(last)", NETWORK,
    ),
    Mutant(
        "a request that is repeated after a jump of the clock counts", ENQUEUE_ANY,
        "if is_there[uid] then", "if false then", FORGOTTEN,
    ),
    Mutant(
        "a request of plain jobs that is repeated after a jump of the clock counts", ENQUEUE_PLAIN,
        "if next(is_there) then", "if false then", CLOCK,
    ),
    Mutant(
        "of plain jobs that are repeated none is written once one is there", ENQUEUE_PLAIN,
        "if not is_there[ARGV[a]] then", "if not next(is_there) then", FORGOTTEN,
    ),
    Mutant(
        "plain jobs aren't bounded by their queue's max_length", ENQUEUE_PLAIN,
        "queue.new[n] = ARGV[a]", "queue.new[n], queue.max = ARGV[a], 0", CONTRACT,
    ),
    Mutant(
        "an enqueue doesn't remember its number", ENQUEUE,
        'remember(sender, number, answer)\nreturn { "ok"', 'return { "ok"', MODEL,
    ),
    Mutant(
        "an enqueue that was refused may come again", ENQUEUE,
        'remember(sender, number, answer)\n  return { "full"', 'return { "full"', MODEL,
    ),
    Mutant(
        "a new job rings no bell", ENQUEUE,
        "if not queue.is_rung then", "if false then", MODEL,
    ),
    Mutant(
        "a caller's id is looked at in this batch only", ENQUEUE_ANY,
        "known_ids[id] = values[i]", "known_ids[id] = nil", MODEL,
    ),
    Mutant(
        "a queue takes one more than its max_length", ENQUEUE,
        "queue.n_new - queue.max\n", "queue.n_new - queue.max - 1\n", MODEL,
    ),
    Mutant(
        "the limiter grants one too many", ENQUEUE_ANY,
        "if granted == permits then", "if granted > permits then", MODEL,
    ),
    Mutant(
        "a job that runs may be cancelled", "store/lua/cancel.lua",
        "  elseif claim_of[uid] then\n", "  elseif false then\n", CANCELS,
    ),
    Mutant(
        "a late copy of a cancel counts", "store/lua/cancel.lua",
        "remember(sender, number, answer)\n", "", CANCELS,
    ),
    Mutant(
        "a cancel doesn't look again for an engine that has come since",
        "store/lua/shared/claims_of.lua",
        "      return nil\n", "      return found\n", SEARCH,
    ),
    Mutant(
        "a cancel doesn't note what still lies in the queue", "store/lua/cancel.lua",
        '  redis.call("SADD", dropped, uid)\n', "", MODEL,
    ),
    Mutant(
        "who was cancelled behind a door is counted in its queue", "store/lua/cancel.lua",
        "is_behind and KEYS[doors_at + d] or KEYS[k + 2]", "KEYS[k + 2]", MODEL,
    ),
    Mutant(
        "who asks again takes the first one's place", "store/lua/shared/ask.lua",
        "if not before or not quietly", "if true or not quietly", CANCELS,
    ),
    Mutant(
        "an engine isn't rung for when it is asked something", "store/lua/shared/ask.lua",
        "    ring(claim.bell)\n", "", CANCELS,
    ),
    Mutant(
        "who was asked to end goes back to wait", "store/lua/step/settle.lua",
        "asked_to_end = divided(asks, back)", "asked_to_end = divided(asks, {})", CANCELS,
    ),
    Mutant(
        "a reap doesn't look at what was asked", REAP,
        "divided(asks, entries)", "divided(asks, {}), entries", CANCELS,
    ),
    Mutant(
        "a sign-off doesn't look at what was asked", "store/lua/sign_off.lua",
        "divided(asks, entries)", "divided(asks, {}), entries", CANCELS,
    ),
    Mutant(
        "an ask outlives its claim", "store/lua/step/settle.lua",
        '    redis.call("HDEL", asks, unpack(uids))\n', "", CANCELS,
    ),
    Mutant(
        "a step that comes again is not told whose job was cancelled", "store/lua/step/step.lua",
        'cancelled[1] and "|" .. table.concat(cancelled, " ") or ""', '""', CANCELS,
    ),
    Mutant(
        "an ask is told to who knows of it", "store/lua/step/reply.lua",
        "tonumber(nth) > known or ", "true or ", CANCELS,
    ),
    Mutant(
        "anybody says how far a job is", "store/lua/note.lua",
        "if held == step then", "if held then", ("tests/store/contract/test_notes.py",),
    ),
    Mutant(
        "a revived job keeps its failed attempts", "store/lua/revive.lua",
        "for _, key in ipairs({ attempts, reaps, reasons }) do\n    drop",
        "for _, key in ipairs({ reaps, reasons }) do\n    drop", MODEL,
    ),
    Mutant(
        "an ended id is forgotten at once", "store/lua/shared/forget.lua",
        "now_ms + (after_end or retention_ms)", "now_ms", MODEL,
    ),
    Mutant(
        "a queue is forgotten while it is paused", "store/lua/forget_queues.lua",
        'redis.call("SISMEMBER", paused, name) == 0', "true", NAMES,
    ),
    Mutant(
        "a queue is forgotten while jobs are scheduled in it", "store/lua/forget_queues.lua",
        'length("ZCARD", scheduled) == 0', "true", NAMES,
    ),
    Mutant(
        "a queue is forgotten while jobs are parked in it", "store/lua/forget_queues.lua",
        "not has_parked[name]", "true", NAMES,
    ),
    Mutant(
        "a forgotten queue leaves its bell", "store/lua/forget_queues.lua",
        'redis.call("UNLINK", ready, dropped, bell)', 'redis.call("UNLINK", ready, dropped)', MODEL,
    ),
    Mutant(
        "a job that is scheduled again lies in a queue without a name", f"{SETTLE}/retry.lua",
        "      waits_in(queue)\n", "", NAMES,
    ),
    Mutant(
        "what an engine gives back lies in a queue without a name", "store/lua/shared/held.lua",
        '    redis.call("SADD", queues, unpack(names))\n', "", NAMES,
    ),
)  # fmt: skip

DEMAND = "engine/shard/demand.py"
DISPATCH = "engine/shard/dispatcher.py"
INTAKE = "engine/shard/intake.py"
EXCHANGE = "engine/shard/exchange.py"
SHARD = "engine/shard/shard.py"
SETTLE = "engine/runs/settle.py"

ENGINES = (
    Mutant(
        "an unanswered step is given up", EXCHANGE,
        '        await self._outage.until_answered("step", send)\n',
        "        from trioq.errors import StoreBusy, StoreUnreachable\n"
        "        try:\n            await send()\n"
        "        except (StoreUnreachable, StoreBusy) as error:\n"
        '            await self._outage.failed("step", error)\n'
        "            boot.in_flight = None\n            return\n"
        '        self._outage.answered("step")\n', STORM,
    ),
    Mutant(
        "an unanswered step gets another number", EXCHANGE,
        "            boot.sends += 1\n",
        "            nonlocal step\n"
        "            boot.sends += 1\n            if boot.sends > 1:\n"
        "                import attrs\n"
        "                boot.number += 1\n"
        "                step = boot.in_flight = attrs.evolve(step, number=boot.number)\n", STORM,
    ),
    Mutant(
        "a step takes outcomes and forgets them", "engine/shard/boot.py",
        "            settlements=settlements,\n", "            settlements=settlements[:1],\n",
        BOOT,
    ),
    Mutant(
        "a step claims more than the server can give at once", "engine/shard/boot.py",
        "min(want, BATCH_MAX, HOLD_MAX - kept)", "min(want, HOLD_MAX - kept)", BOOT,
    ),
    Mutant(
        "an engine holds more than can be given back at once", "engine/shard/boot.py",
        "min(want, BATCH_MAX, HOLD_MAX - kept)", "min(want, BATCH_MAX)", BOOT,
    ),
    Mutant(
        "an engine asks for a second suspect", "engine/shard/boot.py",
        "suspect=self.suspects == leaving", "suspect=True", BOOT,
    ),
    Mutant(
        "an engine doesn't count what the server holds", "engine/shard/boot.py",
        "reply.held == len(self.held)", "True", BOOT,
    ),
    Mutant(
        "an outcome nobody can know of is called lost", "engine/shard/boot.py",
        "if self.sends > 1 or not", "if self.sends > 2 or not", BOOT,
    ),
    Mutant(
        "whoever is told gone goes on with its boot", INTAKE,
        "            return reply.word\n",
        "            self.boot.in_flight = None\n            return None\n", LOST,
    ),
    Mutant(
        "jobs are claimed on a lease that ends", DEMAND,
        "if not self.may_claim:", "if self._is_over:", EDGES,
    ),
    Mutant(
        "what no worker has started is not given back", INTAKE,
        "        self._give_back([*self.backlog.take_back(self.by), *self.payloads.take_back()])",
        "        self.backlog.take_back(self.by)", EDGES,
    ),
    Mutant(
        "stale claims stay with an engine that has no time", INTAKE,
        "            self._give_back([*stale, *self.payloads.take_back()])\n",
        "            self.backlog.put(stale)\n",
        DISPATCHER + JOBS,
    ),
    Mutant(
        "an engine doesn't sign off", EXCHANGE,
        "lambda: self._caller.call(self._caller.store.sign_off, boot)",
        "trio.lowlevel.checkpoint", ENGINE,
    ),
    Mutant(
        "what is settled at the end is not sent", DISPATCH,
        "(self._boot.in_flight or self._boot.outcomes):", "self._boot.in_flight:", RESENDING,
    ),
    Mutant(
        "whoever pokes has to wait for a bell", DISPATCH,
        "        self._bell.end()\n        self._awake.set()\n\n    def beat",
        "        self._awake.set()\n\n    def beat", WAITS,
    ),
    Mutant(
        "an unanswered register is sent again", SHARD,
        "        async def register() -> tuple[str, Pacemaker]:\n"
        '            boot = f"{self.name}.{secrets.token_hex(16)}"\n',
        '        boot = f"{self.name}.{secrets.token_hex(16)}"\n\n'
        "        async def register() -> tuple[str, Pacemaker]:\n", ENGINE,
    ),
    Mutant(
        "handlers of a lost boot have their grace", SHARD,
        "0.0 if dispatcher.lost.is_set() else self.config.worker.grace_s\n",
        "self.config.worker.grace_s\n        dispatcher.lost = trio.Event()\n", LOST,
    ),
    Mutant(
        "the lease ends with the order to stop", "engine/shard/heartbeat.py",
        "trio.CancelScope(shield=True)", "trio.CancelScope()", HEARTBEAT + ENGINE,
    ),
    Mutant(
        "a stuck engine keeps its lease", "engine/shard/heartbeat.py",
        "if stalled_s > self.loop_stall_s:", "if False:", HEARTBEAT,
    ),
    Mutant(
        "a lost lease cancels nothing", "engine/shard/heartbeat.py",
        "        self.runs.lease_ended(self.boot)\n", "", HEARTBEAT,
    ),
    Mutant(
        "a handler starts on a lease that has ended", "engine/runs/start.py",
        "        if (hindered := _hindered(run)) is not None:\n            return hindered\n"
        "        return",
        "        return", STOPPED,
    ),
    Mutant(
        "a beat that is told gone is as good as any", "engine/shard/heartbeat.py",
        "pacemaker.gone()", "pacemaker.answered(self.clock(), ok=True)", HEARTBEAT,
    ),
    Mutant(
        "a boot ends the runs of all boots", "engine/runs/run.py",
        "            if run.claim.by is by:\n                run.cancel(why)",
        "            run.cancel(why)", RUNS,
    ),
    Mutant(
        "all runs end with the lease", "engine/runs/run.py",
        'if run.claim.by is by and run.handler.on_lease_loss == "cancel":',
        "if run.claim.by is by:", RUNS,
    ),
    Mutant(
        "an engine that is short of something claims as ever", DEMAND,
        "self.appetite.most() + self._ahead", "self.workers + self._ahead", APPETITE,
    ),
    Mutant(
        "what is wanting is told, and nothing else", "engine/runs/worker.py",
        "            shop.appetite.starved(run.outcome.want)\n", "            pass\n",
        APPETITE,
    ),
    Mutant(
        "a copy of an engine goes on in its loop", "engine/forks.py",
        "            trio.lowlevel.add_instrument(_Ending())\n", "            pass\n", FORKS,
    ),
    Mutant(
        "a copy of an engine goes on in its thread", "engine/handlers/threads.py",
        "        end_if_copy()\n", "", FORKS,
    ),
    Mutant(
        "two jobs of one step have one token", "engine/claim.py",
        ":{self.step}:{self.uid}", ":{self.step}", BOOT,
    ),
    Mutant(
        "a lease counts from the answer", INTAKE,
        "pacemaker.step_answered(sent_at, self.demand.clock())",
        "pacemaker.step_answered(self.demand.clock(), self.demand.clock())", EDGES,
    ),
    Mutant(
        "a beat counts from its answer", "core/pacemaker.py",
        "self.step_answered(sent, now)", "self.step_answered(now, now)", PURE,
    ),
    Mutant(
        "a lease has no margin", "core/pacemaker.py",
        "self._good + self.lease_s * (1 - MARGIN)", "self._good + self.lease_s", PURE,
    ),
    Mutant(
        "a reaper remembers what it saw before a gap", "core/watch.py",
        "if gap or span is None or span != self._span:", "if span is None or span != self._span:",
        REAPER,
    ),
    Mutant(
        "a reaper remembers what it saw on another connection", "core/watch.py",
        "if gap or span is None or span != self._span:", "if gap:", REAPER,
    ),
    Mutant(
        "an engine is dead after half a lease", "core/watch.py",
        "now - seen.since >= self.lease_s", "now - seen.since >= self.lease_s / 2", LEASES,
    ),
    Mutant(
        "a reaper needs two looks", "core/watch.py",
        "polls >= MIN_POLLS", "polls >= MIN_POLLS - 1", REAPER,
    ),
    Mutant(
        "an attempt isn't counted", SETTLE,
        "    attempt = claim.attempt\n", "    attempt = claim.attempt - 1\n", WORKER,
    ),
    Mutant(
        "a snooze counts as an attempt", SETTLE,
        "RetryAt(claim.uid, claim.step, delay_ms, attempt - 1)",
        "RetryAt(claim.uid, claim.step, delay_ms, attempt)", WORKER,
    ),
    Mutant(
        "a job that was cancelled is done", SETTLE,
        "    settlement = Release(claim.uid, claim.step)\n",
        "    settlement = Ack(claim.uid, claim.step)\n", ENGINE,
    ),
    Mutant(
        "a job has one attempt too many", "core/retry.py",
        "if attempt >= retry.max_attempts:", "if attempt > retry.max_attempts:", PURE,
    ),
    Mutant(
        "an interrupted job is blamed", "core/retry.py",
        "            return Release()\n",
        '            return RetryIn(0, Error("Interrupted", "interrupted"))\n', PURE,
    ),
    Mutant(
        "a poke takes the urgency away", "core/pace.py",
        "self._is_urgent |= urgently", "self._is_urgent = urgently", ("tests/core/test_pace.py",),
    ),
    Mutant(
        "who has room doesn't hear bells", "core/pace.py",
        'return "at bell"\n        if not running', "return poll\n        if not running", BELL,
    ),
    Mutant(
        "who may have lost its boot asks when there is room", DISPATCH,
        "self._ask(urgently=True)  # a step", "self.poke()  # a step", DISPATCHER,
    ),
    Mutant(
        "what waits at an open door is claimed with the next bell", "engine/shard/demand.py",
        "reply.left > 0 or (reply.parked is not None and bool(self._open_doors(1)))",
        "reply.left > 0", DISPATCHER,
    ),
    Mutant(
        "who had a suspect has it for ever", "engine/shard/boot.py",
        "            self.suspects -= sum(held.suspect for held in settled)\n",
        "            pass\n", BOOT,
    ),
    Mutant(
        "a step that was cut off waits for a bell again", EXCHANGE,
        "if bell_s and boot.sends == 1:", "if bell_s:", WAITS,
    ),
    Mutant(
        "a wait that hasn't begun at the server is ended but once", "engine/shard/bell.py",
        "while self._ends_at <= trio.current_time():", "if self._ends_at <= trio.current_time():",
        WAITS,
    ),
    Mutant(
        "a wait is ended by a thread, a turn later", "engine/shard/bell.py",
        "if at == -math.inf and self._started is None:", "if False:", BRIDGE,
    ),
    Mutant(
        "what ends waits has a new connection each time", "engine/shard/bell.py",
        "        await self._caller.end_wait(self._other, started)\n", "        pass\n", BRIDGE,
    ),
    Mutant(
        "a wait is ended late", "engine/shard/bell.py",
        "at < self._ends_at:", "self._ends_at == math.inf:", WAITS,
    ),
    Mutant(
        "who has enough to do claims more at once", "core/pace.py",
        "since = self.last_step if", "since = -math.inf if", ("tests/core/test_pace.py",),
    ),
    Mutant(
        "what ends while others run has to wait for a bell", "core/pace.py",
        "return self._first_outcome + linger_s if running else -math.inf",
        "return math.inf if running else -math.inf", WAITS,
    ),
    Mutant(
        "the last end lingers", "core/pace.py",
        "return self._first_outcome + linger_s if running else -math.inf",
        "return self._first_outcome + linger_s", WAITS,
    ),
    Mutant(
        "what a worker comes for is given back", "engine/backlog.py",
        "not self.jobs or self._called or", "not self.jobs or", ("tests/engine/test_backlog.py",),
    ),
    Mutant(
        "a failure is told of before those that were good before it", "engine/runs/worker.py",
        "shop.ends.tell()  #", "pass  #",
        ("tests/engine/runs/test_ends.py",),
    ),
    Mutant(
        "what has waited is told to have begun twice", "engine/runs/done.py",
        "alike.are_plain, has_waited,", "alike.are_plain, False,",
        ("tests/engine/runs/test_ends.py",),
    ),
    Mutant(
        "what a boot takes back is given away all the same", "engine/backlog.py",
        "        self.jobs.clear()  # it stays the one that everybody knows\n",
        "        left = []\n", BACKLOG,
    ),
    Mutant(
        "due jobs wait for the next poll", "core/pace.py",
        "min(POLL_S, self.due_at - now)", "POLL_S", DUE,
    ),
    Mutant(
        "a wait at the server is left to its clock", "store/lane.py",
        "        _socket(connection).sendall(NUDGE)\n", "        pass\n", NUDGING,
    ),
    Mutant(
        "a wait at the server is nudged but once", "store/lane.py",
        "for pause_s in (0.0, *AGAIN_S):", "for pause_s in (0.0,):", NUDGING,
    ),
    Mutant(
        "the server is nudged before its wait is over", "store/nudge.py",
        "(wait_s - EARLY_S)", "(wait_s + EARLY_S)", NUDGING,
    ),
    Mutant(
        "who has no room leaves due jobs to the poll", "core/pace.py",
        "look_again = min(poll, self.due_at)", "look_again = poll", ("tests/core/test_pace.py",),
    ),
    Mutant(
        "an answer is used out of its caller's context", "engine/bridge.py",
        "            task.context.run(then, answer)\n", "            then(answer)\n", BRIDGE,
    ),
    Mutant(
        "a wait on a connection without a name isn't ended", "engine/bridge.py",
        "            if lane.may_know_client:\n                return\n", "            return\n",
        WAITS,
    ),
    Mutant(
        "who may not end waits costs a connection each time", "engine/bridge.py",
        "        except StoreRefused:\n            lane.may_know_client = False\n",
        "        except StoreRefused:\n            pass\n", WAITS,
    ),
    Mutant(
        "who waits for a bell goes on before those that it has woken", "engine/bridge.py",
        "        await trio.lowlevel.cancel_shielded_checkpoint()\n", "", BRIDGE,
    ),
    Mutant(
        "what is due counts from when the loop has the answer", "engine/bridge.py",
        "reply.after(_clock() - since)", "reply", BRIDGE,
    ),
    Mutant(
        "a call that writes is abandoned", "engine/bridge.py",
        "return trio.lowlevel.Abort.FAILED", "return trio.lowlevel.Abort.SUCCEEDED", BRIDGE,
    ),
    Mutant(
        "a call that is cancelled is not interrupted", "engine/bridge.py",
        "        interrupt()\n", "", BRIDGE,
    ),
    Mutant(
        "a connection on which a call failed is used again", "store/lane.py",
        "            if broken or self._closed or self._interrupted:",
        "            if self._closed or self._interrupted:", LANE,
    ),
    Mutant(
        "an answer that nobody came for is taken for the next request's", "store/lane.py",
        "if self._calling:  # what was started", "if False:  # what was started", BATCHES,
    ),
    Mutant(
        "a new connection goes by the name of the last", "store/lane.py",
        "if self.connected and self._known_for == self.generation:",
        "if self.client is not None:", LANE,
    ),
    Mutant(
        "an answer is read on another connection than its request went out on", "store/lane.py",
        "is_there = self._calling and self._connection is connection", "is_there = self._calling",
        LANE,
    ),
    Mutant(
        "an open breaker admits everything", "core/breaker.py",
        '        if self._state == "closed":\n            return Permit',
        '        if self._state != "half_open":\n            return Permit', PURE,
    ),
)  # fmt: skip

#: The chapters of ``docs/mutants.md``.
CHAPTERS = {
    "Scripts": (*SCRIPTS, *TOLD, *PACKED),
    "Limits": LIMITED,
    "Schedules": (*TICKED, *LISTING),
    "Ids": SAME,
    "Files": FILES,
    "Turns and shares": (*TAKEN_IN_TURN, *SHARED),
    "Pauses": PAUSED,
    "Full queues": PRESSURE,
    "Engine": (*ENGINES, *DURING, *ASKS, *FITS, *FOLLOWS, *NOTES_MUTANTS),
    "What a failure says": BLAMES,
    "Deadlines": DEADLINES,
    "Handlers": (*HANDLERS, *STOPS),
    "What is around handlers": SURROUNDINGS,
    "What handlers share": DEPS,
    "Handlers in processes of their own": RUNNERS,
    "Jobs run in one go": (*GOES, *IN_A_ROW),
    "Results": RETURNS,
    "Big payloads": BYTES,
    "Clients": (*CLIENTS, *WAITED),
    "Django": DJANGO,
    "asyncio": LOOPS,
    "What is read and allowed": (*READ, *WRONG),
    "Settings": SETTINGS,
    "Commands, operators, metrics": (*FACES, *AROUND),
    "Frameworks": FRAMEWORKS,
    "The test kit and the dev loop": KIT,
    "Several processes": PROCESSES,
    "The way to a server, and one of one's own": SERVERS,
    "What is seen of it": (*SEEN, *LOOKED),
}

MUTANTS = tuple(mutant for mutants in CHAPTERS.values() for mutant in mutants)
