"""What handlers return and raise: what would lose it, keep too much, or be the end of an engine."""

from __future__ import annotations

from tests.mutants.mutant import Killers, Mutant

KEPT: Killers = ("tests/core/test_keep.py",)
RULES: Killers = ("tests/engine/runs/test_rules.py",)
BOOT: Killers = ("tests/engine/shard/test_boot.py",)
GOT: Killers = ("tests/engine/test_results.py", "-k", "waiter_gets")
LARGE: Killers = ("tests/engine/test_results.py", "-k", "large")
ASKED: Killers = ("tests/engine/test_results.py", "-k", "nothing_is_kept")
KNOWN: Killers = ("tests/engine/test_results.py", "-k", "error or arguments")
AWAY: Killers = ("tests/engine/test_results.py", "-k", "away")
RETURNED: Killers = ("tests/engine/handlers/test_returned.py",)

RETURNS = (
    Mutant(
        "a result that can't be written ends the engine", "core/keep.py",
        "except BaseException as error:  # of", "except Exception as error:  # of", KEPT,
    ),
    Mutant(
        "what a result's class does to context variables is there for the next job",
        "core/result.py", "copy_context().run(_written, value)", "_written(value)", KEPT,
    ),
    Mutant(
        "what is in a dict isn't written by its own class", "core/result.py",
        "and _are_plain(value.values())", "or True", KEPT,
    ),
    Mutant(
        "a key that isn't a text is one all the same", "core/result.py",
        "_STR.issuperset(map(id, map(type, value))) and", "", KEPT,
    ),
    Mutant(
        "max_result is ignored", "engine/from_config.py",
        "max_result_bytes=config.worker.max_result_bytes", "max_result_bytes=64_000",
        ("tests/settings/test_every_key.py", "-k", "max_result"),
    ),
    Mutant(
        "a result is kept for a thousandth of its time", "engine/runs/rules.py",
        "math.ceil(keep_s * 1000)", "math.ceil(keep_s)", RULES,
    ),
    Mutant(
        "a result is kept for no time at all", "engine/runs/rules.py",
        "math.ceil(keep_s * 1000)", "round(keep_s * 1000)", RULES,
    ),
    Mutant(
        "why a result doesn't fit is told at any length", "core/keep.py",
        "words[:WORDS_MAX]", "words", KEPT,
    ),
    Mutant(
        "for how long a call asks isn't heard", "engine/runs/rules.py",
        "keep_s = record.options.result_s", "keep_s = None", ASKED,
    ),
    Mutant(
        "a result in one go with others is lost", "engine/runs/spree.py",
        "kept_of(result)\n", "kept_of(None)\n", GOT,
    ),
    Mutant(
        "a result of a thread with others is lost", "engine/runs/hand.py",
        "job.plan.kept(result) if is_result", "job.plan.kept(None) if is_result", GOT,
    ),
    Mutant(
        "a result that was waited for is lost", "engine/runs/ends.py",
        "header.plan.kept(run.outcome.result)", "header.plan.kept(None)", GOT,
    ),
    Mutant(
        "a result of a runner is lost", "engine/handlers/runners/frames.py",
        "return Succeeded(_kept(**outcome.result))", "return Succeeded()", GOT,
    ),
    Mutant(
        "a runner with a large result is killed", "engine/handlers/runners/runner.py",
        "+ 2 * (job", "+ 1 * (job", LARGE,
    ),
    Mutant(
        "coroutines in a tuple are a result", "engine/handlers/returned.py",
        "if kind is list or kind is tuple:", "if kind is list:", RETURNED,
    ),
    Mutant(
        "a generator is a result", "engine/handlers/returned.py",
        "and not _is_one_of(returned, _ALL_UNDONE)", "", RETURNED,
    ),
    Mutant(
        "of each dropped result is told", "engine/runs/drops.py",
        "if name not in self._told:", "if name:", ASKED,
    ),
    Mutant(
        "a step carries results of any size", "engine/shard/boot.py",
        "size <= STEP_BYTES for size", "size > 0 for size", BOOT,
    ),
    Mutant(
        "a result that is larger than a step is never sent", "engine/shard/boot.py",
        "count = max(1, sum(", "count = max(0, sum(", BOOT,
    ),
    Mutant(
        "what was sent counts as waiting", "engine/shard/boot.py",
        "self.result_bytes -= sum", "self.result_bytes -= 0 * sum", BOOT,
    ),
    Mutant(
        "nobody counts the bytes of results", "engine/runs/done.py",
        "result_bytes += len(kept.value)", "result_bytes += 0", AWAY,
    ),
    Mutant(
        "large results are held ahead in any number", "core/ahead.py",
        "self.mean_big_bytes, self.mean_result_bytes, 1.0", "self.mean_big_bytes, 1.0",
        ("tests/core/test_ahead.py",),
    ),
    Mutant(
        "an error comes back without its arguments", "engine/runs/settle.py",
        "args = run.outcome.args if", "args = None if", KNOWN,
    ),
    Mutant(
        "a runner knows no errors", "engine/handlers/runners/inside.py",
        "            raises=handler.raises,\n", "", KNOWN,
    ),
    Mutant(
        "arguments of errors that nobody makes anew are kept", "engine/handlers/ending.py",
        "args=args_of(leaf) if leaf is not None and is_told else None",
        "args=args_of(leaf) if leaf is not None else None", KNOWN,
    ),
    Mutant(
        "arguments of any size are kept", "engine/handlers/describe.py",
        "ARGS_BYTES = 1000", "ARGS_BYTES = 10_000", KNOWN,
    ),
)  # fmt: skip
