"""Mutants of what is remembered of files, and forgotten."""

from __future__ import annotations

from tests.mutants.mutant import Killers, Mutant

KEPT: Killers = ("tests/store/contract/test_files.py",)
JUDGED: Killers = ("tests/core/test_seen.py",)
LOOKED_FOR: Killers = ("tests/engine/sources/test_forgetting.py", "--timeout", "20")

NOTE = "store/lua/note_files.lua"
SEEN = "core/seen.py"
FORGETTING = "engine/sources/forgetting.py"

FILES = (
    Mutant(
        "a file that came back meanwhile is forgotten", NOTE,
        "elseif known[path] ~= before then", "elseif false then", KEPT,
    ),
    Mutant(
        "a path is forgotten a moment too early", NOTE,
        "now_ms - since >= tonumber(after)", "now_ms - since >= tonumber(after) - 1", KEPT,
    ),
    Mutant(
        "a clock that goes back leaves a path that is never forgotten", NOTE,
        "not since or since > now_ms", "not since", KEPT,
    ),
    Mutant(
        "of a path that is forgotten its mark stays", NOTE,
        'redis.call("HDEL", seen, path, "\\0" .. path)', 'redis.call("HDEL", seen, path)', KEPT,
    ),
    Mutant(
        "an older version finds all files to be new", "store/lua/enqueue/any.lua",
        "add(more.marks, path, short_of(ARGV[a + 8]))", "add(more.marks, path, ARGV[a + 8])",
        KEPT,
    ),
    Mutant(
        "the mark of the file before counts", "store/lua/shared/known_file.lua",
        'string.sub(mark, 1, #short + 1) == short .. ":"', "true", KEPT,
    ),
    Mutant(
        "a file that was mounted meanwhile is queued again by who was late",
        "store/lua/enqueue/any.lua",
        'or string.sub(mark, -1) ~= ":" and string.sub(known, 1, #mark + 1) == mark .. ":")', ")",
        KEPT,
    ),
    Mutant(
        "a file is known by its size and its time", SEEN,
        "        if was_ctime_ns != ctime_ns:\n", "        if False:\n", JUDGED,
    ),
    Mutant(
        "what an older version has enqueued never becomes whole", SEEN,
        'return "noted" if ctime_ns else "known"', 'return "known"', JUDGED,
    ),
    Mutant(
        "a directory that is empty has all its files forgotten", FORGETTING,
        "if next(entries, None) is not None:", "if True:", LOOKED_FOR,
    ),
    Mutant(
        "each scan says that a directory isn't there", FORGETTING,
        "                self._paused = why\n", "", LOOKED_FOR,
    ),
    Mutant(
        "a look has no bound", FORGETTING,
        "                left -= len(known)\n", "                pass\n", LOOKED_FOR,
    ),
    Mutant(
        "an absence goes on over a time without looks", "engine/shard/expiry.py",
        "now - each.last > GAP * self.every_s", "False",
        ("tests/engine/shard/test_expiry.py",),
    ),
    Mutant(
        "absences that lie apart are one", "engine/shard/expiry.py",
        "for name in unknown}", "for name in unknown | self._unknown.keys()}",
        ("tests/engine/shard/test_expiry.py",),
    ),
)  # fmt: skip
