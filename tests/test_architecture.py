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

#: What the rooms of the engine hand to each other, or all of them use.
COMMON = {
    "appetite", "backlog", "bridge", "claim", "fetch", "forks", "nurseries", "outage", "snapshot",
    "stalls", "status", "tracer",
}  # fmt: skip
#: What knows all rooms, to wire them; and the shard its own.
WIRING = {"engine", "wiring", "from_config"}
OF_A_SHARD = "shard.shard"
#: What each room may know beside that.
ROOMS = {
    "handlers": {"handlers"},
    "runs": {"runs", "handlers"},
    "shard": {
        "shard.bell", "shard.boot", "shard.demand", "shard.exchange", "shard.intake",
        "shard.pauses", "shard.payloads", "shard.notes", "shard.takes",
        "shard.telling",
    },
    "sources": {"sources.scan", "sources.forgetting"},
}  # fmt: skip

#: What the rooms of the faces may know of each other.
FACES = {
    "observe": set[str](),
    "settings": set[str](),
    "web": {"client", "doctor", "observe.metrics", "observe.tracing", "settings"},
    "doctor": {"settings"},
    "processes": {"web"},
    "aio": {"app", "client", "service"},
    "client": {"apps", "handler", "settings", "observe.tracing"},
    "testing": {
        "app",
        "apps",
        "builtin",
        "client",
        "counted",
        "handler",
        "observe",
        "registry",
        "service",
        "settings",
    },
}
#: Beside the store and the doctor: what opens, interrupts and arms a connection.
HOLDS_A_LANE = {"engine/bridge.py"}


def layer(parts: tuple[str, ...]) -> str:
    if parts[0] in ("cwd", "errors", "extras", "failpoints", "lines"):
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


@pytest.mark.parametrize(
    "path", sorted((ROOT / "engine").rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT))
)
def test_rooms_of_the_engine_do_not_know_each_other(path: Path) -> None:
    """Nor do the tasks of the shard and the sources: what they share passes through the wiring."""
    room, *inside = path.relative_to(ROOT / "engine").with_suffix("").parts
    if room in WIRING:
        return
    allowed = COMMON | (ROOMS[room] if inside else set())
    if ".".join((room, *inside)) == OF_A_SHARD:
        allowed |= {"shard"}
    for name in imported(path):
        if name.startswith("trioq.engine."):
            known = name.removeprefix("trioq.engine.")
            assert any(known == a or known.startswith(f"{a}.") for a in allowed), name


def test_threads_for_the_store_are_started_in_the_bridge_alone() -> None:
    """Others may hop to a thread for files and for handlers, never for the store."""
    allowed = {"bridge", "directory", "forgetting"}
    for path in (ROOT / "engine").rglob("*.py"):
        if "to_thread" in path.read_text():
            assert path.stem in allowed or "handlers" in path.parts, path


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_nobody_but_the_store_and_the_doctor_speaks_redis(path: Path) -> None:
    """All others ask by the store's methods and its ``inspect``."""
    where = path.relative_to(ROOT)
    if where.parts[0] in ("store", "doctor"):
        return
    used = {n.attr for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Attribute)}
    assert "lane" not in used or str(where) in HOLDS_A_LANE
    assert not used & {"pipeline", "transaction", "fixed", "of_queues"}, "commands, names of keys"


@pytest.mark.parametrize(
    "path",
    [path for room in FACES for path in sorted((ROOT / room).rglob("*.py"))],
    ids=lambda p: str(p.relative_to(ROOT)),
)
def test_faces_know_no_more_of_each_other_than_they_must(path: Path) -> None:
    room = path.relative_to(ROOT).parts[0]
    for name in imported(path):
        package, _, rest = name.partition(".")
        if package == "trioq" and layer(tuple(rest.split("."))) == "face" and rest:
            allowed = {room, *FACES[room]}
            assert any(rest == a or rest.startswith(f"{a}.") for a in allowed), name
