"""Prometheus' own tools take the rules; only where they are installed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.needs("promtool")

PROMETHEUS = Path(__file__).parents[2] / "deploy" / "prometheus"


@pytest.mark.parametrize(
    "words",
    [
        ("check", "rules", "alerts.yml"),
        ("check", "config", "prometheus.yml"),
        ("test", "rules", "alerts_test.yml"),
    ],
    ids=" ".join,
)
def test_promtool_is_content(words: tuple[str, ...]) -> None:
    told = subprocess.run(
        ["promtool", *words], check=False, cwd=PROMETHEUS, capture_output=True, text=True
    )
    assert told.returncode == 0, told.stdout + told.stderr
