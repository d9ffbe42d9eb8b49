"""Environments of the peers' own, below ``build/peers/``: made when they are needed, and kept."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import attrs

from benchmarks.peers.catalogue import Peer

ROOT = Path(__file__).parents[2]
WHERE = ROOT / "build" / "peers"
INSIDE = Path(__file__).parent / "inside"

#: Downloads, and a compiler now and then.
INSTALL_S = 600.0


class Unusable(Exception):
    """A peer can't be installed, started or measured; says why in one line."""


@attrs.frozen
class Environment:
    """Where a peer runs."""

    peer: Peer
    program: str
    """The interpreter."""
    version: str
    modules: str = ""
    """Where node looks for packages."""

    def driver(self, *arguments: object) -> list[str]:
        """The command that enqueues, or that tells how to run a worker."""
        words = [str(argument) for argument in arguments]
        if self.peer.is_node:
            return [self.program, str(INSIDE / f"{self.peer.module}.cjs"), *words]
        return [self.program, str(INSIDE / "drive.py"), self.peer.module, *words]

    def environ(self, **more: str) -> Mapping[str, str]:
        """What its processes see of the surroundings."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        paths = [str(INSIDE), *([str(ROOT)] if self.peer.is_ours else [])]
        ours = {"PYTHONPATH": os.pathsep.join(paths), "NODE_PATH": self.modules}
        return {**kept, **ours, "PYTHONDONTWRITEBYTECODE": "1", "NODE_ENV": "production", **more}


def environment(peer: Peer, *, renew: bool = False) -> Environment:
    """The peer's environment, with the newest packages of the day on which it was made.

    Args:
      renew: Make it anew.

    Raises:
      Unusable: It can't be made.
    """
    if peer.is_ours:
        return Environment(peer, sys.executable, version("trioq"))
    place = WHERE / peer.name
    made = place / "made.json"
    if renew or not made.exists() or json.loads(made.read_text()) != list(peer.packages):
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        (_make_node if peer.is_node else _make_python)(place, peer.packages)
        made.write_text(json.dumps(peer.packages))
    main = peer.packages[0].partition("[")[0]
    if peer.is_node:
        modules = place / "node_modules"
        package = json.loads((modules / main / "package.json").read_text())
        return Environment(peer, _node(), package["version"], str(modules))
    python = place / "bin" / "python"
    asked = f"import importlib.metadata as m; print(m.version({main!r}))"
    return Environment(peer, str(python), _run([str(python), "-c", asked], place).strip())


def _make_python(place: Path, packages: Sequence[str]) -> None:
    _run([sys.executable, "-m", "venv", str(place)], place)
    pip = [str(place / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
    _run([*pip, *packages], place)


def _make_node(place: Path, packages: Sequence[str]) -> None:
    _node()
    quiet = ["--no-audit", "--no-fund", "--silent"]
    _run(["npm", "install", *quiet, "--prefix", str(place), *packages], place)


def _node() -> str:
    found = shutil.which("node")
    if found is None or shutil.which("npm") is None:
        raise Unusable("node and npm aren't on PATH")
    return found


def _run(command: Sequence[str], place: Path) -> str:
    try:
        ended = subprocess.run(
            command, check=False, cwd=place, capture_output=True, text=True, timeout=INSTALL_S
        )
    except subprocess.TimeoutExpired:
        raise Unusable(f"{' '.join(command)}: not done within {INSTALL_S:g} s") from None
    if ended.returncode:
        raise Unusable(f"{' '.join(command)}: {last_line(ended.stderr)}")
    return ended.stdout


def last_line(text: str) -> str:
    """What a program said last, which is mostly why it ended; node says it before the stack."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith("at ")]
    return (lines or ["it said nothing"])[-1]
