"""Breaks one thing after the other in copies of the tree, and runs what must notice."""

from __future__ import annotations

import os
import queue
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import attrs

from tests.mutants.catalogue import MUTANTS, Killers, Mutant
from tests.mutants.page import PAGE, page

ROOT = Path(__file__).parents[2]
JOBS = 2

#: What doesn't end by then counts as noticed: it would hold up whoever runs it.
PATIENCE_S = 300

LEFT_BEHIND = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "data")


@attrs.frozen
class Verdict:
    """What became of a mutant."""

    mutant: Mutant
    word: str
    """``killed``, ``survives``, or what went wrong."""
    by: str
    """The first test that failed."""
    took_s: float


def copy_of_the_tree() -> Path:
    tree = Path(tempfile.mkdtemp(prefix="trioq-mutant-", dir="/tmp")) / "tree"
    shutil.copytree(ROOT, tree, ignore=LEFT_BEHIND)
    return tree


def run(tree: Path, killers: Killers) -> tuple[str, str]:
    """How these tests end there, and the first that failed."""
    environment = {**os.environ, "PYTHONPATH": str(tree), "TRIOQ_TEST_PROPS": "mutants"}
    try:
        told = subprocess.run(
            [sys.executable, "-m", "pytest", "-qx", "-p", "no:cacheprovider", *killers],
            check=False, capture_output=True, text=True, cwd=tree, env=environment,
            timeout=PATIENCE_S,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return "killed", "it doesn't end"
    first = next(
        (
            w
            for w in told.stdout.splitlines()
            if w.startswith(("FAILED ", "ERROR tests/", "ERROR props/"))
        ),
        "",
    )
    by = first.partition(" ")[2].partition(" - ")[0]
    match told.returncode:
        case 0:
            return "survives", ""
        case 1 if first.startswith("FAILED"):
            return "killed", by
    return "can't be run: " + "\n".join(told.stdout.splitlines()[-20:]), by


def judge(mutant: Mutant, trees: queue.Queue[Path]) -> Verdict:
    """Break it, run its killers, mend it."""
    tree = trees.get()
    path = tree / "trioq" / mutant.file
    sound = path.read_text()
    started = time.monotonic()
    try:
        path.write_text(mutated(mutant, sound))
        word, by = run(tree, mutant.killers)
    finally:
        path.write_text(sound)
        trees.put(tree)
    return Verdict(mutant, word, by, time.monotonic() - started)


def mutated(mutant: Mutant, text: str) -> str:
    """The text with the one thing wrong.

    Raises:
      ValueError: It isn't there, or more than once.
    """
    if text.count(mutant.old) != 1:
        raise ValueError(f"{mutant.name}: {text.count(mutant.old)} times in {mutant.file}")
    return text.replace(mutant.old, mutant.new)


def sound(mutants: Iterable[Mutant], trees: queue.Queue[Path]) -> bool:
    """Whether all killers pass where nothing is broken: only then does it mean anything."""
    by_killers = {mutant.killers for mutant in mutants}

    def passes(killers: Killers) -> bool:
        tree = trees.get()
        word, by = run(tree, killers)
        trees.put(tree)
        if word != "survives":
            print(f"{' '.join(killers)} fails though nothing is broken: {by} {word}", flush=True)
        return word == "survives"

    with ThreadPoolExecutor(JOBS) as pool:
        return all(list(pool.map(passes, by_killers)))


def main(words: list[str]) -> int:
    """0: all are killed."""
    chosen = [m for m in MUTANTS if not words or any(word in m.name for word in words)]
    for mutant in chosen:
        mutated(mutant, (ROOT / "trioq" / mutant.file).read_text())  # or it is out of date
    trees = queue.Queue[Path]()
    for _ in range(JOBS):
        trees.put(copy_of_the_tree())
    try:
        if not sound(chosen, trees):
            return 1
        with ThreadPoolExecutor(JOBS) as pool:
            verdicts = []
            for done in as_completed([pool.submit(judge, mutant, trees) for mutant in chosen]):
                verdicts.append(verdict := done.result())
                print(f"{verdict.word:8} {verdict.took_s:5.1f} s  {verdict.mutant.name}", end="")
                print(f"  [{verdict.by}]" if verdict.by else "", flush=True)
    finally:
        while not trees.empty():
            shutil.rmtree(trees.get().parent)
    survivors = [v.mutant.name for v in verdicts if v.word != "killed"]
    print(f"{len(verdicts) - len(survivors)} of {len(verdicts)} killed")
    if not words and not survivors:
        PAGE.write_text(page())
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
