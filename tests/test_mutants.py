"""The mutants fit the code of today; ``make mutants`` runs them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutants.catalogue import MUTANTS, Mutant
from tests.mutants.page import PAGE, page


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_changes_one_place_and_names_who_kills_it(mutant: Mutant) -> None:
    assert (Path("trioq") / mutant.file).read_text().count(mutant.old) == 1
    assert mutant.new != mutant.old
    files = [word for word in mutant.killers if word.endswith(".py")]
    assert files
    assert all(Path(file).is_file() for file in files)


def test_the_page_lists_the_mutants_that_were_killed() -> None:
    assert PAGE.read_text() == page()
