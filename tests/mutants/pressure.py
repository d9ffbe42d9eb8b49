"""What is broken on purpose: queues that are full."""

from __future__ import annotations

from tests.mutants.mutant import Killers, Mutant

ENQUEUE = "store/lua/enqueue/enqueue.lua"
DROP = "store/lua/enqueue/drop.lua"

CONTRACT: Killers = ("tests/store/contract/test_enqueue.py",)
LINE: Killers = ("tests/store/contract/test_line.py",)
FULL: Killers = ("tests/client/test_full.py",)

PRESSURE = (
    Mutant(
        "who was cancelled dies for new jobs", DROP,
        "if was_cancelled[i] == 1 then", "if false then", CONTRACT,
    ),
    Mutant(
        "a full queue hides behind the next that has room", ENQUEUE,
        "queue.n_new > 0 and not refused then", "queue.n_new > 0 then", LINE,
    ),
    Mutant(
        "who was cancelled makes room when the oldest go", DROP,
        "left = left - (#oldest - #passed)", "left = left - #oldest", CONTRACT,
    ),
    Mutant(
        "more are dropped than are ready or refused by a limit", ENQUEUE,
        "and too_many <= queue.in_line + queue.n_limited then", "then", CONTRACT,
    ),
    Mutant(
        "who a limit has refused isn't dropped", ENQUEUE,
        "queue.in_line + queue.n_limited then", "queue.in_line then", CONTRACT,
    ),
    Mutant(
        "who is ready is dropped before who a limit has refused for longer", DROP,
        "if queue.n_limited > 0 then", "if queue.n_limited > 0 and queue.in_line == 0 then",
        CONTRACT,
    ),
    Mutant(
        "of those that limits have refused any is dropped", DROP,
        "at = first.uid < firsts[at].uid and f or at", "", CONTRACT,
    ),
    Mutant(
        "a room that the last one was dropped from stays", DROP,
        "      left_room(queue.name, oldest.take)\n", "", CONTRACT,
    ),
    Mutant(
        "who a limit has refused takes no room", ENQUEUE,
        'redis.call("ZLEXCOUNT", limited,', '0 * redis.call("ZLEXCOUNT", limited,', LINE,
    ),
    Mutant(
        "who waits longer is overtaken", ENQUEUE,
        "too_many = too_many + ahead(queue.name, -too_many)", "", LINE,
    ),
    Mutant(
        "who waits for itself no longer holds others up", ENQUEUE,
        "elseif other and other.till > now() then", "elseif other then", LINE,
    ),
    Mutant(
        "who comes again goes to the end of the line", "store/lua/enqueue/line_up.lua",
        "nth = nth or counted_in", "nth = counted_in", LINE,
    ),
    Mutant(
        "who gets in stays in line", "store/lua/enqueue/way.lua",
        'redis.call("HDEL", enqueuers, uid)\n', "", LINE,
    ),
    Mutant(
        "nobody hears of room that a claim makes", "store/lua/step/step.lua",
        "  if has_line then\n    -- @part way\n  end\n", "", LINE,
    ),
    Mutant(
        "nobody hears of room that a cancel makes", "store/lua/cancel.lua",
        "if has_line then", "if false then", LINE,
    ),
    Mutant(
        "nobody hears of room that who leaves the line makes", "store/lua/step_aside.lua",
        "make_way_in(queue, ready, scheduled, dropped, now_ms)\n", "", LINE,
    ),
    Mutant(
        "who leaves the line makes room for more than a queue takes",
        "store/lua/shared/make_way_in.lua", "{ fair, limited }", "{ fair }", LINE,
    ),
    Mutant(
        "who missed what it was told of room isn't told when it asks",
        "store/lua/shared/make_way.lua",
        "place.tried = 0 ", "place.tried = place.tried ", LINE,
    ),
    Mutant(
        "the first one in line never tries by itself", "store/lua/wait_for.lua",
        "(is_first or places[uid].tried == 0)", "places[uid].tried == 0", LINE,
    ),
    Mutant(
        "who asks doesn't stay in line", "store/lua/wait_for.lua",
        "place.till = now_ms + 3000", "place.till = place.till", LINE,
    ),
    Mutant(
        "who is cancelled while it waits for room stays in line", "client/task_waits.py",
        "await own.way.call(own.way.store.step_aside, queue, [uid])", "pass", FULL,
    ),
    Mutant(
        "more files than ever fit are tried again and again", "engine/sources/sender.py",
        "if error.jobs > error.max_length > 0:", "if False:",
        ("tests/engine/sources/test_sender.py",),
    ),
    Mutant(
        "a when_full without a max_length is no fault", "core/config/rules.py",
        "queue.when_full is not None and queue.max_length is None", "False",
        ("tests/core/test_config.py",),
    ),
)  # fmt: skip
