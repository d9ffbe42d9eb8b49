"""The page ``docs/mutants.md``: what was broken, and who noticed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.mutants.catalogue import CHAPTERS, Mutant

PAGE = Path(__file__).parents[2] / "docs" / "mutants.md"


def page() -> str:
    """Drawn from the catalogue."""
    chapters = "\n".join(f"## {title}\n\n{_table(mutants)}" for title, mutants in CHAPTERS.items())
    return f"""# Mutants

<!-- drawn from `tests/mutants`; `make mutants` tries them all -->

A test that can't fail proves nothing. So these things are broken on purpose, one at a time, in
a copy of the tree, and the part of the suite named beside each must notice.

{chapters}"""


def _table(mutants: Sequence[Mutant]) -> str:
    rows = "".join(
        f"| {m.name} | `{m.file}` | {', '.join(f'`{k}`' for k in m.killers if '/' in k)} |\n"
        for m in mutants
    )
    return f"| what is wrong | where | killed by |\n| --- | --- | --- |\n{rows}"
