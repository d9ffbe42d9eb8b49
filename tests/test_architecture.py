"""Imports go one way: face, engine, store, core."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "trioq"
LAYERS = ("core", "store", "engine", "face")  # low to high

#: Packages that only some layers may know.
ONLY_IN = {
    "redis": {"store"},
    "trio": {"engine", "face"},
    "structlog": {"face"},
    "click": {"face"},
    "rich": {"face"},
    "prometheus_client": {"face"},
    "opentelemetry": {"face"},
}

#: Inside the engine, tasks don't know each other; these are what they share.
SHARED = {
    *("backlog", "boot", "bridge", "outage", "status", "shown", "tracing"),
    *("handlers", "scan", "found", "young", "globs", "beneath"),
}
WIRING = {"engine", "assembly", "parts"}
#: The worker is handed the breakers it asks for permits.
KNOWN_PAIRS = {("worker", "breaker")}


def layer(parts: tuple[str, ...]) -> str:
    if parts[0] in ("errors", "failpoints"):
        return "core"
    return parts[0] if parts[0] in LAYERS else "face"


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module or "")
    return names


def modules() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_down(path: Path) -> None:
    parts = path.relative_to(ROOT).with_suffix("").parts
    here = layer(parts)
    for name in imported(path):
        package, *rest = name.split(".")
        if package == "trioq" and rest:
            assert LAYERS.index(layer(tuple(rest))) <= LAYERS.index(here), name
        assert here in ONLY_IN.get(package, {here}), f"{name} in {here}"


@pytest.mark.parametrize("path", sorted((ROOT / "engine").glob("*.py")), ids=lambda p: p.stem)
def test_tasks_of_the_engine_do_not_import_each_other(path: Path) -> None:
    if path.stem in SHARED | WIRING:
        return
    for name in imported(path):
        if name.startswith("trioq.engine."):
            sibling = name.split(".")[2]
            assert sibling in SHARED or (path.stem, sibling) in KNOWN_PAIRS, name


def test_threads_for_the_store_are_started_in_the_bridge_alone() -> None:
    """Others may hop to a thread for files and for handlers, never for the store."""
    allowed = {"bridge", "producer"}
    for path in (ROOT / "engine").glob("*.py"):
        if "to_thread" in path.read_text():
            assert path.stem in allowed or "handlers" in path.parts, path
