"""The comparison with other job queues: its catalogue, its judgements, its table."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from benchmarks.peers.catalogue import PEERS, Peer
from benchmarks.peers.command import _chosen
from benchmarks.peers.environments import INSIDE, Environment, last_line
from benchmarks.peers.figures import ROWS, Line, best, laid_out
from benchmarks.peers.measure import Used

TRIOQ, OTHER = Peer("trioq", "on_trioq", (), 100.0), Peer("other", "on_other", ("other",), 50.0)


def line(peer: Peer, **figures: float) -> Line:
    made = Line(peer, "1.0")
    made.add({name.replace("_", "/"): value for name, value in figures.items()})
    return made


def test_each_peer_has_its_file_and_each_file_its_peer() -> None:
    files = {path.stem for path in INSIDE.glob("on_*")}
    assert files == {peer.module for peer in PEERS}


def test_each_peer_has_a_name_of_its_own_and_a_floor() -> None:
    assert len({peer.name for peer in PEERS}) == len(PEERS)
    assert all(peer.floor > 0 for peer in PEERS)


def test_a_line_far_below_what_is_published_is_void_and_never_the_best() -> None:
    void, good = line(OTHER, one_s=49.0, p50=0.1), line(TRIOQ, one_s=100.0, p50=2.0)
    assert (bool(void.void), good.void) == (True, "")
    assert best([void, good]) == {"one/s": "trioq", "p50": "trioq"}


def test_the_best_is_the_most_of_rates_and_the_least_of_times() -> None:
    ahead = best([line(TRIOQ, one_s=200.0, p50=2.0), line(OTHER, one_s=100.0, p50=1.0)])
    assert ahead == {"one/s": "trioq", "p50": "other"}


def test_a_line_has_the_medians_of_its_rounds() -> None:
    made = line(TRIOQ, one_s=100.0)
    made.add({"one/s": 400.0})
    made.add({"one/s": 150.0})
    assert made.medians == {"one/s": 150.0}
    assert made.as_json()["spread"] == {"one/s": [100.0, 400.0]}


def test_the_table_marks_the_best_and_the_void_and_what_is_missing() -> None:
    head, ours, theirs = laid_out(
        [line(TRIOQ, one_s=200.0, two_s=300.0), line(OTHER, one_s=10.0)]
    ).splitlines()
    assert head.split()[:3] == ["version", "one/s", "two/s"]
    assert ours.split()[:4] == ["trioq", "1.0", "200*", "300*"]
    assert theirs.split()[:4] == ["other!", "1.0", "10.0", "–"]


def test_columns_have_names_of_their_own() -> None:
    names = [column for row in ROWS for column in row.columns]
    assert len(set(names)) == len(names)


def test_peers_are_chosen_by_name_and_unknown_ones_named() -> None:
    assert _chosen("", ["a", "b, c"], "--only") == ["a", "b, c"]
    assert _chosen("b-c", ["a", "b, c"], "--only") == ["b, c"]
    with pytest.raises(SystemExit, match="--only: x: unknown; there are a, b-c"):
        _chosen("x", ["a", "b, c"], "--only")


def test_what_a_program_said_last_is_not_its_stack() -> None:
    assert (
        last_line("Error: no ioredis\n    at init (a.js:1)\n    at main\n") == "Error: no ioredis"
    )
    assert last_line("one\ntwo\n\n") == "two"
    assert last_line("") == "it said nothing"


def test_a_peer_sees_nothing_of_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIOQ_REDIS__URL", "redis://elsewhere")
    environ = Environment(OTHER, "python", "1.0").environ(BENCH_URL="redis://here")
    assert "TRIOQ_REDIS__URL" not in environ
    assert environ["BENCH_URL"] == "redis://here"
    assert environ["PYTHONPATH"] == str(INSIDE)


def test_what_a_server_used_is_told_without_what_it_uses_alone() -> None:
    alone, all_ = Used(1.0, 0.1, 10.0), Used(4.0, 1.4, 240.0)
    each = (all_ - alone.scaled(all_.at_s / alone.at_s)).scaled(1 / 100)
    assert (each.cpu_s, each.commands) == (pytest.approx(0.01), pytest.approx(2.0))


@pytest.mark.parametrize("path", sorted(INSIDE.glob("*.py")), ids=lambda path: path.stem)
def test_what_runs_inside_imports_nothing_that_is_not_there(path: Path) -> None:
    """The environments of peers have neither trioq nor the benchmarks."""
    roots = {name.partition(".")[0] for name in imported(path)}
    ours = {"trioq", "trio"} if path.stem.startswith("on_trioq") else set()
    assert roots & {"trioq", "trio", "attrs", "benchmarks"} == roots & ours


def imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found
