"""Mutants of what counts for a breaker, and of how it closes again."""

from __future__ import annotations

from tests.mutants.mutant import Killers, Mutant

BLAME = "core/blame.py"
BREAKER = "core/breaker.py"
BREAKERS = "engine/runs/breaker.py"
ENDING = "engine/handlers/ending.py"

PURE: Killers = ("tests/core/test_blame.py", "tests/core/test_breaker.py")
ABLE = "store/inspect/able.py"
GUARDS = "core/guards.py"
SECTIONS: Killers = ("tests/core/test_guards.py",)
LUA = "store/lua/breakers.lua"
MODEL = "core/model/breakers.py"
SHARED = "core/shared_breaker.py"
STORES: Killers = ("tests/store/contract/test_breakers.py",)
ENGINES: Killers = ("tests/engine/runs/test_shared_breakers.py",)
HEARD: Killers = ("tests/core/test_shared_breaker.py",)
DOORS: Killers = ("tests/store/test_doors.py",)
ENGINE: Killers = ("tests/engine/runs/test_breaker.py",)

LISTENER = "observe/metrics/listener.py"
LISTING = "store/inspect/listing.py"
SHELVES = "store/inspect/shelves.py"
COUNTED = "counted.py"
NUMBERS: Killers = ("tests/observe/test_each_number.py",)
LISTS: Killers = ("tests/cli/test_list_jobs.py",)
CONFIGURED: Killers = ("tests/settings/test_every_key.py",)
APART: Killers = ("tests/engine/handlers/runners/test_same_ends.py",)

BLAMES = (
    Mutant(
        "what the configuration says of errors is ignored", COUNTED,
        "breaker=attrs.evolve(function.breaker, on=on)", "breaker=function.breaker", CONFIGURED,
    ),
    Mutant(
        "which errors count is kept from runners", "isolation.py",
        'counted_by(breakers, config.breakers)', "{}", APART,
    ),
    Mutant(
        "a change of a shared breaker is counted by each engine", LISTENER,
        "            if not event.shared:", "            if True:", NUMBERS,
    ),
    Mutant(
        "an engine's own breaker that was reset is told as a shared one",
        "store/inspect/breakers.py",
        "if each.turn > each.resets or each.is_used", "if each.turn or each.is_used", NUMBERS,
    ),
    Mutant(
        "of a shared breaker the first engine's word holds", ABLE,
        "return max(shared, key=lambda each: each.since_ms)", "return shared[0]", DOORS,
    ),
    Mutant(
        "jobs that lie in a list are listed from one end only", SHELVES,
        "ends = (start, start + PAGE - 1) if self.newest_first else (-start - PAGE, -start - 1)",
        "ends = (start, start + PAGE - 1)", LISTS,
    ),
    Mutant(
        "jobs that aren't meant are looked at without end", LISTING,
        "len(found) > count or passed_over > PASSED_OVER", "len(found) > count", LISTS,
    ),
    Mutant(
        "a job's own fault counts for its breaker", BLAME,
        "return not issubclass(error, OWN_FAULT)", "return True", PURE,
    ),
    Mutant(
        "what a handler names counts beside all else", BLAME,
        "        if self.on is None:\n", "        if True:\n", PURE,
    ),
    Mutant(
        "of several errors each must count", BLAME,
        "any(map(breaker.counts, errors))", "all(map(breaker.counts, errors))", PURE,
    ),
    Mutant(
        "a timeout counts where there is no breaker", ENDING,
        "Failed(why, counts=errors.breaker is not None, ", "Failed(why, ", ENGINE,
    ),
    Mutant(
        "who gives up counts for its breaker", ENDING,
        "failed.permanent is None and errors.counts", "errors.counts", ENGINE,
    ),
    Mutant(
        "a job called as what others depend on shares their breaker", BREAKERS,
        "Guarded(rule.name, is_shared=True)", "Guarded(rule.name)", ENGINE,
    ),
    Mutant(
        "who depends on the same has a breaker for itself", BREAKERS,
        "Guarded(name) if rule.name is None else", "Guarded(name) if True else", ENGINE,
    ),
    Mutant(
        "a good probe makes no room", BREAKER,
        "1 + self._good - running", "1 - running", PURE,
    ),
    Mutant(
        "one good probe closes it", BREAKER,
        "is_proven = self._good + self._bad >= self.settings.min_samples",
        "is_proven = self._good > 0", PURE,
    ),
    Mutant(
        "a first probe that fails proves nothing", BREAKER,
        "if not self._good or self._is_too_bad(", "if self._is_too_bad(", PURE,
    ),
    Mutant(
        "a job waits for a breaker that is open on one of its engines", ABLE,
        "elif len(shut) == len(staying):", "elif shut:", DOORS,
    ),
    Mutant(
        "an engine that is about to leave would run it", ABLE,
        "[each for each in fitting if not self.leaves(each)]", "list(fitting)", DOORS,
    ),
    Mutant(
        "the configuration of a breaker holds only where its handlers say nothing", GUARDS,
        "attrs.evolve(said, name=section.name, **holds)",
        "attrs.evolve(Breaker(section.name, **holds), on=said.on, window=said.window or"
        " holds.get('window'))", SECTIONS,
    ),
    Mutant(
        "what the configuration says of a breaker is for those that it lists", GUARDS,
        'listed.get(name) or sections.get(said.name or "")', "listed.get(name)", SECTIONS,
    ),
    Mutant(
        "handlers of one breaker may say different things of it", GUARDS,
        "if not breaker.agrees(made[other]):", "if False:", SECTIONS,
    ),
    Mutant(
        "an engine's failures count again each time that they are told", LUA,
        "math.max(0, ask.good - had[2]), math.max(0, ask.bad - had[3])", "ask.good, ask.bad",
        STORES,
    ),
    Mutant(
        "a probe outlives the engine that has it", LUA, "    forget_gone(b)\n", "", STORES,
    ),
    Mutant(
        "an engine that is gone is heard", LUA,
        "elseif ask.turn == b.turn and is_known then", "elseif ask.turn == b.turn then", STORES,
    ),
    Mutant(
        "what was found before a shared breaker changed counts", MODEL,
        "elif news.turn == breaker.turn and boot in space.boots:", "elif boot in space.boots:",
        STORES,
    ),
    Mutant(
        "each engine has a probe of a shared breaker", MODEL,
        "sum(share.out for share in breaker.shares.values())", "had.out", STORES,
    ),
    Mutant(
        "a clock that was put back keeps a shared breaker open", LUA,
        "  b.til = math.min(b.til, now_ms + ask.cooldown)\n", "", STORES,
    ),
    Mutant(
        "a breaker that was reset long ago is closed when it opens", BREAKERS,
        "self._resets.setdefault(guarded, resets)", "self._resets.setdefault(guarded, 0)", ENGINES,
    ),
    Mutant(
        "a probe that says nothing is never given back", SHARED,
        '(permit.is_probe or verdict != "ignored")', 'verdict != "ignored"', HEARD,
    ),
    Mutant(
        "who began while it was closed counts when it is half-open", SHARED,
        "is_of_now = permit.generation == self._generation", "is_of_now = True", HEARD,
    ),
    Mutant(
        "a new boot says again what the last one has found", "engine/shard/sharing.py",
        "        self.breakers.begin()\n", "", ENGINES,
    ),
)  # fmt: skip
