"""The site is built without a warning, has all pages and names, and needs no network."""

from __future__ import annotations

import re
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from docs.site.contents import ROOT, pages

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built anew, by a process of its own: what it imports shall not be here."""
    site = tmp_path_factory.mktemp("site") / "site"
    argv = [sys.executable, "-m", "docs.site", str(site)]
    made = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (made.stderr, made.returncode) == ("", 0)
    return site


def names(site: Path) -> set[str]:
    """What the reference has anchors for."""
    inventory = (site / "objects.inv").read_bytes()
    lines = zlib.decompress(inventory.split(b"\n", 4)[4]).decode().splitlines()
    return {line.split()[0] for line in lines if line.split()[1].startswith("py:")}


def test_the_site_has_each_page_and_each_public_name(site: Path) -> None:
    for place in pages().values():
        assert (site / place.with_suffix(".html")).exists(), place
    public = subprocess.run(
        [sys.executable, "-c", "from docs.site.reference import documented; print(*documented())"],
        cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True,
    ).stdout.split()  # fmt: skip
    assert len(public) > 90
    assert set(public) <= names(site)
    assert {"trioq.Client.enqueue", "trioq.Job.token", "trioq.aio.run_engine"} <= names(site)


def test_the_site_works_without_a_network(site: Path) -> None:
    loaded = re.compile(r"<(?:script|link|img|iframe)\b[^>]*?(?:src|href)=\"(https?:[^\"]*)")
    for page in site.rglob("*.html"):
        assert loaded.findall(page.read_text(encoding="utf-8")) == [], page
    assert "Search.setIndex" in (site / "searchindex.js").read_text(encoding="utf-8")
